"""Figures of detectors and of filters."""

import itertools

from matplotlib import pyplot as plt

from minisub import report, views
from minisub.plots import COLORS, line


def detection(rows, students):
    """AUC against the number of documents judged together: a panel a kind, a line a case."""
    points, shown = {}, report.columns(rows)
    for (_, arm, measure), values in shown.items():
        kind, comma, case = arm.partition(", ")
        number = measure.removeprefix("auc_")
        if comma and number.isdigit():
            panel = points.setdefault(kind, {}).setdefault(case, {})
            panel[int(number)] = list(values.values())
    cases = list(dict.fromkeys(case for lines in points.values() for case in lines))
    styles = dict(zip(cases, itertools.product("os^", COLORS), strict=False))
    size = (1.9 * len(points), 2.6)
    figure, axes = plt.subplots(
        1, len(points), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (kind, lines) in zip(axes[0], points.items(), strict=True):
        for case, samples in lines.items():
            line(axis, list(samples), list(samples.values()), case, styles[case])
        axis.axhline(0.5, color="gray", lw=0.8, ls="--", zorder=0)
        axis.set(xscale="log", xlabel="documents", ylim=(-0.02, 1.02))
        axis.set_title(kind, fontsize=8)
    axes[0][0].set_ylabel("AUC")
    handles = {
        name: handle
        for axis in axes[0]
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
    axes[0][-1].legend(handles.values(), handles, frameon=False, fontsize=7, **beside)
    return figure


def filters(rows, students):
    """The margin above the control's against the share of documents removed, a line a filter.

    Arms are named by it and by the share that it removes; those without a share are one line.
    """
    table, curves = report.columns(rows), {}
    for (setting, name, measure), values in report.differences(rows, students).items():
        if measure == views.FILTERS.main:
            arm = name.split(" - ")[0]
            judge, _, share = arm.rpartition(" ")
            judge = judge if share.removesuffix("%").isdigit() else "filter"
            gone = report.interval(list(table[setting, arm, "removed"].values()))[0]
            curves.setdefault(judge, []).append((gone, list(values.values())))
    figure, axis = plt.subplots(figsize=(4.6, 2.8), layout="constrained")
    for (judge, points), style in zip(
        curves.items(), itertools.product("os^", COLORS), strict=False
    ):
        xs, samples = zip(*sorted(points, key=lambda point: point[0]), strict=True)
        line(axis, xs, samples, judge, style)
    axis.set(xscale="linear", xlabel="share of documents removed", ylabel=views.FILTERS.label)
    axis.axhline(0, color="gray", lw=0.8, ls="--", zorder=0)
    axis.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


OF_VIEWS = {views.DETECTION: detection, views.FILTERS: filters}
