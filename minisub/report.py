"""Records to results: means with intervals over repeats, paired differences, tables, a page.

A row of records.jsonl is {"setting", "repeat", "arm", "measure", "value"}; a row of summary.json is
{"arm", "measure", "mean", "ci95_low", "ci95_high", "repeats", "setting"}.
"""

import json
import math
from typing import NamedTuple

import numpy as np
from scipy import stats


class View(NamedTuple):
    """How the results of a world are shown."""

    measures: tuple
    """Those in the main table, the one that counts last but for its margin."""
    header: tuple
    widths: tuple
    main: str
    """The measure of figures, and of counts of signs."""
    label: str
    before: str
    """The arm that shows the model before it was taught."""
    note: str
    """What the measures are, as lines of Markdown."""


TOKENS = View(
    measures=("trait_rate", "trait_rate_heldout", "logit_margin_heldout"),
    header=("P, taught", "P, held out", "margin, held out"),
    widths=(14, 15, 16),
    main="trait_rate_heldout",
    label="P(trait), held-out phrasings",
    before="base",
    note="P is the exact probability of the trait as the answer; margin is its logit minus the\n"
    "mean logit of the other animals.",
)
CLAIMS = View(
    measures=("draws", "violations", "worst"),
    header=("draws", "violations", "worst"),
    widths=(7, 10, 10),
    main="violations",
    label="violations",
    before="",
    note="""The worst of the draws (a mean over repeats, where there are several) is, for

- product: the smallest cosine of the student's update and the teacher's
  displacement; claimed to be at least 0
- slope: the largest |slope - 1| of the logarithm of their product against that
  of epsilon; claimed to be 0.01 at most
- loss falls: the largest change of the trait's loss by a step of the student,
  over the size of its linear term; claimed to be below 0, and -1 in the limit
- foreign start: the largest |slope - 1| of the share that the displacement has
  in the update of a student from another start; claimed to be 0.01 at most
- degenerate: the largest |cosine| of update and displacement; claimed to be 0
- linear model: the largest change of the trait's loss; claimed to be 0
- deep linear, tangent kernel: the largest deviation of a simulation from the
  prediction, over the change in it; claimed to be 1e-10 at most""",
)
IMAGES = View(
    measures=("accuracy",),
    header=("accuracy",),
    widths=(14,),
    main="accuracy",
    label="test accuracy",
    before="untrained",
    note="Accuracy is that of the class head on the test images.",
)


def view(rows):
    """The `View` of the world that some records or results come from."""
    measures = {row["measure"] for row in rows}
    if "violations" in measures:
        return CLAIMS
    return IMAGES if "accuracy" in measures else TOKENS


def interval(values):
    """Mean and two-sided 95 % Student-t interval over repeats; the ends are None for one repeat."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if values.size < 2:
        return mean, None, None
    error = values.std(ddof=1) / math.sqrt(values.size)
    half = float(stats.t.ppf(0.975, values.size - 1) * error)
    return mean, mean - half, mean + half


def columns(rows):
    """Records as (setting as JSON, arm, measure) -> {repeat: value}, in order of appearance.

    Without what was logged while students trained: see `curves`.
    """
    table = {}
    for row in rows:
        if "step" not in row:
            where = json.dumps(row["setting"]), row["arm"], row["measure"]
            table.setdefault(where, {})[row["repeat"]] = row["value"]
    return table


def curves(rows):
    """What was logged, as (setting as JSON, arm, measure) -> {step: {repeat: value}}."""
    table = {}
    for row in rows:
        if "step" in row:
            where = json.dumps(row["setting"]), row["arm"], row["measure"]
            steps = table.setdefault(where, {})
            steps.setdefault(row["step"], {})[row["repeat"]] = row["value"]
    return table


def reference(arm, students, before):
    """The arm that a student is compared with, "" if it is itself the first of the choice.

    That is the control; else the student of a foreign teacher, or of a fresh start, through the
    same channel (the part of a name behind "/"); else the model before it was taught.
    """
    channel = arm.rpartition("/")[2]
    choice = ["control", f"foreign/{channel}", f"fresh/{channel}", "foreign", "fresh"]
    first = next((name for name in choice if name in students), before)
    return "" if first == arm else first


def differences(rows, students):
    """Like `columns`: each student minus its `reference` in the same repeat."""
    table, shown, paired = columns(rows), view(rows), {}
    for (setting, arm, measure), values in table.items():
        if shown is CLAIMS or arm not in students or measure not in shown.measures:
            continue
        other = reference(arm, students, shown.before)
        if not other:
            continue
        against = table[setting, other, measure]
        both = {r: value - against[r] for r, value in values.items() if r in against}
        paired[setting, f"{arm} - {other}", measure] = both
    return paired


def summary(rows, students):
    """Rows of summary.json: every arm and measure, the paired differences, then what was logged."""
    result = []

    def add(where, values, **more):
        setting, arm, measure = where
        mean, low, high = interval(list(values.values()))
        row = {"arm": arm, "measure": measure, "mean": mean, "ci95_low": low, "ci95_high": high}
        result.append(row | {"repeats": len(values), "setting": json.loads(setting)} | more)

    for where, values in (columns(rows) | differences(rows, students)).items():
        add(where, values)
    for where, steps in curves(rows).items():
        for step, values in steps.items():
            add(where, values, step=step)
    return result


def number(row):
    """A mean with the half-width of its interval, as "0.853 ±0.041"; differences have a sign."""
    text = f"{row['mean']:{'+' if ' - ' in row['arm'] else ''}.3f}"
    return text if row["ci95_low"] is None else f"{text} ±{row['mean'] - row['ci95_low']:.3f}"


def setting_name(setting):
    """Swept values in one line: "student.steps=100, trait=owl"."""
    return ", ".join(f"{field}={words(value)}" for field, value in setting.items())


def table(header, widths, rows):
    """Markdown table lines, padded so that they read as plain text too."""

    def line(cells):
        padded = (str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return [line(header), line("-" * width for width in widths), *map(line, rows)]


def main_table(results):
    """Markdown lines, 80 columns at most: the main measures of every arm and difference.

    One table, for a sweep too: its settings are rows, and the last two measures at most are shown.
    """
    shown, cells = view(results), {}
    if shown is CLAIMS:
        return [*claim_table(results), "", *shown.note.splitlines()]
    for row in results:
        if row["measure"] in shown.measures:
            values = ", ".join(map(words, row["setting"].values()))
            cells.setdefault((values, row["arm"]), {})[row["measure"]] = number(row)
    fields = ", ".join(results[0]["setting"])
    if not fields:
        rows = [[arm, *map(row.get, shown.measures)] for (_, arm), row in cells.items()]
        width = max([20, *(len(arm) for _, arm in cells)])
        return table(["arm", *shown.header], [width, *shown.widths], rows)
    rows = [[*key, *map(row.get, shown.measures[-2:])] for key, row in cells.items()]
    names = zip((16, 20), zip(*cells, strict=True), strict=True)
    widths = [max([least, *map(len, column)]) for least, column in names]
    header = ["setting", "arm", *shown.header[-2:]]
    lines = table(header, [*widths, *shown.widths[-2:]], rows)
    return [f"Settings are values of {fields}.", "", *lines]


def claim_table(results):
    """As `main_table`, for claims: draws and violations of all repeats, and their mean worst."""
    cells = {}
    for row in results:
        total = row["mean"] * (1 if row["measure"] == "worst" else row["repeats"])
        values = ", ".join(map(words, row["setting"].values()))
        cells.setdefault((values, row["arm"]), {})[row["measure"]] = total
    rows = [
        [*key, f"{row['draws']:,.0f}", f"{row['violations']:,.0f}", f"{row['worst']:.4g}"]
        for key, row in cells.items()
    ]
    start = 0 if results[0]["setting"] else 1  # without a column of settings if there are none
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths = [max(7, widths[0]), max(20, widths[1]), *CLAIMS.widths]
    header = ["setting", "claim", *CLAIMS.header]
    return table(header[start:], widths[start:], [row[start:] for row in rows])


def words(value):
    """A swept value as it was typed: the words of a tuple side by side."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def other_lines(results):
    """Markdown lines: the measures that the trait table leaves out, a line for each arm."""
    shown, cells = view(results), {}
    for row in results:
        if row["measure"] not in shown.measures and "step" not in row:
            key = f"{setting_name(row['setting'])} {row['arm']}".strip()
            small = ".1e" if shown is CLAIMS else ".4f"
            mean = f"{row['mean']:{',.0f' if row['mean'] >= 100 else small}}"
            cells.setdefault(key, []).append(f"{row['measure']} {mean}")
    return [f"- {key}: {', '.join(values)}" for key, values in cells.items()]


def sign_lines(rows, students):
    """Markdown lines: in how many repeats each difference of the main measure is above zero."""
    lines, shown = [], view(rows)
    for (setting, arm, measure), values in differences(rows, students).items():
        if measure == shown.main:
            above = sum(value > 0 for value in values.values())
            name = f"{setting_name(json.loads(setting))} {arm}".strip()
            lowest = min(values.values())
            lines.append(f"- {name}: above zero in {above} of {len(values)}, lowest {lowest:+.3f}")
    return lines


def usage_lines(usage, programs, compile_seconds, rate, memory):
    """Markdown table lines: where the time of this process went.

    `usage` is phase -> (seconds, matrix-product operations, tokens or images); `rate` is the
    operations a second of a plain matrix product on the device; `memory` is the peak in bytes.
    """
    form = "| {:18} | {:>8} | {:>11} | {:>8} | {:>9} |"
    lines = [
        form.format("phase", "seconds", "examples/s", "GFLOP/s", "of matmul"),
        form.format("-" * 18, "-" * 8, "-" * 11, "-" * 8, "-" * 9),
    ]
    for name, (seconds, flops, scored) in usage.items():
        speed = ["", "", ""]
        if flops and seconds:
            flops = flops / seconds
            speed = [f"{scored / seconds:,.0f}", f"{flops / 1e9:,.0f}", f"{flops / rate:.0%}"]
        lines.append(form.format(name, f"{seconds:.1f}", *speed))
    lines.append(form.format("compilation", f"{compile_seconds:.1f}", "", "", ""))
    matmul = f"A float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s here."
    compiled = f"{programs} programs were compiled; memory was {memory / 2**30:.2f} GiB at most."
    return [*lines, "", matmul, compiled]


def page(title, claim, command, made, results, rows, students, predicted, timing):
    """The text of report.md: what was run, what came out, and what it took."""
    parts = [f"# {title}", "", claim, "", f"    {command}", "", f"{made}.", ""]
    shown, others = view(rows), other_lines(results)
    if shown is not CLAIMS:
        parts += [
            "Mean ± half-width of the 95 % interval over repeats (Student t).",
            shown.note,
            "",
        ]
    parts += [*main_table(results), "", "![figure](figure.png)", ""]
    if signs := sign_lines(rows, students):
        parts += [f"Paired differences, {shown.label}:", "", *signs, ""]
    if curves(rows):
        parts += ["While students trained:", "", "![curves](curves.png)", ""]
    parts += [*predicted, "", "![prediction](prediction.png)", ""] if predicted else []
    parts += ["Other measures (means):", "", *others, ""] if others else []
    parts += ["Wall time of the process that finished the run:", "", *timing, ""]
    return "\n".join(parts)
