"""Figures of runs: arms below each other, lines over what was swept or logged."""

import functools
import itertools
import logging
import os
import warnings
from unittest import mock

import numpy as np
import pandas as pd

from minisub.results import records, statistics, summary, tables

STYLE: dict = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
STYLE |= {"figure.dpi": 200, "savefig.bbox": "tight", "pdf.fonttype": 42}  # text stays text
# Okabe and Ito's colors, distinguishable with any color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GRAY = {"color": "gray", "lw": 0.8, "ls": "--", "zorder": 0}
BESIDE = {"frameon": False, "fontsize": 7, "loc": "center left", "bbox_to_anchor": (1, 0.5)}
"""A legend on the right of its panel."""
LOGGED = {
    "alignment": "cosine of trait's and\ndistillation gradient",
    "displacement": "cosine of student's and\nteacher's displacement",
    "trait_loss": "trait's loss, nats",
}


@functools.cache
def library():
    """matplotlib, imported late: a user's settings of it can keep it from being imported."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # which warns of a lack of a home
    with mock.patch.dict(os.environ):
        os.environ.pop("MPLBACKEND", None)  # may name a backend that it does not know
        import matplotlib.figure
        import matplotlib.style
    return matplotlib


def panels(down, across, size, **shared):
    """(figure, axes (down, across)) of a size in inches."""
    figure = library().figure.Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(down, across, squeeze=False, **shared)


def draw(title, path, make, *arguments):
    """Write the figure that `make` returns to `path`, a PNG, and as vectors beside it, as PDF."""
    with library().style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a layout that had to be given up
        figure = make(*arguments)
        figure.suptitle(title, fontsize=9)
        figure.savefig(path)
        # Without a date, so that the same run gives the same bytes.
        figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})
    return path.name


def styles(names):
    """name -> (marker, color); past the colors, other markers."""
    looks = itertools.cycle(itertools.product("os^", COLORS))
    return dict(zip(dict.fromkeys(names), looks, strict=False))


def draw_lines(axis, points, styles, dashed=""):
    """Means against "x" with 95 % intervals, a line for each "line" of a table of `points`.

    Numbers are joined and their intervals are a band; names, which have no distances, have dots
    side by side. One line may be dashed.
    """
    named = any(isinstance(x, str) for x in points["x"])
    places = {x: i for i, x in enumerate(dict.fromkeys(points["x"]))}
    lines = points.groupby("line", sort=False)
    for i, (name, line) in enumerate(lines):
        repeats = dict(list(line.groupby("x", sort=not named)["value"]))
        intervals = [statistics.interval(values) for values in repeats.values()]
        mean, low, high = np.array(intervals, dtype=float).T  # nan for the ends of a single repeat
        marker, color = styles[name]
        if named:
            xs = [places[x] + 0.1 * (i - len(lines) / 2) for x in repeats]
            how = {"fmt": marker, "ms": 3, "capsize": 2, "lw": 1}
            axis.errorbar(xs, mean, mean - low, color=color, label=name, **how)
        else:
            how = {"ls": "--"} if name == dashed else {"marker": marker, "ms": 3}
            axis.plot(list(repeats), mean, color=color, lw=1, label=name, **how)
            axis.fill_between(list(repeats), low, high, color=color, alpha=0.15, lw=0)
    if named:
        turned = {"rotation": 30, "ha": "right"} if sum(map(len, places)) > 20 else {}
        axis.set_xticks(range(len(places)), list(places), **turned)
    elif min(places) > 0 and max(places) / min(places) > 20:
        axis.set_xscale("log")


def main_values(table, view):
    """The rows of a `records.frame` with final values of the view's main measure."""
    return table[table["step"].isna() & (table["measure"] == view.main)].dropna(subset="value")


def by_arm(table, view, differences=()):
    """A row for each arm; in a second panel its stated differences, named on the right.

    Arms with a difference are blue; what these are compared with and the untaught model are gray.
    """
    values = dict(list(main_values(table, view).groupby("arm", sort=False)["value"]))
    [(_, wide)] = records.by_setting(table)
    paired = summary.paired(wide, differences, view.main)
    names = tables.short_names(summary.name(each) for each, _ in paired)
    compared = {view.before, *(each["other"] for each, _ in paired)}
    ratios, places, y = [3, 2] if paired else [3], {}, 0
    figure, [axes] = panels(1, len(ratios), None, sharey=True, width_ratios=ratios)
    for arm, repeats in values.items():
        of = [(names[summary.name(each)], change) for each, change in paired if each["one"] == arm]
        color = COLORS[0] if of else "gray" if arm in compared else "black"
        draw_row(axes[0], y, repeats, color)
        for i, (name, change) in enumerate(of):
            draw_row(axes[1], y + i, change, color)
            how = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 7}
            axes[1].annotate(name.removeprefix(f"{arm} "), (1.03, y + i), **how)
        places[arm], y = y, y + max(len(of), 1)
    for axis, label in zip(axes, (view.label, "paired difference"), strict=False):
        axis.set(xlabel=label, ylim=(y - 0.5, -0.5))
        axis.set_yticks([*places.values()], [*places], fontsize=7)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="y", lw=0.3, color="0.85")
    if view.limits:  # The axis of a probability reaches to zero.
        axes[0].axvline(0, lw=0)
    if paired:
        axes[1].axvline(0, **GRAY | {"ls": "-"})
    if view.before in values:
        axes[0].axvline(values[view.before].mean(), **GRAY)
    figure.supxlabel(legend(values, view.before, paired), fontsize=7)
    room = max(map(len, values)) + max((len(text.get_text()) for text in axes[-1].texts), default=0)
    figure.set_size_inches(0.9 * sum(ratios) + 0.065 * room, 1 + 0.22 * y)
    return figure


def draw_row(axis, y, repeats, color):
    """A mean with its interval, and below them a dot for each repeat."""
    mean, low, _ = np.array(statistics.interval(repeats), dtype=float)  # nan of a single repeat
    axis.plot(repeats, [y + 0.18] * len(repeats), "o", ms=3, alpha=0.5, color=color, mew=0)
    axis.errorbar(mean, y - 0.14, xerr=mean - low, fmt="|", ms=7, color=color, capsize=2, lw=1.2)


def legend(values, before, paired):
    """What the marks and colors of a figure `by_arm` are, and of how many repeats it is."""
    counts = sorted(map(len, values.values()))
    n = " to ".join(map(str, sorted({counts[0], counts[-1]})))
    n += ", too few for a useful interval" * (counts[-1] < statistics.FEW)
    dashed, untaught = (f"; dashed: {before}", f" and {before}") if before in values else ("", "")
    colors = f"\nblue: arms with a control; gray: controls{untaught}; black: others" * bool(paired)
    return f"tick: mean; bar: 95 % interval; dots: repeats{dashed}; n = {n}{colors}"


def line_panels(points, *, across=0, before="", level=None, ylabel="", sharey=True, **setting):
    """A panel for each "panel" of a table of `points`, with its lines: see `draw_lines`.

    The line `before` is gray and dashed, as is one at `level`; `setting` is for `axis.set`.
    """
    parts = points.groupby("panel", sort=False)
    across = across or min(len(parts), 6)
    down = -(-len(parts) // across)
    size = (2.4 * across + 0.065 * max(map(len, points["line"])), 2.8 * down)  # and the legend
    figure, axes = panels(down, across, size, sharey=sharey)
    for axis in axes.flat[len(parts) :]:
        axis.set_axis_off()
    looks = styles(line for line in points["line"] if line != before) | {before: (".", "gray")}
    handles = {}
    for axis, (panel, part) in zip(axes.flat, parts, strict=False):
        draw_lines(axis, part, looks, dashed=before)
        if level is not None:
            axis.axhline(level, **GRAY)
        axis.set(**setting)
        axis.set_title(panel, fontsize=8)
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    axes[0][0].set_ylabel(ylabel)
    axes[0][-1].legend(handles.values(), handles, **BESIDE)
    return figure


def against_field(table, view):
    """The main measure against the first swept field: a line an arm, a panel a value of others."""
    field, *others = records.fields(table)
    points = main_values(table, view).query("arm != 'teacher'")
    words = [x.rpartition(".")[2] + " " + points[x].map(records.value_text) for x in others]
    panel = ["\n".join(texts) for texts in zip(*words, strict=True)] if words else ""
    x = points[field]
    if not set(map(type, x)) <= {int, float}:
        x = x.map(records.value_text)
    axes = {"xlabel": field, "ylabel": view.label, "ylim": view.limits}
    points = points.assign(panel=panel, line=points["arm"], x=x)
    return line_panels(points, before=view.before, **axes)


def curves(table):
    """What was logged against updates: a line an arm, a panel a measure, a row a setting."""
    logged = table.dropna(subset="step")
    measures = [m for m in LOGGED if m in set(logged["measure"])] or logged["measure"].unique()
    rows = []
    for (setting, part), measure in itertools.product(records.settings(logged), measures):
        panel = f"{records.named(setting)}\n{LOGGED.get(measure, measure)}".strip()
        rows.append(part[part["measure"] == measure].assign(panel=panel))
    points = pd.concat(rows).rename(columns={"arm": "line", "step": "x"}).astype({"x": int})
    axes = {"sharey": False, "xlabel": "update", "xscale": "linear"}
    return line_panels(points, across=len(measures), level=0, **axes)


def claims(table, view):
    """Medians over draws against epsilon, for each quantity with measures "QUANTITY at EPSILON"."""
    names = table["measure"].str.extract(r"(?P<panel>.*?) at (?P<x>.*)")
    points = pd.concat([table, names], axis=1).dropna(subset="x").assign(line=table["arm"])
    axes = {"xlabel": "epsilon", "ylabel": "median over draws", "xscale": "log", "yscale": "log"}
    return line_panels(points.astype({"x": float}), **axes)
