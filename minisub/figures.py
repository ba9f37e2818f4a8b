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
    figure, axis = plt.subplots(figsize=(max(4.2, 0.5 * len(table)), 2.8))
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
        fixed = ", ".join(f"{name}={report.words(values[name])}" for name in others)
        panels.setdefault(fixed, []).append((values[field], setting))
    size = (max(3.6, 2.6 * len(panels)), 2.8)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    colors = ("gray", *COLORS)
    for axis, (fixed, points) in zip(axes[0], panels.items(), strict=True):
        arms = [shown.before, *students]
        for arm, color in zip(arms, itertools.cycle(colors), strict=False):
            samples = [list(table[setting, arm, shown.main].values()) for _, setting in points]
            line(axis, [x for x, _ in points], samples, arm, color, arm == shown.before)
        axis.set(xlabel=field, ylim=(-0.02, 1.02))
        axis.set_title(fixed, fontsize=8)
    axes[0][0].set_ylabel(shown.label)
    axes[0][-1].legend(frameon=False, fontsize=7)
    return figure


def line(axis, xs, samples, arm, color, dashed):
    """Means over repeats with their intervals, at numbers or at names."""
    numeric = all(isinstance(x, int | float) for x in xs)
    places = xs if numeric else list(range(len(xs)))
    means, lows, highs = zip(*map(report.interval, samples), strict=True)
    style = {"ls": "--"} if dashed else {"marker": "o", "ms": 3}
    axis.plot(places, means, color=color, lw=1, label=arm, **style)
    if None not in lows:
        axis.fill_between(places, lows, highs, color=color, alpha=0.15, lw=0)
    if not numeric:
        names = [report.words(x) for x in xs]
        turned = {"rotation": 30, "ha": "right"} if sum(map(len, names)) > 30 else {}
        axis.set_xticks(places, names, **turned)
    elif min(xs) > 0 and max(xs) / min(xs) > 20:
        axis.set_xscale("log")
