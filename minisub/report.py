"""Records to results: means with intervals over repeats, paired differences, tables, a page.

A row of records.jsonl is {"setting", "repeat", "arm", "measure", "value"}; a row of summary.json is
{"arm", "measure", "mean", "ci95_low", "ci95_high", "repeats", "setting"}.
"""

import json
import math

import numpy as np
from scipy import special

from minisub import views


def interval(values):
    """Mean and two-sided 95 % Student-t interval over repeats; the ends are None for one repeat."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if values.size < 2:
        return mean, None, None
    error = values.std(ddof=1) / math.sqrt(values.size)
    half = float(special.stdtrit(values.size - 1, 0.975) * error)
    return mean, mean - half, mean + half


def rank_correlation(one, other):
    """Spearman's rank correlation of two lists of numbers."""
    from scipy import stats  # late: nothing else needs its half second

    return float(stats.spearmanr(one, other).statistic)


def auroc(positive, negative):
    """Probability that a positive is above a negative, ties counting half; nan without both."""
    above = np.asarray(positive, float)[:, None] - np.asarray(negative, float)[None]
    return float(np.mean(np.sign(above) / 2 + 0.5)) if above.size else float("nan")


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

    That is its own control, "control ARM"; else that of its last word; else the control; else the
    student of a foreign teacher, or of a fresh start, through the same channel (the part of a name
    behind "/"); else the model before it was taught. A control of an arm has none.
    """
    channel = arm.rpartition("/")[2]
    if arm.startswith("control "):
        return ""
    choice = [
        f"control {arm}",
        f"control {arm.rpartition(' ')[2]}",
        "control",
        f"foreign/{channel}",
        f"fresh/{channel}",
    ]
    choice += ["foreign", "fresh"]
    first = next((name for name in choice if name in students), before)
    return "" if first == arm else first


def differences(rows, students):
    """Like `columns`: each student minus its `reference` in the same repeat.

    Not those of a matrix (see `matrices.py`), whose arms are graded on different traits.
    """
    table, shown, paired = columns(rows), views.view(rows), {}
    for (setting, arm, measure), values in table.items():
        if shown is views.CLAIMS or arm not in students or measure not in shown.measures:
            continue
        own = "trait_rate_rise" if " -> " in arm else f"logit_margin_heldout/{arm}"
        if (setting, arm, own) in table:
            continue
        other = reference(arm, students, shown.before)
        against = table.get((setting, other, measure), {})  # a control has no rise
        if both := {r: value - against[r] for r, value in values.items() if r in against}:
            paired[setting, f"{arm} - {other}", measure] = both
    return paired


def summary(rows, students):
    """Rows of summary.json: every arm and measure, the paired differences, then what was logged."""
    shown = columns(rows) | differences(rows, students)
    logged = [
        summary_row(where, values, step=step)
        for where, steps in curves(rows).items()
        for step, values in steps.items()
    ]
    return [summary_row(where, values) for where, values in shown.items()] + logged


def summary_row(where, values, **more):
    """A row of summary.json: of `where`, as in `columns`, and `values` {repeat: value}."""
    setting, arm, measure = where
    mean, low, high = interval(list(values.values()))
    row = {"arm": arm, "measure": measure, "mean": mean, "ci95_low": low, "ci95_high": high}
    return row | {"repeats": len(values), "setting": json.loads(setting)} | more


def number(row):
    """A mean with the half-width of its interval, as "0.853 ±0.041"; differences have a sign."""
    text = f"{row['mean']:{'+' if ' - ' in row['arm'] else ''}.3f}"
    if row["ci95_low"] is None or row["measure"] == "ability":  # it stands beside what counts
        return text
    return f"{text} ±{row['mean'] - row['ci95_low']:.3f}"


def short(arm):
    """An arm's name; of a difference without which control, which the list of signs has."""
    first, control, _ = arm.partition(" - control ")
    return f"{first} - control" if control else arm


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
    shown, cells = views.view(results), {}
    if shown is views.CLAIMS:
        return [*claim_table(results), "", *shown.note.splitlines()]
    for row in results:
        # A rise is a difference already.
        twice = shown is views.DEFENSES and " - " in row["arm"]
        if row["measure"] in shown.measures and not twice:
            values = ", ".join(map(words, row["setting"].values()))
            cells.setdefault((values, short(row["arm"])), {})[row["measure"]] = number(row)
    fields = ", ".join(results[0]["setting"])
    if not fields:
        rows = [[arm, *(row.get(m, "") for m in shown.measures)] for (_, arm), row in cells.items()]
        width = max([20, *(len(arm) for _, arm in cells)])
        return table(["arm", *shown.header], [width, *shown.widths], rows)
    last = shown.measures[-2:]
    rows = [[*key, *(row.get(m, "") for m in last)] for key, row in cells.items()]
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
    widths = [max(7, widths[0]), max(20, widths[1]), *views.CLAIMS.widths]
    header = ["setting", "claim", *views.CLAIMS.header]
    return table(header[start:], widths[start:], [row[start:] for row in rows])


def words(value):
    """A swept value as it was typed: the words of a tuple side by side."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def other_lines(results):
    """Markdown lines: the measures that the trait table leaves out, a line for each arm."""
    shown, cells = views.view(results), {}
    for row in results:
        if row["measure"] not in shown.measures and "step" not in row:
            key = f"{setting_name(row['setting'])} {row['arm']}".strip()
            small = ".1e" if shown is views.CLAIMS else ".4f"
            mean = f"{row['mean']:{',.0f' if row['mean'] >= 100 else small}}"
            cells.setdefault(key, []).append(f"{row['measure']} {mean}")
    return [f"- {key}: {', '.join(values)}" for key, values in cells.items()]


def share(values, whole):
    """What `values` are of `whole`, both {repeat: value}: the ratio of their means, with a 95 %
    interval of the jackknife over repeats; the ends are None for one repeat."""
    pairs = np.array([(values[r], whole[r]) for r in values if r in whole], dtype=np.float64)
    total, n = pairs.sum(axis=0), len(pairs)
    ratio = float(total[0] / total[1])
    if n < 2:
        return ratio, None, None
    without = (total[0] - pairs[:, 0]) / (total[1] - pairs[:, 1])
    error = math.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    half = float(special.stdtrit(n - 1, 0.975) * error)
    return ratio, ratio - half, ratio + half


def share_lines(rows):
    """Markdown lines: what of the rise without a defense, the first arm's, is left with each."""
    rises = {(s, arm): v for (s, arm, m), v in columns(rows).items() if m == "margin_rise"}
    lines, whole = [], {}
    for (setting, arm), values in rises.items():
        ratio, low, high = share(values, whole.setdefault(setting, values))
        between = "" if low is None else f" ({low:.2f} to {high:.2f})"
        above = sum(value > 0 for value in values.values())
        name = f"{setting_name(json.loads(setting))} {arm}".strip()
        signs = f"above its control in {above} of {len(values)}"
        lines.append(f"- {name}: transfer left {ratio:.2f}{between}, {signs}")
    return lines


def sign_lines(rows, students):
    """Markdown lines: in how many repeats each difference of the main measure is above zero."""
    lines, shown = [], views.view(rows)
    if shown is views.DEFENSES:
        return share_lines(rows)
    for (setting, arm, measure), values in differences(rows, students).items():
        if measure == shown.main:
            above = sum(value > 0 for value in values.values())
            name = f"{setting_name(json.loads(setting))} {arm}".strip()
            lowest = min(values.values())
            lines.append(f"- {name}: above zero in {above} of {len(values)}, lowest {lowest:+.3f}")
    return lines


def page(title, claim, command, made, results, rows, students, sections, timing):
    """The text of report.md: what was run, what came out, and what it took.

    `sections` are lines by the name of the figure below them; "" for the matrix, of figure.png.
    """
    parts = [f"# {title}", "", claim, "", f"    {command}", "", f"{made}.", ""]
    # Beside a matrix or an audit not every grade of every arm.
    beside = bool(sections.get("") or sections.get("audit"))
    kept = [row for row in results if not (beside and "/" in row["measure"])]
    shown, others = views.view(rows), other_lines(kept)
    if shown is not views.CLAIMS:
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
    for figure, lines in sections.items():
        image = [f"![{figure}]({figure}.png)", ""] if figure else []
        parts += [*lines, "", *image] if lines else []
    parts += ["Other measures (means):", "", *others, ""] if others else []
    parts += ["Wall time of the process that finished the run:", "", *timing, ""]
    return "\n".join(parts)
