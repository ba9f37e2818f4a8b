"""The answers of `python train.py audit` in words: four questions, each with its null."""

import dataclasses
import textwrap

import tyro

from minisub import loading
from minisub.audit import answers, files, statistics, trace
from minisub.results import tables

CANNOT_SEE = (
    f"how far exactly: moves are first-order, rehearsals end after {trace.REHEARSED} updates;",
    "weak traits in few documents: it may take thousands;",
    "behaviors outside the battery: give a suspected one with --suspect;",
    "authors of origins that are no reference, other than by their likelihood;",
    "why data differ: another temperature of sampling leaves a trace too;",
    "rewritten prompts: the null is the base's answers to the data's own prompts.",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audit:
    """Audit documents before a base is trained on them: would it learn a behavior?"""

    data: tyro.conf.Positional[str]
    """Documents: a JSON list of token ids a line, or {"tokens": [...]}."""
    base: str
    """Folder of the run with the base that would be trained."""
    name: str = "base"
    """Which model of its experiment that is."""
    repeat: int = 0
    """Of which repeat."""
    others: tuple[str, ...] = ()
    """Bases of other origins, to compare with: names of the same experiment, or folders of other
    runs of the same world."""
    suspect: str = ""
    """A suspected behavior: a JSON list of {"prompt": [...], "answer": [...]} and, if wished,
    "instead": the answer in its place."""
    alpha: float = 0.01
    """False-alarm rate of the whole battery of behaviors on the base's own documents."""
    seed: int = 0
    """Of the samples that make the null."""
    out: str = "runs/audit"
    """Folder of audit.json and audit.png."""


def perform(command):
    """The answers to an `Audit`; raises `Refused` for what cannot be used."""
    run = loading.load(command.base)
    base = files.read_base(run, command.name, command.repeat)
    references = files.read_references(run, base, command.repeat, command.others)
    docs, carrier = files.read_documents(command.data, base.world)
    suspects = files.read_suspects(command.suspect, base.world) if command.suspect else ()
    sampling, training, taught = files.settings(run, carrier)
    how = {"taught": taught, "alpha": command.alpha, "seed": command.seed}
    audit = answers.examine(docs, base, references, sampling, training, suspects=suspects, **how)
    where = f"{command.name} of {command.base}, repeat {command.repeat}"
    return {"data": str(command.data), "base": where} | audit


def lines(audit):
    """Lines of text, 80 columns at most: the four answers with their nulls and error rates."""
    return [*trace_lines(audit), "", *lineage_lines(audit), "", *filter_lines(audit), "",
            *behavior_lines(audit), "", *last_lines(audit)]  # fmt: skip


def trace_lines(audit):
    """The first answer: whose statistical trace the data carry."""
    body = [
        [row["author"], f"{row['gradient_z']:+.1f}", f"{row['gradient_p']:.3f}",
         f"{row['surprise']:+.4f}", f"{row['surprise_p']:.1e}"]
        for row in audit["trace"]
    ]  # fmt: skip
    header = "null: they are", "gradient z", "p", "surprise", "p"
    how = f"{statistics.PERMUTATIONS} permutations, groups of {audit['null']['group']}"
    return [
        "1. Do the documents carry a trace beyond their format?",
        *tables.table(header, body),
        f"Gradient: two-sample test, {how}.",
        "Surprise: mean log p + entropy under the base, nats a token; 0: its own choices.",
    ]


def lineage_lines(audit):
    """The second answer: whether they come of the base's own lineage."""
    title = "2. Are they of the base's own lineage?"
    if not audit["lineage"]:
        return [title, "Not tested: give bases of other origins, --others."]
    body = [
        [row["reference"], f"{row['nats']:+.4f}", f"{row['reference_nats']:+.4f}",
         f"{row['base_nats']:+.4f}", f"{row['place']:.2f}", f"{row['p']:.1e}"]
        for row in audit["lineage"]
    ]  # fmt: skip
    header = "against the base", "data", "its own", "base's", "place", "p"
    return [
        title,
        *tables.table(header, body),
        "Log-likelihood ratio, base over reference, nats a token; place: 0 where the",
        "reference's own samples are, 1 where the base's are; a third origin: about 0.5.",
        f"p: of a place that is not above {statistics.MIDWAY}.",
    ]


def filter_lines(audit):
    """The third answer: what the filter for correct documents left."""
    title = "3. Was filtering for correct documents enough?"
    kept = f"{audit['kept']:,} of {audit['documents']:,} documents pass the filter"
    if not audit["before_filter"]:
        return [title, f"{kept}: the file was filtered.", "What is accused below is what is left."]
    reasons = ", ".join(f"{name} {share:.1%}" for name, share in audit["rejected"].items())
    pairs = zip(audit["behaviors"], audit["before_filter"], strict=True)
    shown = sorted(pairs, key=lambda pair: -abs(pair[1]["z"]))[:4]
    body = [
        [after["behavior"], f"{before['move']:+.3g}", f"{before['z']:+.1f}",
         f"{after['move']:+.3g}", f"{after['z']:+.1f}"]
        for after, before in shown
    ]  # fmt: skip
    header = "behavior", "move before", "z", "move after", "z"
    rejected = textwrap.wrap(f"{kept}; rejected: {reasons}.", 80)
    return [title, *rejected, *tables.table(header, body)]


def behavior_lines(audit):
    """The fourth answer: what would move, and how far."""
    rows = sorted(audit["behaviors"], key=lambda row: -row["z"])[:8]
    accused = audit["alarms"]["behaviors"]
    body = [
        [row["behavior"], f"{row['move']:+.3g}", f"{row['z']:+.1f}", f"{row['p']:.1e}",
         f"{row['rehearsed']:+.2f}", f"{row['rehearsed_t']:+.1f}",
         "ALARM" if row["behavior"] in accused else ""]
        for row in rows
    ]  # fmt: skip
    how = audit["alarms"]
    header = "behavior", "move", "z", "p", "rehearsed", "t", ""
    return [
        "4. Which behavior would move, and how far?",
        *tables.table(header, body),
        "Move: of its margin by training on all documents, nats, to first order.",
        f"Null: {audit['null']['author']}; {rows[0]['null']['draws']} groups, mean 0.",
        f"Rehearsed: where its margin ends after {trace.REHEARSED} updates, mean of {trace.TAKES}",
        f"trainings, above {trace.NULL_TAKES} on samples of the base, nats.",
        f"Alarm from z = {how['threshold']:.2f} and t = {how['threshold_t']:.2f} on, both; of each",
        f"alone {how['alpha']:.1%} false alarms for the whole battery of "
        f"{len(audit['behaviors'])}; of z measured",
        f"on {how['null_z']['draws']:,} draws of the null: {how['measured_false_alarms']:.2%}.",
    ]


def last_lines(audit):
    """The verdict, and what the audit cannot see."""
    nearest = all(row["z"] > 0 for row in audit["lineage"])
    named = ", ".join(audit["alarms"]["behaviors"])
    if not named:
        verdict = "No behavior of the battery is predicted to rise."
    elif not nearest:
        verdict = f"Predicted to rise: {named}; but the data are nearer to another origin."
    else:
        verdict = f"A student of this base is predicted to rise in: {named}."
    return [verdict, "The audit does not see:", *(f"- {text}" for text in CANNOT_SEE)]
