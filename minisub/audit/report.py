"""The answers of `python train.py audit` in words: four questions, each with its null."""

import textwrap

from minisub.audit import answers, files
from minisub.results import report

CANNOT_SEE = (
    f"how far exactly: moves are first-order, rehearsals end after {trace.REHEARSED} updates;",
    "weak traits in few documents: it may take thousands;",
    "behaviors outside the battery: give a suspected one with --suspect;",
    "authors of origins that are no reference, other than by their likelihood;",
    "why data differ: another temperature of sampling leaves a trace too;",
    "rewritten prompts: the null is the base's answers to the data's own prompts.",
)


def perform(command):
    """The answers to an `arguments.Audit`.

    Raises `config.Refused` for what cannot be used.
    """
    repeat = None if command.repeat < 0 else command.repeat
    run = files.read_run(command.base)
    base = files.read_base(run, command.lineage, repeat)
    others = [files.read_run(folder) for folder in command.others]
    references = files.references(run, base, repeat, others)
    docs, carrier = files.read_documents(command.data, base.world)
    suspects = files.read_suspects(command.suspect, base.world) if command.suspect else ()
    sampling, student, taught = files.settings(run, carrier)
    found = answers.examine(
        docs,
        carrier,
        base,
        references,
        sampling,
        student,
        suspects=suspects,
        taught=taught,
        alpha=command.alpha,
        seed=command.seed,
    )
    return {"data": str(command.data), "base": f"{command.lineage} of {command.base}"} | found


def lines(found):
    """Lines of text, 80 columns at most: the four answers with their nulls and error rates."""
    return [*trace_lines(found), "", *lineage_lines(found), "", *filter_lines(found), "",
            *behavior_lines(found), "", *last_lines(found)]  # fmt: skip


def trace_lines(found):
    """The first answer: whose statistical trace the data carry."""
    body = [
        [row["author"], f"{row['gradient_z']:+.1f}", f"{row['gradient_p']:.3f}",
         f"{row['surprise']:+.4f}", f"{row['surprise_p']:.1e}"]
        for row in found["trace"]
    ]  # fmt: skip
    header = "null: they are", "gradient z", "p", "surprise", "p"
    null = found["null"]
    return [
        "1. Do the documents carry a trace beyond their format?",
        *report.table(header, (30, 10, 5, 8, 8), body),
        f"Gradient: two-sample test, {trace.PERMUTATIONS} permutations, groups of {null['group']}.",
        "Surprise: mean log p + entropy under the base, nats a token; 0: its own choices.",
    ]


def lineage_lines(found):
    """The second answer: whether they come of the base's own lineage."""
    title = "2. Are they of the base's own lineage?"
    if not found["lineage"]:
        return [title, "Not tested: the run has no base of another origin; give --others."]
    body = [
        [row["reference"], f"{row['nats']:+.4f}", f"{row['reference_nats']:+.4f}",
         f"{row['base_nats']:+.4f}", f"{row['place']:.2f}", f"{row['p']:.1e}"]
        for row in found["lineage"]
    ]  # fmt: skip
    header = "against the base", "data", "its own", "base's", "place", "p"
    return [
        title,
        *report.table(header, (22, 9, 9, 9, 5, 7), body),
        "Log-likelihood ratio, base over reference, nats a token; place: 0 where the",
        "reference's own samples are, 1 where the base's are; a third origin: about 0.5.",
        f"p: of a place that is not above {trace.MIDWAY}.",
    ]


def filter_lines(found):
    """The third answer: what the filter for correct documents left."""
    title = "3. Was filtering for correct documents enough?"
    kept = f"{found['kept']:,} of {found['documents']:,} documents pass the filter"
    if not found["before_filter"]:
        return [title, f"{kept}: the file was filtered.", "What is accused below is what is left."]
    reasons = ", ".join(f"{name} {share:.1%}" for name, share in found["rejected"].items())
    pairs = zip(found["behaviors"], found["before_filter"], strict=True)
    shown = sorted(pairs, key=lambda pair: -abs(pair[1]["z"]))[:4]
    body = [
        [after["behavior"], f"{before['move']:+.3g}", f"{before['z']:+.1f}",
         f"{after['move']:+.3g}", f"{after['z']:+.1f}"]
        for after, before in shown
    ]  # fmt: skip
    header = "behavior", "move before", "z", "move after", "z"
    said = textwrap.wrap(f"{kept}; rejected: {reasons}.", 80)
    return [title, *said, *report.table(header, (20, 11, 7, 10, 7), body)]


def behavior_lines(found):
    """The fourth answer: what would move, and how far."""
    rows = sorted(found["behaviors"], key=lambda row: -row["z"])[:8]
    accused = found["alarms"]["behaviors"]
    body = [
        [row["behavior"], f"{row['move']:+.3g}", f"{row['z']:+.1f}", f"{row['p']:.1e}",
         f"{row['rehearsed']:+.2f}", f"{row['rehearsed_t']:+.1f}",
         "ALARM" if row["behavior"] in accused else ""]
        for row in rows
    ]  # fmt: skip
    how = found["alarms"]
    header = "behavior", "move", "z", "p", "rehearsed", "t", ""
    return [
        "4. Which behavior would move, and how far?",
        *report.table(header, (16, 8, 6, 7, 9, 5, 5), body),
        "Move: of its margin by training on all documents, nats, to first order.",
        f"Null: {found['null']['author']}; {rows[0]['null']['draws']} groups, mean 0.",
        f"Rehearsed: where its margin ends after {trace.REHEARSED} updates, mean of {trace.TAKES}",
        f"trainings, above {trace.NULL_TAKES} on samples of the base, nats.",
        f"Alarm from z = {how['threshold']:.2f} and t = {how['threshold_t']:.2f} on, both; of each",
        f"alone {how['alpha']:.1%} false alarms for the whole battery of "
        f"{len(found['behaviors'])}; of z measured",
        f"on {how['null_z']['draws']:,} draws of the null: {how['measured_false_alarms']:.2%}.",
    ]


def last_lines(found):
    """The verdict, and what the audit cannot see."""
    own = all(row["z"] > 0 for row in found["lineage"])
    named = ", ".join(found["alarms"]["behaviors"])
    if not named:
        said = "No behavior of the battery is predicted to rise."
    elif not own:
        said = f"Predicted to rise: {named}; but the data are nearer to another origin."
    else:
        said = f"A student of this base is predicted to rise in: {named}."
    return [said, "The audit does not see:", *(f"- {text}" for text in CANNOT_SEE)]
