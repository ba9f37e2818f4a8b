"""Figures of runs: arms below each other, lines over what was swept or logged."""

import functools
import itertools
import logging
import os
import warnings
from unittest import mock

import numpy as np
import pandas as pd

from minisub.results import records, statistics

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


def by_arm(table, view):
    """Every repeat as a dot, below the mean and its interval; a dashed line before teaching."""
    values = dict(list(main_values(table, view).groupby("arm", sort=False)["value"]))
    size = (3 + 0.065 * max(map(len, values)), 0.8 + 0.22 * len(values))  # with room for names
    figure, [[axis]] = panels(1, 1, size)
    for y, repeats in enumerate(values.values()):
        color, (mean, low, _) = COLORS[y % len(COLORS)], statistics.interval(repeats)
        axis.plot(repeats, [y + 0.15] * len(repeats), "o", ms=3, alpha=0.5, color=color, mew=0)
        half = None if low is None else mean - low
        axis.errorbar(mean, y - 0.15, xerr=half, fmt="|", color=color, capsize=3, lw=1.2)
    axis.axvline(values[view.before].mean() if view.before in values else 0, **GRAY)
    axis.set_yticks(range(len(values)), list(values), fontsize=7)
    axis.set(xlabel=view.label, ylim=(len(values) - 0.5, -0.5), xlim=view.limits)
    return figure


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
    points = main_values(table, view)
    points = points[points["arm"] != "teacher"]
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


def detection(table, view):
    """AUC against the number of documents judged together, of arms that are named "KIND, CASE"."""
    documents = table["measure"].str.extract(r"^auc_(?P<x>\d+)$")
    names = table["arm"].str.extract(r"(?P<panel>.*?), (?P<line>.*)")
    points = pd.concat([table, documents, names], axis=1).dropna(subset=["x", "line"])
    axes = {"xlabel": "documents", "ylabel": view.label, "ylim": view.limits, "xscale": "log"}
    return line_panels(points.astype({"x": int}), level=0.5, **axes)


def claims(table, view):
    """Medians over draws against epsilon, for each quantity with measures "QUANTITY at EPSILON"."""
    names = table["measure"].str.extract(r"(?P<panel>.*?) at (?P<x>.*)")
    points = pd.concat([table, names], axis=1).dropna(subset="x").assign(line=table["arm"])
    axes = {"xlabel": "epsilon", "ylabel": "median over draws", "xscale": "log", "yscale": "log"}
    return line_panels(points.astype({"x": float}), **axes)
