"""Records to results: means with intervals over repeats, paired differences, tables, figures, a page.

A row of `records.jsonl` is {"setting", "repeat", "arm", "measure", "value"}; a row of `summary.json` is
{"arm", "measure", "mean", "ci95_low", "ci95_high", "repeats", "setting"}.
"""

import json
import math

import numpy as np
from scipy import stats

TRAIT_MEASURES = ("trait_rate", "trait_rate_heldout", "logit_margin_heldout")
REFERENCE = "control"


def interval(values):
    """Mean and two-sided 95 % Student-t interval over repeats; the ends are None for a single repeat."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if values.size < 2:
        return mean, None, None
    half = float(stats.t.ppf(0.975, values.size - 1) * values.std(ddof=1) / math.sqrt(values.size))
    return mean, mean - half, mean + half


def columns(rows):
    """Records as (setting as JSON, arm, measure) -> {repeat: value}, in order of appearance."""
    table = {}
    for row in rows:
        where = json.dumps(row["setting"]), row["arm"], row["measure"]
        table.setdefault(where, {})[row["repeat"]] = row["value"]
    return table


def differences(rows, students):
    """Paired differences, each student minus the control of the same repeat (minus base without a control)."""
    table = columns(rows)
    reference = REFERENCE if REFERENCE in students else "base"
    paired = {}
    for (setting, arm, measure), values in table.items():
        against = table.get((setting, reference, measure), {})
        common = {r: values[r] - against[r] for r in values if r in against}
        if arm in students and arm != reference and measure in TRAIT_MEASURES and common:
            paired[setting, f"{arm} - {reference}", measure] = common
    return paired


def summary(rows, students):
    """Rows of `summary.json`: every arm and measure, then the paired differences."""
    result = []
    for (setting, arm, measure), values in (columns(rows) | differences(rows, students)).items():
        mean, low, high = interval(list(values.values()))
        result.append(
            {
                "arm": arm,
                "measure": measure,
                "mean": mean,
                "ci95_low": low,
                "ci95_high": high,
                "repeats": len(values),
                "setting": json.loads(setting),
            }
        )
    return result


def number(row, signed=False):
    """A mean with the half-width of its interval, as "0.853 ±0.041"."""
    text = f"{row['mean']:+.3f}" if signed else f"{row['mean']:.3f}"
    return text if row["ci95_low"] is None else f"{text} ±{row['mean'] - row['ci95_low']:.3f}"


def setting_name(setting):
    """Swept values in one line: "student.steps=100, trait=owl"."""
    return ", ".join(f"{field}={value}" for field, value in setting.items())


def trait_table(results):
    """Markdown lines: one row for each arm and difference that has trait measures, 80 columns at most."""
    cells = {}
    for row in results:
        if row["measure"] in TRAIT_MEASURES:
            signed = " - " in row["arm"]
            key = setting_name(row["setting"]), row["arm"]
            cells.setdefault(key, {})[row["measure"]] = number(row, signed)
    header = ["arm", "P, taught", "P, held out", "margin, held out"]
    lines, before = [], None
    for (setting, arm), values in cells.items():
        if setting != before:
            lines += ["", f"**{setting}**", ""] if setting else []
            lines += [row_of(header), row_of(["-" * width for width in WIDTHS])]
        lines.append(row_of([arm, *(values.get(m, "") for m in TRAIT_MEASURES)]))
        before = setting
    return lines


WIDTHS = (20, 14, 15, 16)


def row_of(cells):
    """One Markdown table row, padded so that it reads as plain text too."""
    return "| " + " | ".join(str(c).ljust(w) for c, w in zip(cells, WIDTHS, strict=True)) + " |"


def other_lines(results):
    """Markdown lines for the measures that the trait table leaves out, one line an arm and setting."""
    cells = {}
    for row in results:
        if row["measure"] not in TRAIT_MEASURES:
            key = setting_name(row["setting"]), row["arm"]
            cells.setdefault(key, []).append(f"{row['measure']} {row['mean']:.4f}")
    return [f"- {' '.join(key).strip()}: {', '.join(values)}" for key, values in cells.items()]


def sign_lines(rows, students):
    """How often each paired difference on held-out phrasings is above zero, as Markdown lines."""
    return [
        f"- {setting_name(json.loads(setting))} {arm}: above zero in "
        f"{sum(v > 0 for v in values.values())} of {len(values)} repeats, smallest {min(values.values()):+.3f}"
        for (setting, arm, measure), values in differences(rows, students).items()
        if measure == "trait_rate_heldout"
    ]


def usage_lines(usage, compiled, rate):
    """Where the time of this process went, as Markdown table lines; `rate` is FLOP/s of a matrix product."""
    lines = [
        f"| {'phase':18} | {'seconds':>8} | {'tokens/s':>9} | {'GFLOP/s':>8} | {'of matmul':>9} |",
        "|" + "|".join("-" * n for n in (20, 10, 11, 10, 11)) + "|",
    ]
    for name, (seconds, flops, scored) in usage.items():
        speed = ["", "", ""]
        if flops and seconds:
            achieved = flops / seconds
            speed = [f"{scored / seconds:,.0f}", f"{achieved / 1e9:.0f}", f"{achieved / rate:.0%}"]
        lines.append(
            f"| {name:18} | {seconds:8.1f} | {speed[0]:>9} | {speed[1]:>8} | {speed[2]:>9} |"
        )
    lines.append(f"| {'compilation':18} | {compiled['seconds']:8.1f} | {'':9} | {'':8} | {'':9} |")
    return [
        *lines,
        "",
        f"{compiled['programs']} programs compiled; this device multiplies float32 matrices at "
        f"{rate / 1e9:.0f} GFLOP/s.",
    ]


def page(title, claim, command, provenance, results, rows, students, timing):
    """The text of `report.md`."""
    parts = [
        f"# {title}",
        "",
        claim,
        "",
        f"    {command}",
        "",
        provenance,
        "",
        "Mean ± half-width of the 95 % interval over repeats (Student t). P is the exact probability of the "
        "trait answer; margin is its logit minus the mean logit of the other animals.",
        "",
        *trait_table(results),
        "",
        "![figure](figure.png)",
        "",
        "Paired differences on held-out phrasings:",
        "",
        *sign_lines(rows, students),
        "",
        "Other measures (means):",
        "",
        *other_lines(results),
        "",
        "Wall time of the process that finished the run:",
        "",
        *timing,
        "",
    ]
    return "\n".join(parts)
