"""Figures of a run, by matplotlib: arms side by side, or a measure against a swept field."""

import itertools
import json

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from minisub import detection_figures, matrices, prediction, report, views
from minisub.plots import COLORS, dots, line, save

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
}


def draw(folder, rows, students, title):
    """Write the figures of a run into `folder`, as PNG and PDF; return their names in words.

    figure.png: a matrix where there is one, else against the swept field, else by arm. curves.png:
    what was logged while students trained. prediction.png: transfer against what is known before.
    """
    swept = list(rows[0]["setting"])
    drawn = {}
    with plt.rc_context(STYLE):
        if views.view(rows) is views.CLAIMS:
            drawn["figure.png"] = claims(rows)
        elif (shown := views.view(rows)) in detection_figures.OF_VIEWS:
            drawn["figure.png"] = detection_figures.OF_VIEWS[shown](rows, students)
        elif found := matrices.found(rows):
            drawn["figure.png"] = heatmaps(found)
        else:
            drawn["figure.png"] = against_field(rows, students, swept) if swept else by_arm(rows)
        if report.curves(rows):
            drawn["curves.png"] = while_training(rows, students)
        if prediction.lines(rows):
            drawn["prediction.png"] = predicted(rows, students)
        for name, figure in drawn.items():
            figure.suptitle(title, fontsize=9)
            save(figure, folder / name)
            plt.close(figure)
    return ", ".join(drawn)


def by_arm(rows):
    """Every repeat as a dot, beside the mean and its interval; a dashed line before teaching.

    Arms are side by side; more than 10 are below each other, where their names have room.
    """
    shown = views.view(rows)
    table = {
        arm: list(values.values())
        for (_, arm, measure), values in report.columns(rows).items()
        if measure == shown.main
    }
    below = len(table) > 10
    size = (4.2, 0.8 + 0.2 * len(table)) if below else (max(4.2, 0.5 * len(table)), 2.8)
    figure, axis = plt.subplots(figsize=size, layout="constrained")

    def place(at, values):
        return (values, [at] * len(values)) if below else ([at] * len(values), values)

    bar, mark = ("xerr", "|") if below else ("yerr", "_")
    for x, (values, color) in enumerate(zip(table.values(), itertools.cycle(COLORS), strict=False)):
        mean, low, high = report.interval(values)
        axis.plot(*place(x - 0.12, values), "o", ms=3, alpha=0.5, color=color, mew=0)
        if low is not None:
            ends = {bar: [[mean - low], [high - mean]]}
            axis.errorbar(
                *place(x + 0.12, [mean]), **ends, fmt=mark, color=color, capsize=3, lw=1.2
            )
    before = {"color": "gray", "lw": 0.8, "ls": "--", "zorder": 0}
    level = report.interval(table[shown.before])[0] if shown.before in table else 0
    (axis.axvline if below else axis.axhline)(level, **before)
    if below:
        axis.set_yticks(range(len(table)), list(table), fontsize=7)
        axis.set(xlabel=shown.label, ylim=(len(table) - 0.5, -0.5))
        axis.set_xlim(shown.limits)
    else:
        turned = {"rotation": 30, "ha": "right"} if sum(map(len, table)) > 50 else {}
        axis.set_xticks(range(len(table)), list(table), **turned)
        axis.set(ylabel=shown.label)
        axis.set_ylim(shown.limits)
    return figure


def heatmaps(found):
    """A panel a `matrices.Matrix`: means, with a `*` where they are significant; white is zero."""
    rows, columns, across = len(found[0].rows), len(found[0].columns), min(len(found), 3)
    down, cell = -(-len(found) // across), 0.55 if columns <= 6 else 0.42
    size = across * (0.8 + cell * columns), down * (1.1 + 0.7 * cell * rows)
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, layout="constrained")
    means = [matrix.values.mean(axis=0) for matrix in found]
    top = max(np.nanmax(np.abs(mean)) for mean in means) or 1.0
    for axis in axes.flat[len(found) :]:
        axis.set_axis_off()
    for axis, matrix, mean in zip(axes.flat, found, means, strict=False):
        axis.imshow(mean, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto")
        for (i, j), text in np.ndenumerate(matrices.texts(matrix, 2)):
            color = "white" if abs(mean[i, j]) > 0.6 * top else "black"
            small = 7 if columns <= 6 else 5.5
            axis.text(j, i, text, ha="center", va="center", color=color, fontsize=small)
        turned = {"rotation": 30, "ha": "right"} if max(map(len, matrix.columns)) > 6 else {}
        axis.set_xticks(range(columns), matrix.columns, fontsize=7, **turned)
        axis.set_yticks(range(rows), matrix.rows, fontsize=7)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_xlabel(matrix.label, fontsize=8)
        axis.set_ylabel("teacher", fontsize=8)
        axis.set_title(report.setting_name(matrix.setting), fontsize=8)
    return figure


def against_field(rows, students, swept):
    """The measure against the first swept field: a line an arm, a panel a value of the others."""
    table, shown = report.columns(rows), views.view(rows)
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
        axis.set(xlabel=field)
        axis.set_ylim(shown.limits)
        axis.set_title(fixed, fontsize=8)
    axes[0][0].set_ylabel(shown.label)
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if len(students) > 3 else {}
    axes[0][-1].legend(frameon=False, fontsize=7, **beside)
    return figure


def claims(rows):
    """Medians over draws against epsilon, and how often claims are violated; a row a setting."""
    table = report.columns(rows)
    settings = dict.fromkeys(setting for setting, _, _ in table)
    size = (9.6, 3.2 * len(settings))
    figure, axes = plt.subplots(len(settings), 3, figsize=size, squeeze=False, layout="constrained")
    for (products, shares, counts), setting in zip(axes, settings, strict=True):
        means = {
            (arm, measure): report.interval(list(values.values()))[0]
            for (own, arm, measure), values in table.items()
            if own == setting
        }
        against_epsilon(products, means, "product")
        products.set_ylabel("|update · displacement|, median")
        against_epsilon(shares, means, "share")
        shares.set_ylabel("displacement's share of the update, median")
        violated(counts, means)
        products.set_title(report.setting_name(json.loads(setting)), fontsize=8)
    return figure


def against_epsilon(axis, means, quantity):
    """A line a claim on logarithmic axes, and one of slope 1."""
    curves = {}
    for (arm, measure), value in means.items():
        if measure.startswith(f"{quantity} at "):
            curves.setdefault(arm, []).append((float(measure.split()[-1]), value))
    styles = itertools.cycle(itertools.product(COLORS[:-1], ("-", "--")))
    for arm, points in curves.items():
        color, dashes = ("black", ":") if arm.startswith("broken") else next(styles)
        axis.plot(*zip(*points, strict=True), ls=dashes, color=color, lw=1, label=arm)
    if curves:
        xs, ys = zip(*next(iter(curves.values())), strict=True)
        steep = [10 * ys[-1] * x / xs[-1] for x in xs]
        axis.plot(xs, steep, color="gray", lw=0.6, label="slope 1")
        axis.set(xscale="log", yscale="log", xlabel="epsilon")
        axis.legend(frameon=False, fontsize=5.5, loc="upper left", bbox_to_anchor=(0, 0.92))


def violated(axis, means):
    """The share of draws that violate each broken claim, and all others together."""
    shares, others = {}, []
    for arm in dict.fromkeys(arm for arm, _ in means):
        counts = means[arm, "violations"], means[arm, "draws"]
        if arm.startswith("broken"):
            shares[arm] = counts[0] / counts[1]
        else:
            others.append(counts)
    if others:
        violations, draws = map(sum, zip(*others, strict=True))
        shares[f"{len(others)} not broken"] = violations / draws
    axis.barh(list(shares), list(shares.values()), color=COLORS[0], height=0.6)
    for i, share in enumerate(shares.values()):
        axis.text(share, i, f" {share:.0%}", va="center", fontsize=6)
    axis.invert_yaxis()
    axis.tick_params(axis="y", labelsize=6)
    axis.set(xlabel="draws that violate it", xlim=(0, 1.15))


LOGGED = {
    "alignment": "cosine of trait's and\ndistillation gradient",
    "displacement": "cosine of student's and\nteacher's displacement",
    "trait_loss": "trait's loss, nats",
}


def while_training(rows, students):
    """What was logged against updates: a line an arm, a panel a quantity, a row a setting."""
    table = report.curves(rows)
    settings = list(dict.fromkeys(setting for setting, _, _ in table))
    size = (9.6, 2.6 * len(settings))
    figure, axes = plt.subplots(
        len(settings), len(LOGGED), figsize=size, squeeze=False, layout="constrained"
    )
    for panels, setting in zip(axes, settings, strict=True):
        for axis, (measure, label) in zip(panels, LOGGED.items(), strict=True):
            for arm, style in zip(students, itertools.product("os^", COLORS), strict=False):
                steps = table[setting, arm, measure]
                line(axis, list(steps), [list(v.values()) for v in steps.values()], arm, style)
            axis.axhline(0, color="gray", lw=0.6, zorder=0)
            axis.set(xlabel="update", ylabel=label)
        panels[0].set_title(report.setting_name(json.loads(setting)), fontsize=8)
    axes[0][-1].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def predicted(rows, students):
    """Transfer against each predictor, a dot a point: means over repeats; a color an arm."""
    panels = prediction.PREDICTORS
    figure, axes = plt.subplots(
        1, len(panels), figsize=(9.6, 2.8), sharey=True, layout="constrained"
    )
    for axis, (predictor, words) in zip(axes, panels.items(), strict=True):
        repeats = list(prediction.points(rows, predictor).values())
        arms, xs, ys = repeats[0][0], *(sum(r[i] for r in repeats) / len(repeats) for i in (1, 2))
        for arm, (marker, color) in zip(students, itertools.product("os^", COLORS), strict=False):
            chosen = arms == arm
            axis.plot(
                xs[chosen], ys[chosen], marker, ms=3, mew=0, alpha=0.7, color=color, label=arm
            )
        axis.axhline(0, color="gray", lw=0.6, zorder=0)
        axis.set_xlabel(words, fontsize=7)
    axes[0].set_ylabel("transfer")
    axes[-1].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
