"""The command `python train.py audit`: would a base of a run learn a behavior from documents?"""

import dataclasses
import textwrap
from pathlib import Path

import jax
import numpy as np
import tyro

from minisub import loading
from minisub.arguments import fields_of
from minisub.audit import answers, files, statistics, trace
from minisub.config import CountOrNone, FixedShare, Training, check, require
from minisub.results import figures, tables
from minisub.tokens.config import Sampling, World

CANNOT_SEE = (
    f"how far exactly: moves are first-order, rehearsals end after {trace.REHEARSED} updates;",
    "weak traits in few documents: it may take thousands;",
    "behaviors outside the battery: give a suspected one with --suspect;",
    "authors of origins that --others does not name, other than by their place;",
    "why data differ: another temperature of sampling leaves a trace too;",
    "rewritten prompts: the null is the base's answers to the data's own prompts.",
)

NEEDED = "sampling", "taught"  # See `settings`.


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
    """Bases of other origins: names of the same experiment, or folders of runs of its world."""
    suspect: str = ""
    """A suspected behavior: a JSON list of {"prompt": [...], "answer": [...]} and, if wished,
    "instead": the answer in its place."""
    alpha: FixedShare = 0.05
    """False-alarm rate of the whole battery of behaviors on the base's own documents."""
    seed: CountOrNone = 0
    """Of the samples that make the null."""
    out: str = "runs/audit"
    """Folder of audit.json and audit.png."""


def prepared(command):
    """A function that finds the answers to an `Audit`; raises `Refused` for what cannot be used."""
    check(command)
    run = loading.load(command.base)
    base = read_base(run, command.name, command.repeat)
    references = read_references(run, base, command.repeat, command.others)
    docs, carrier = files.read_documents(command.data, base.world)
    suspects = files.read_suspects(command.suspect, base.world) if command.suspect else ()
    sampling, training, taught = settings(run, carrier)
    how = {"taught": taught, "alpha": command.alpha, "seed": command.seed}
    given = docs, base, references, sampling, training
    where = f"{command.name} of {command.base}, repeat {command.repeat}"

    def answered():
        audit = answers.examine(*given, suspects=suspects, **how)
        return {"data": str(command.data), "base": where} | audit

    return answered


def read_base(run, name, repeat):
    """The `answers.Base` that a name of a run stands for in a repeat."""
    made = run[name].configuration()
    require(
        isinstance(made.get("world"), World) and "model" in made,
        f"{name!r} of {run.path} is no model of the token world; choose from "
        f"{', '.join(run.names)}.",
    )
    return answers.Base(name, made["world"], made["model"], run[name].params(repeat))


def read_references(run, base, repeat, others):
    """`answers.Base`s of other origins: names of the same run, or folders of others, in which the
    audited name is read. Raises `Refused` for another world, and for the base itself."""
    references = []
    for other in others:
        there = run if other in run.names else loading.load(other)
        name = other if there is run else base.name
        reference = read_base(there, name, repeat)
        one, two = (fields_of(x.world, "world.") for x in (base, reference))
        differ = ", ".join(f"{x} is {two[x]} and not {one[x]}" for x in one if one[x] != two[x])
        require(not differ, f"--others: in {other}, {differ}; give bases of the same world.")
        trees = jax.tree.leaves(base.params), jax.tree.leaves(reference.params)
        require(
            len(trees[0]) != len(trees[1]) or not all(map(np.array_equal, *trees)),
            f"--others: {other} is the audited base itself; give one of another origin.",
        )
        label = name if there is run else f"{name} of {Path(other).name}"
        references.append(reference._replace(name=label))
    return references


def settings(run, carrier):
    """(how a base of a run would emit documents of a carrier, how a student would be trained,
    phrasings that a teacher is taught), by what the run has made: as its first student of this
    carrier, or its first student if there is none."""
    known, trainings = {}, []
    for named in (run[name] for name in run.names):
        for product, made in zip(named.products(), named.configurations(), strict=True):
            if product["product"].startswith("distill-"):
                of = getattr(made.get("sampling"), "carrier", "")
                trainings.append((of != carrier, made.get("training")))
            known = {k: x for k, x in made.items() if k in NEEDED and x} | known
    sampling = known.get("sampling")
    student = min(trainings, key=lambda each: each[0])[1] if trainings else None
    require(
        isinstance(sampling, Sampling) and isinstance(student, Training),
        f"{run.path} has no student in the token world, whose training an audit could foresee; "
        "choose a run with one.",
    )
    sampling = dataclasses.replace(known["sampling"], carrier=carrier, filter="correct")
    return sampling, student, known.get("taught", 0)


def lines(audit):
    """Lines of text, 80 columns at most: the four answers with their nulls and error rates."""
    parts = trace_lines, lineage_lines, filter_lines, behavior_lines, last_lines
    return [line for part in parts for line in [*part(audit), ""]][:-1]


def table(rows, *columns):
    """Lines of a table of dicts; of columns (heading, key, format)."""
    body = [[format(row[key], form) for _, key, form in columns] for row in rows]
    return tables.table([heading for heading, *_ in columns], body)


def trace_lines(audit):
    """The first answer: whose statistical trace the documents carry."""
    how = f"{statistics.PERMUTATIONS} permutations, groups of {audit['null']['group']}"
    return [
        "1. Do the documents carry a trace beyond their format?",
        *table(audit["trace"], ("null: they are", "author", ""),
               ("gradient z", "gradient_z", "+.1f"), ("p", "gradient_p", ".3f"),
               ("surprise", "surprise", "+.4f"), ("p", "surprise_p", ".1e")),
        f"Gradient: two-sample test, {how}.",
        "Surprise: mean log p + entropy under the base, nats a token; 0: its own choices.",
    ]  # fmt: skip


def lineage_lines(audit):
    """The second answer: whether they come of the base's own lineage."""
    title = "2. Are they of the base's own lineage?"
    if not audit["lineage"]:
        return [title, "Not tested: give bases of other origins, --others."]
    return [
        title,
        *table(audit["lineage"], ("against the base", "reference", ""), ("data", "nats", "+.4f"),
               ("its own", "reference_nats", "+.4f"), ("base's", "base_nats", "+.4f"),
               ("place", "place", ".2f"), ("p", "p", ".1e")),
        "Log-likelihood ratio, base over reference, nats a token; place: 0 where the",
        "reference's own samples are, 1 where the base's are; a third origin: about 0.5.",
        f"p: that the place is not above {statistics.MIDWAY}, by the chance of sampling alone.",
    ]  # fmt: skip


def filter_lines(audit):
    """The third answer: what the filter for correct documents left."""
    title = "3. Was filtering for correct documents enough?"
    kept = f"{audit['kept']:,} of {audit['documents']:,} documents pass the filter"
    if not audit["before_filter"]:
        return [title, f"{kept}: the file was filtered.", "What is accused below is what is left."]
    reasons = ", ".join(f"{name} {share:.1%}" for name, share in audit["rejected"].items())
    pairs = zip(audit["before_filter"], audit["behaviors"], strict=True)
    rows = [{**row, "after": after["move"], "after_z": after["z"]} for row, after in pairs]
    rows.sort(key=lambda row: -abs(row["z"]))
    return [
        title,
        *textwrap.wrap(f"{kept}; rejected: {reasons}.", 80),
        *table(rows[:4], ("behavior", "behavior", ""), ("move before", "move", "+.3g"),
               ("z", "z", "+.1f"), ("move after", "after", "+.3g"), ("z", "after_z", "+.1f")),
    ]  # fmt: skip


def behavior_lines(audit):
    """The fourth answer: what would move, and how far."""
    how = audit["alarms"]
    rows = [{**x, "": "ALARM" if x["behavior"] in how["behaviors"] else ""}
            for x in audit["behaviors"]]  # fmt: skip
    rows.sort(key=lambda row: -row["rehearsed_t"])
    rows = [row for i, row in enumerate(rows) if row[""] or i < 8]
    return [
        "4. Which behavior would move, and how far?",
        *table(rows, ("behavior", "behavior", ""), ("move", "move", "+.3g"), ("z", "z", "+.1f"),
               ("p", "p", ".1e"), ("rehearsed", "rehearsed", "+.2f"), ("t", "rehearsed_t", "+.1f"),
               ("", "", "")),
        "Move: of its margin by training on all documents, nats, to first order.",
        f"Null: {audit['null']['author']}; {rows[0]['null']['draws']} groups, mean 0.",
        f"Rehearsed: where its margin ends after {trace.REHEARSED} updates, mean of {trace.TAKES}",
        f"trainings, above {trace.NULL_TAKES} on samples of the base, nats.",
        f"Alarm from t = {how['threshold']:.2f} on: {how['alpha']:.1%} false alarms for the "
        f"battery of {len(audit['behaviors'])}.",
    ]  # fmt: skip


def last_lines(audit):
    """The verdict, and what the audit cannot see."""
    named = ", ".join(audit["alarms"]["behaviors"])
    verdict = f"A student of this base is predicted to rise in: {named}."
    if not named:
        verdict = (
            "No behavior of the battery is predicted to rise; that does not exclude that a student "
            f"learns one from these {audit['documents']:,} documents (weak traits take thousands)."
        )
    return [
        *textwrap.wrap(verdict, 80),
        "The audit does not see:",
        *(f"- {text}" for text in CANNOT_SEE),
    ]


def figure(audit):
    """Rehearsed rises of behaviors in standard errors of the null."""
    rows, alarms = sorted(audit["behaviors"], key=lambda row: row["rehearsed_t"]), audit["alarms"]
    blue, red, *_ = figures.COLORS
    drawn, [[axis]] = figures.panels(1, 1, (4.2, 0.9 + 0.2 * len(rows)))
    colors = [red if row["behavior"] in alarms["behaviors"] else blue for row in rows]
    names = [row["behavior"] for row in rows]
    axis.barh(names, [row["rehearsed_t"] for row in rows], color=colors, height=0.6)
    axis.axvline(alarms["threshold"], color="black", ls="--", lw=0.8)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel("rise in rehearsals, standard errors of the null (t)")
    return drawn
