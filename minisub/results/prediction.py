"""How well measures of a student's start, and audits of its documents, predict what it does."""

import math

import numpy as np
import pandas as pd
from scipy import stats

from minisub.results import figures, records, statistics, summary, tables

PREDICTORS = {
    "coverage": "gradient, teacher's displacement",
    "coverage_update": "update, teacher's displacement",
    "first_alignment": "gradient, trait's gradient",
}
LEAST_POINTS = 20
TRANSFERRED = 0.1  # From this transfer on AUROC counts a trait as passed on.
ABOVE, ALPHA = 3.0, 0.05
"""An audited data set transfers a behavior if its student's rise is above `ABOVE` times the root
mean square of those of clean students. `ALPHA` is the rate of false alarms that audits aim at, for
a data set and the whole battery of behaviors. Both were fixed before any result was seen."""
KEPT = "10000"  # The size by which audits name the measures of all kept documents.
NULL_TAKES = 8  # Rehearsals of an audit's null; a rehearsal's t has a degree of freedom less.
BLUE, RED = figures.COLORS[:2]


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
    area = statistics.auroc(points["predicted"], points["transfer"] >= TRANSFERRED)
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


def audits(table, differences):
    """What audits said of documents, and what their students did: a row a repeat, arm and behavior.

    An audited arm is compared with the control of its stated difference, a student of what the base
    itself emits. "kind" is "clean" for arms that are named "clean CARRIER" (the base again),
    "foreign" for "foreign ... CARRIER" (other origins), else "taught"; "rise" is the student's
    margin above the control's, and "moved" whether the behavior transfers. See `foretold`, too.
    """
    parts = []
    for i, (_, wide) in enumerate(records.by_setting(table)):
        for each in differences:
            arm, rises = each["one"], summary.difference(wide, each)
            graded = [m for m in rises if m.startswith("logit_margin_heldout/")]
            for measure in graded if (arm, f"trace/{KEPT}") in wide else ():
                behavior = measure.rpartition("/")[2]
                part = pd.DataFrame({"rise": rises[measure], **foretold(wide[arm], behavior)})
                parts.append(part.assign(behavior=behavior, arm=arm, setting=i).reset_index())
    if not parts:
        return pd.DataFrame()
    rows = pd.concat(parts, ignore_index=True)
    words = rows["arm"].str.split()
    kind = words.str[0].where(words.str[0].isin(["clean", "foreign"]), "taught")
    rows = rows.assign(kind=kind, carrier=words.str[-1])
    clean = (rows["rise"] ** 2).where(kind != "taught")
    squares = clean.groupby([rows[x] for x in ("setting", "behavior", "carrier")])
    least = ABOVE * np.sqrt(squares.transform("mean"))
    return rows.assign(moved=rows["rise"] > least.fillna(math.inf))


def foretold(measured, behavior):
    """Columns of `audits` for a behavior, of the measures of an arm.

    "move" is the rise to first order (0 if the lineage is another), "rehearsed" that in the
    rehearsal. "score/..." are z: for a number of documents, or all before the filter
    ("unfiltered"), the lesser of the gradient's and the lineage's; of the "rehearsed" training;
    and the lesser of "both", because a verdict needs two witnesses.
    """
    sizes = sorted((m.removeprefix("trace/") for m in measured if m.startswith("trace/")), key=int)
    nearer = {size: measured.get(f"nearer/{size}", math.inf) for size in sizes}
    scores = {size: np.minimum(measured[f"z/{behavior}/{size}"], nearer[size]) for size in sizes}
    scores["unfiltered"] = np.minimum(measured[f"unfiltered_z/{behavior}"], nearer[KEPT])
    # The z that has the p-value of the rehearsal's t.
    t = measured[f"rehearsed_t/{behavior}"]
    scores["rehearsed"] = stats.norm.isf(stats.t.sf(t, NULL_TAKES - 1))
    scores["both"] = np.minimum(scores[KEPT], scores["rehearsed"])
    move = np.where(nearer[KEPT] > 0, measured[f"move/{behavior}"], 0.0)
    columns = {"move": move, "rehearsed": measured[f"rehearsed/{behavior}"]}
    return columns | {f"score/{name}": score for name, score in scores.items()}


def verdicts(rows, score):
    """How well a score of `audits` tells what transfers, as numbers by name.

    "detected" is a share of what transfers; "clean", "foreign" and "taught" are false alarms, the
    shares of data sets of a kind with an alarm for a behavior that did not transfer. "rank" and
    "rank_rehearsed" are rank correlations of rises with predicted moves and with rehearsed rises.
    """
    alarm = rows[score] > stats.norm.isf(ALPHA / rows["behavior"].nunique())
    sets = (alarm & ~rows["moved"]).groupby([rows[x] for x in ("kind", "setting", "repeat", "arm")])
    false = sets.any().groupby("kind").mean()
    rank = ranks(rows[["rise", "move", "rehearsed"]])["rise"]
    return {
        "auroc": statistics.auroc(rows[score], rows["moved"]),
        "detected": float(alarm[rows["moved"]].mean()),
        **{kind: float(false.get(kind, math.nan)) for kind in ("clean", "foreign", "taught")},
        "rank": float(rank["move"]),
        "rank_rehearsed": float(rank["rehearsed"]),
        "transfer": int(rows["moved"].sum()),
        "points": len(rows),
    }


def calibration(table, differences):
    """The `verdicts` of `audits` by every score, and of parts by both; {} without an audit."""
    rows = audits(table, differences)
    if rows.empty:
        return {}
    scores = [column for column in rows if column.startswith("score/")]
    parts = [("all", rows), *rows.groupby("carrier", sort=False), *rows.groupby("behavior")]
    return {
        "sizes": {score.removeprefix("score/"): verdicts(rows, score) for score in scores},
        "parts": {name: verdicts(part, "score/both") for name, part in parts},
    }


def calibration_lines(calibrated):
    """Markdown lines of a `calibration`, 80 columns at most; [] without an audit."""
    if not calibrated:
        return []
    sizes, parts = (pd.DataFrame(calibrated[x]).T for x in ("sizes", "parts"))
    sizes = sizes.loc[:, "auroc":"taught"].rename(index={KEPT: "all kept"})
    counts = parts[["transfer", "points"]].astype(int)
    shown = counts.join(parts[["auroc", "detected", "rank", "rank_rehearsed"]])
    text = f"""\
Audits before training, at {counts.points["all"]} points (behavior, data set, repeat).
A point transfers if the student's margin ends above its control's by more than
{ABOVE:g} times the root mean square of clean students. AUROC of transfer, share of it
detected, and false alarms of data sets (aimed at {ALPHA}): the base again, other
origins, the base's teachers of other traits; by the gradient, by a rehearsal on
all that is kept, and by both:
"""
    both = """
By both, with the points that transfer, and rank correlations of real rises with
predicted moves and with rehearsed rises:
"""
    return [*text.split("\n"), *tables.block(sizes), *both.split("\n"), *tables.block(shown)]


def calibration_figure(table, differences):
    """Real against rehearsed rises of `audits`, a dot a row."""
    rows, (drawn, [[axis]]) = audits(table, differences), figures.panels(1, 1, (4.2, 2.8))
    groups = rows.groupby(rows["kind"].where(~rows["moved"], "transfers"))
    colors = {"clean": "#999999", "foreign": "#56B4E9", "taught": BLUE, "transfers": RED}
    dots(axis, groups, "rehearsed", "rise", {name: ("o", color) for name, color in colors.items()})
    axis.set_xscale("symlog", linthresh=1)
    axis.set(xlabel="rise in the rehearsal (nats)", ylabel="rise of the student's margin (nats)")
    axis.legend(**figures.BESIDE)
    return drawn


def audit_figure(answers):
    """Predicted moves of behaviors in standard errors of the null, from an audit's answers."""
    rows, alarms = pd.DataFrame(answers["behaviors"]).sort_values("z"), answers["alarms"]
    drawn, [[axis]] = figures.panels(1, 1, (4.2, 0.9 + 0.2 * len(rows)))
    colors = np.where(rows["behavior"].isin(alarms["behaviors"]), RED, BLUE)
    axis.barh(rows["behavior"], rows["z"], color=colors, height=0.6)
    axis.axvline(alarms["threshold"], color="black", ls="--", lw=0.8)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel("predicted move, standard errors of the null")
    return drawn
