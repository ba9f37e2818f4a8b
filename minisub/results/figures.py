"""Figures of runs: arms beside each other, lines over what was swept, logged or removed.

Every function that returns a figure is called within `style`.
"""

import itertools
import numbers
import os

import pandas as pd

from minisub.results import records, statistics, summary, tables

# matplotlib refuses to be imported where this variable names a backend that it does not know; ours
# is Agg whatever it says.
_BACKEND = os.environ.pop("MPLBACKEND", None)
import matplotlib  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

if _BACKEND is not None:
    os.environ["MPLBACKEND"] = _BACKEND

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


def style():
    """A context in which figures look alike."""
    return matplotlib.rc_context(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.dpi": 200,
            "pdf.fonttype": 42,  # text stays text
        }
    )


def panels(down, across, size, **shared):
    """(figure, axes (down, across)) of a size in inches, which Agg draws."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(down, across, squeeze=False, **shared)


def save(figure, path):
    """Write a figure to `path`, a PNG, and as vectors beside it, as PDF."""
    figure.savefig(path, bbox_inches="tight")
    # Without a date, so that the same run gives the same bytes.
    figure.savefig(path.with_suffix(".pdf"), bbox_inches="tight", metadata={"CreationDate": None})


def styles(names):
    """name -> (marker, color); past the colors, other markers."""
    return dict(zip(dict.fromkeys(names), itertools.product("os^", COLORS), strict=False))


def draw_lines(axis, points, styles, dashed=""):
    """Means against "x" with 95 % intervals, a line for each "line" of a table of `points`.

    Rows of the same line and x are repeats, of "value". Numbers are joined and their intervals are
    a band; names, which have no distances, have dots side by side. One line may be dashed.
    """
    named = any(isinstance(x, str) for x in points["x"])
    places = {x: i for i, x in enumerate(dict.fromkeys(points["x"]))}
    lines = points.groupby("line", sort=False)
    for i, (name, line) in enumerate(lines):
        repeats = {x: part["value"] for x, part in line.groupby("x", sort=not named)}
        means, lows, highs = zip(*map(statistics.interval, repeats.values()), strict=True)
        marker, color = styles[name]
        if named:
            ends = [[m - (m if low is None else low) for m, low in zip(means, lows, strict=True)]]
            xs = [places[x] + 0.1 * (i - len(lines) / 2) for x in repeats]
            axis.errorbar(
                xs, means, ends * 2, fmt=marker, ms=3, color=color, capsize=2, lw=1, label=name
            )
            continue
        drawn = {"ls": "--"} if name == dashed else {"marker": marker, "ms": 3}
        axis.plot(list(repeats), means, color=color, lw=1, label=name, **drawn)
        if None not in lows:
            axis.fill_between(list(repeats), lows, highs, color=color, alpha=0.15, lw=0)
    if named:
        turned = {"rotation": 30, "ha": "right"} if sum(map(len, places)) > 20 else {}
        axis.set_xticks(range(len(places)), list(places), **turned)
    elif min(places) > 0 and max(places) / min(places) > 20:
        axis.set_xscale("log")


def shown(table, differences, view):
    """(setting, {arm or difference: values by repeat}) of the view's main measure."""
    rows = []
    for setting, wide in records.by_setting(table):
        if view.of_differences:
            pairs = {summary.name(each): summary.difference(wide, each) for each in differences}
            values = {name: pair[view.main] for name, pair in pairs.items() if view.main in pair}
        else:
            values = {arm: wide[arm, m] for arm, m in wide if m == view.main}
        rows.append((setting, {name: each.dropna() for name, each in values.items()}))
    return rows


def by_arm(table, differences, view):
    """Every repeat as a dot, below the mean and its interval; a dashed line before teaching."""
    [(_, values)] = shown(table, differences, view)
    figure, [[axis]] = panels(1, 1, (4.2, 0.8 + 0.22 * len(values)))
    for y, (repeats, color) in enumerate(
        zip(values.values(), itertools.cycle(COLORS), strict=False)
    ):
        mean, low, _ = statistics.interval(repeats)
        axis.plot(repeats, [y + 0.15] * len(repeats), "o", ms=3, alpha=0.5, color=color, mew=0)
        half = None if low is None else mean - low
        axis.errorbar(mean, y - 0.15, xerr=half, fmt="|", color=color, capsize=3, lw=1.2)
    axis.axvline(values[view.before].mean() if view.before in values else 0, **GRAY)
    axis.set_yticks(range(len(values)), list(values), fontsize=7)
    axis.set(xlabel=view.label, ylim=(len(values) - 0.5, -0.5), xlim=view.limits)
    return figure


def against_field(table, differences, view):
    """The main measure against the first swept field: a line an arm, a panel a value of others."""
    field, *others = records.fields(table)
    rows = []
    for setting, values in shown(table, differences, view):
        panel = "\n".join(f"{n.rpartition('.')[2]} {records.value_text(setting[n])}" for n in others)
        for arm, repeats in values.items():
            if arm != "teacher":
                rows += [(panel, arm, setting[field], value) for value in repeats]
    points = pd.DataFrame(rows, columns=["panel", "line", "x", "value"])
    if not all(isinstance(x, numbers.Real) and not isinstance(x, bool) for x in points["x"]):
        points["x"] = points["x"].map(records.value_text)
    parts = points.groupby("panel", sort=False)
    figure, axes = panels(1, len(parts), (max(3.6, 2.6 * len(parts)), 2.8), sharey=True)
    looks = {view.before: (".", "gray")}
    looks |= styles(name for name in points["line"] if name != view.before)
    for axis, (panel, part) in zip(axes[0], parts, strict=True):
        draw_lines(axis, part, looks, dashed=view.before)
        axis.set(xlabel=field, ylim=view.limits)
        axis.set_title(panel, fontsize=8)
    axes[0][0].set_ylabel(view.label)
    axes[0][-1].legend(**BESIDE)
    return figure


def curves(table):
    """What was logged against updates: a line an arm, a panel a measure, a row a setting."""
    logged = table[table["step"].notna()].rename(columns={"arm": "line", "step": "x"})
    parts, looks = records.settings(logged), styles(logged["line"])
    measures = list(dict.fromkeys(logged["measure"]))
    size = (3.2 * len(measures), 2.6 * len(parts))
    figure, axes = panels(len(parts), len(measures), size)
    for row, (setting, part) in zip(axes, parts, strict=True):
        for axis, measure in zip(row, measures, strict=True):
            draw_lines(axis, part[part["measure"] == measure], looks)
            axis.axhline(0, color="gray", lw=0.6, zorder=0)
            axis.set(xlabel="update", ylabel=LOGGED.get(measure, measure), xscale="linear")
        row[0].set_title(records.setting_text(setting), fontsize=8)
    axes[0][-1].legend(**BESIDE)
    return figure


def detection(table, differences, view):
    """AUC against the number of documents judged together: a panel a kind, a line a case.

    Arms are named "KIND, CASE", and measures "auc_NUMBER".
    """
    points = table[table["measure"].str.fullmatch(r"auc_\d+") & table["arm"].str.contains(", ")]
    kinds = points["arm"].str.partition(", ")
    numbers = points["measure"].str.removeprefix("auc_").astype(int)
    points = points.assign(panel=kinds[0], line=kinds[2], x=numbers)
    parts, looks = points.groupby("panel", sort=False), styles(points["line"])
    figure, axes = panels(1, len(parts), (1.9 * len(parts), 2.6), sharey=True)
    for axis, (kind, part) in zip(axes[0], parts, strict=True):
        draw_lines(axis, part, looks)
        axis.axhline(0.5, **GRAY)
        axis.set(xscale="log", xlabel="documents", ylim=view.limits)
        axis.set_title(kind, fontsize=8)
    axes[0][0].set_ylabel(view.label)
    handles = {}  # a kind may have not all cases
    for axis in axes[0]:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    axes[0][-1].legend(handles.values(), handles, **BESIDE)
    return figure


def filters(table, differences, view):
    """The margin above the control's against the share of documents removed, a line a filter.

    Arms are named by it and by the share that it removes; those without a share are one line.
    """
    rows = []
    for _, wide in records.by_setting(table):
        for each in differences:
            paired = summary.difference(wide, each)
            if view.main in paired and "removed" in wide[each["one"]]:
                judge, _, share = each["one"].rpartition(" ")
                line = judge if share.removesuffix("%").isdigit() else "filter"
                removed = wide[each["one"], "removed"].mean()
                rows += [(line, removed, value) for value in paired[view.main].dropna()]
    points = pd.DataFrame(rows, columns=["line", "x", "value"])
    figure, [[axis]] = panels(1, 1, (4.6, 2.8))
    draw_lines(axis, points, styles(points["line"]))
    axis.set(xscale="linear", xlabel="share of documents removed", ylabel=view.label)
    axis.axhline(0, **GRAY)
    axis.legend(**BESIDE)
    return figure


def claims(table, differences, view):
    """Medians over draws against epsilon, and how often claims are violated; a row a setting."""
    settings = records.by_setting(table)
    figure, axes = panels(len(settings), 3, (9.6, 3.2 * len(settings)))
    for (products, shares, counts), (setting, wide) in zip(axes, settings, strict=True):
        means = wide.mean()
        against_epsilon(products, means, "product")
        products.set_ylabel("|update · displacement|, median")
        against_epsilon(shares, means, "share")
        shares.set_ylabel("displacement's share of the update, median")
        violated(counts, means.xs("violations", level=1), means.xs("draws", level=1))
        products.set_title(records.setting_text(setting), fontsize=8)
    return figure


def against_epsilon(axis, means, quantity):
    """A line a claim on logarithmic axes, and one of slope 1."""
    lines = {}
    for (arm, measure), value in means.items():
        if measure.startswith(f"{quantity} at "):
            lines.setdefault(arm, {})[float(measure.split()[-1])] = value
    looks = itertools.cycle(itertools.product(COLORS[:-1], ("-", "--")))
    for arm, points in lines.items():
        color, dashes = ("black", ":") if arm.startswith("broken") else next(looks)
        axis.plot(list(points), list(points.values()), ls=dashes, color=color, lw=1, label=arm)
    if lines:
        xs, ys = zip(*next(iter(lines.values())).items(), strict=True)
        steep = [10 * ys[-1] * x / xs[-1] for x in xs]
        axis.plot(xs, steep, color="gray", lw=0.6, label="slope 1")
        axis.set(xscale="log", yscale="log", xlabel="epsilon")
        axis.legend(frameon=False, fontsize=5.5, loc="upper left", bbox_to_anchor=(0, 0.92))


def violated(axis, violations, draws):
    """The share of draws that violate each broken claim, and all others together."""
    broken = violations.index.str.startswith("broken")
    shares = (violations / draws)[broken].to_dict()
    if not all(broken):
        rest = violations[~broken].sum() / draws[~broken].sum()
        shares[f"{sum(~broken)} not broken"] = rest
    axis.barh(list(shares), list(shares.values()), color=COLORS[0], height=0.6)
    for i, share in enumerate(shares.values()):
        axis.text(share, i, f" {share:.0%}", va="center", fontsize=6)
    axis.invert_yaxis()
    axis.tick_params(axis="y", labelsize=6)
    axis.set(xlabel="draws that violate it", xlim=(0, 1.15))
