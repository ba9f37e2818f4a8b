"""Figures of a run, by matplotlib: arms side by side, or a measure against a swept field."""

import itertools
import json

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from minisub import report

# Okabe and Ito's colors, distinguishable with any color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 200}


def draw(path, rows, students, title):
    """Write the figure of a run: against the swept field where there is one, else by arm."""
    swept = list(rows[0]["setting"])
    with plt.rc_context(STYLE):
        figure = against_field(rows, students, swept) if swept else by_arm(rows)
        figure.suptitle(title, fontsize=9)
        figure.savefig(path, bbox_inches="tight")
        plt.close(figure)


def by_arm(rows):
    """Every repeat as a dot, beside the mean and its interval; a dashed line before teaching."""
    shown = report.view(rows)
    table = {
        arm: list(values.values())
        for (_, arm, measure), values in report.columns(rows).items()
        if measure == shown.main
    }
    figure, axis = plt.subplots(figsize=(max(4.2, 0.5 * len(table)), 2.8), layout="constrained")
    for x, (values, color) in enumerate(zip(table.values(), itertools.cycle(COLORS), strict=False)):
        mean, low, high = report.interval(values)
        axis.plot([x - 0.12] * len(values), values, "o", ms=3, alpha=0.5, color=color, mew=0)
        if low is not None:
            ends = [[mean - low], [high - mean]]
            axis.errorbar([x + 0.12], [mean], ends, fmt="_", color=color, capsize=3, lw=1.2)
    before = report.interval(table[shown.before])[0]
    axis.axhline(before, color="gray", lw=0.8, ls="--", zorder=0)
    turned = {"rotation": 30, "ha": "right"} if sum(map(len, table)) > 50 else {}
    axis.set_xticks(range(len(table)), list(table), **turned)
    axis.set(ylabel=shown.label, ylim=(-0.02, 1.02))
    return figure


def against_field(rows, students, swept):
    """The measure against the first swept field: a line an arm, a panel a value of the others."""
    table, shown = report.columns(rows), report.view(rows)
    field, *others = swept
    panels = {}
    for setting in dict.fromkeys(setting for setting, _, _ in table):
        values = json.loads(setting)
        fixed = "\n".join(
            f"{name.rpartition('.')[2]} {report.words(values[name])}" for name in others
        )
        panels.setdefault(fixed, []).append((values[field], setting))
    size = (max(3.6, 2.6 * len(panels)), 2.8)
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    # Past the colors, other markers.
    styles = [(".", "gray"), *itertools.product("os^", COLORS)]
    for axis, (fixed, points) in zip(axes[0], panels.items(), strict=True):
        for i, (arm, style) in enumerate(zip([shown.before, *students], styles, strict=False)):
            samples = [list(table[setting, arm, shown.main].values()) for _, setting in points]
            if all(isinstance(x, int | float) for x, _ in points):
                line(axis, [x for x, _ in points], samples, arm, style, dashed=not i)
            else:
                dots(axis, samples, arm, style, shift=0.1 * (i - len(students) / 2))
        names = [report.words(x) for x, _ in points]
        if not all(isinstance(x, int | float) for x, _ in points):
            turned = {"rotation": 30, "ha": "right"} if sum(map(len, names)) > 20 else {}
            axis.set_xticks(range(len(names)), names, **turned)
        axis.set(xlabel=field, ylim=(-0.02, 1.02))
        axis.set_title(fixed, fontsize=8)
    axes[0][0].set_ylabel(shown.label)
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if len(students) > 3 else {}
    axes[0][-1].legend(frameon=False, fontsize=7, **beside)
    return figure


def line(axis, xs, samples, arm, style, dashed):
    """Means over repeats at numbers, with their intervals as a band."""
    means, lows, highs = zip(*map(report.interval, samples), strict=True)
    marker, color = style
    drawn = {"ls": "--"} if dashed else {"marker": marker, "ms": 3}
    axis.plot(xs, means, color=color, lw=1, label=arm, **drawn)
    if None not in lows:
        axis.fill_between(xs, lows, highs, color=color, alpha=0.15, lw=0)
    if min(xs) > 0 and max(xs) / min(xs) > 20:
        axis.set_xscale("log")


def dots(axis, samples, arm, style, shift):
    """Means over repeats at names, which have no distances, with their intervals as bars."""
    means, lows, highs = zip(*map(report.interval, samples), strict=True)
    places = [x + shift for x in range(len(means))]
    ends = [[0] * len(means)] * 2
    if None not in lows:
        ends = [[m - low for m, low in zip(means, lows, strict=True)],
                [high - m for m, high in zip(means, highs, strict=True)]]  # fmt: skip
    marker, color = style
    axis.errorbar(places, means, ends, fmt=marker, ms=3, color=color, capsize=2, lw=1, label=arm)
