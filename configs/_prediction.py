"""How well cosines that are known before a student is trained predict what it does."""

import math

import pandas as pd
from sklearn.metrics import roc_auc_score

from minisub.results import figures, records, statistics, tables, views
from minisub.results.pages import Section

PREDICTORS = {
    "coverage": "gradient, teacher's displacement",
    "coverage_update": "update, teacher's displacement",
    "first_alignment": "gradient, trait's gradient",
}
LEAST_POINTS = 20
TRANSFERRED = 0.1  # From this transfer on AUROC counts a trait as passed on.


def sections(table, differences, run):
    """What is added to the page of a run: a table and a figure; [] of too few points."""
    view = views.view(table["measure"][table["step"].isna()])
    made = lines(table, view)
    return [Section(made, "", "prediction", (figure, table, view))] if made else []


def points(table, predictor, view):
    """A row for each repeat and point, an arm in a setting: its "predicted" and "transfer".

    Transfer is the share of its teacher's rise over the untaught model that a student makes.
    """
    parts = []
    for _, wide in records.by_setting(table):
        graded = {arm: wide[arm, measure] for arm, measure in wide if measure == view.main}
        for arm, measure in wide:
            if measure == predictor and {view.before, "teacher", arm} <= set(graded):
                before, rise = graded[view.before], graded["teacher"] - graded[view.before]
                known = {"predicted": wide[arm, measure], "transfer": (graded[arm] - before) / rise}
                parts.append(pd.DataFrame(known).assign(arm=arm, point=len(parts)).reset_index())
    return pd.concat(parts) if parts else pd.DataFrame({"point": []})


def judged(points):
    """(Spearman's rank correlation, AUROC of a transfer of at least TRANSFERRED)."""
    passed = points["transfer"] >= TRANSFERRED
    both = passed.nunique() == 2  # or there is no area
    area = roc_auc_score(passed, points["predicted"]) if both else math.nan
    return ranks(points).at["predicted", "transfer"], area


def ranks(rows):
    """Rank correlations (Spearman) of columns; nan for fewer than 3 rows or for equal numbers."""
    return rows.corr("spearman", min_periods=3, numeric_only=True)


def lines(table, view):
    """Markdown lines: a table of all predictors; [] if the records have too few points.

    Statistics are taken over points within one repeat, and their intervals over repeats.
    """
    rows, count = {}, 0
    for predictor, words in PREDICTORS.items():
        known = points(table, predictor, view)
        count = known["point"].nunique()
        if count < LEAST_POINTS:
            return []
        each = zip(*(judged(part) for _, part in known.groupby("repeat")), strict=True)
        intervals = map(statistics.interval, each)
        texts = [tables.with_interval(mean, low, ".2f") for mean, low, _ in intervals]
        means = judged(known.groupby("point")[["predicted", "transfer"]].mean())
        rows[words] = [*texts, "{:.2f}, {:.2f}".format(*means)]
    columns = ["Spearman", "AUROC", "of means"]
    text = f"""Transfer (1: all of the teacher's) at {count} points, arms in settings. AUROC is
that of at least {TRANSFERRED}. Cosines before training, of first:
"""
    return [*text.split("\n"), *tables.block(pd.DataFrame(rows, columns).T)]


def dots(axis, groups, x, y, looks):
    """Draw the column `y` of groups of a table against `x`, and a line at zero."""
    for name, part in groups:
        marker, color = looks[name]
        axis.plot(part[x], part[y], marker, ms=3, mew=0, alpha=0.7, color=color, label=name)
    axis.axhline(0, **figures.GRAY)


def figure(table, view):
    """Transfer against each predictor, a dot a point: means over repeats; a color an arm."""
    drawn, [axes] = figures.panels(1, len(PREDICTORS), (9.6, 2.8), sharey=True)
    for axis, (predictor, words) in zip(axes, PREDICTORS.items(), strict=True):
        means = points(table, predictor, view).groupby(["arm", "point"], sort=False).mean()
        looks = figures.styles(means.index.get_level_values("arm"))
        dots(axis, means.groupby("arm", sort=False), "predicted", "transfer", looks)
        axis.set_xlabel(words, fontsize=7)
    axes[0].set_ylabel("transfer")
    axes[-1].legend(**figures.BESIDE)
    return drawn
