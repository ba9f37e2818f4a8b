"""Figures of a run, by matplotlib: arms side by side, or a measure against a swept field."""

import itertools
import json

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 (the backend comes first)

from minisub import report  # noqa: E402

# Okabe-Ito, distinguishable with any color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MEASURE = "trait_rate_heldout"
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
    """Every repeat as a dot and the 95 % interval beside it, for each arm; the base as a dashed line."""
    table = {
        arm: values
        for (_, arm, measure), values in report.columns(rows).items()
        if measure == MEASURE
    }
    figure, axis = plt.subplots(figsize=(4.2, 2.8))
    for x, (arm, values) in enumerate(table.items()):
        color = COLORS[x % len(COLORS)]
        mean, low, high = report.interval(list(values.values()))
        axis.plot(
            [x - 0.12] * len(values),
            list(values.values()),
            "o",
            ms=3,
            alpha=0.5,
            color=color,
            mew=0,
        )
        if low is not None:
            axis.errorbar(
                [x + 0.12], [mean], [[mean - low], [high - mean]], fmt="_", color=color, capsize=3
            )
    base = report.interval(list(table["base"].values()))[0]
    axis.axhline(base, color="gray", lw=0.8, ls="--", zorder=0)
    axis.set_xticks(range(len(table)), list(table))
    axis.set(ylabel="P(trait), held-out phrasings", ylim=(-0.02, 1.02))
    return figure


def against_field(rows, students, swept):
    """The measure against the first swept field, a line for each arm, a panel for each value of the others."""
    table = report.columns(rows)
    settings = list(dict.fromkeys(setting for setting, _, _ in table))
    field, others = swept[0], swept[1:]
    panels = {}
    for setting in settings:
        values = json.loads(setting)
        panels.setdefault(tuple(values[name] for name in others), []).append(
            (values[field], setting)
        )
    figure, axes = plt.subplots(
        1, len(panels), figsize=(max(3.4, 2.6 * len(panels)), 2.8), sharey=True, squeeze=False
    )
    for axis, (fixed, points) in zip(axes[0], panels.items(), strict=True):
        for arm, color in zip(
            ["base", *students], itertools.cycle(("gray", *COLORS)), strict=False
        ):
            present = [(x, table[s, arm, MEASURE]) for x, s in points if (s, arm, MEASURE) in table]
            line(axis, [x for x, _ in present], [list(v.values()) for _, v in present], arm, color)
        axis.set(xlabel=field, ylim=(-0.02, 1.02), title=", ".join(map(str, fixed)))
    axes[0][0].set_ylabel("P(trait), held-out phrasings")
    axes[0][-1].legend(frameon=False, fontsize=7)
    return figure


def line(axis, xs, samples, arm, color):
    """Means over repeats with their intervals, at numbers or at names."""
    numeric = all(isinstance(x, (int, float)) for x in xs)
    places = xs if numeric else range(len(xs))
    means, lows, highs = zip(*map(report.interval, samples), strict=True)
    style = {"ls": "--"} if arm == "base" else {"marker": "o", "ms": 3}
    axis.plot(places, means, color=color, lw=1, label=arm, **style)
    if None not in lows:
        axis.fill_between(places, lows, highs, color=color, alpha=0.15, lw=0)
    if not numeric:
        axis.set_xticks(places, xs)
    elif min(xs) > 0 and max(xs) / min(xs) > 20:
        axis.set_xscale("log")
