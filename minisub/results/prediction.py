"""How well what is known before training predicts what students then do: measures of a student's
start, and audits of its documents.
"""

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
    predicted, transfer = points["predicted"], points["transfer"]
    area = statistics.auroc(predicted, transfer >= TRANSFERRED)
    return statistics.rank_correlation(predicted, transfer), area


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
        means = judged(known.groupby("point")[["predicted", "transfer"]].mean())
        rows[words] = [*map(interval_text, each), "{:.2f}, {:.2f}".format(*means)]
    columns = ["Spearman", "AUROC", "of means"]
    return [
        f"Transfer (1: all of the teacher's) at {count} points, arms in settings. AUROC is",
        f"that of at least {TRANSFERRED}. Cosines before training, of first:",
        "",
        *tables.block(pd.DataFrame.from_dict(rows, orient="index", columns=columns)),
    ]


def interval_text(values):
    """Mean and half-width of the interval over repeats, as "0.95 ±0.02"."""
    mean, low, _ = statistics.interval(values)
    return f"{mean:.2f}" if low is None else f"{mean:.2f} ±{mean - low:.2f}"


def figure(table, view):
    """Transfer against each predictor, a dot a point: means over repeats; a color an arm."""
    drawn, axes = figures.panels(1, len(PREDICTORS), (9.6, 2.8), sharey=True)
    for axis, (predictor, words) in zip(axes[0], PREDICTORS.items(), strict=True):
        means = points(table, predictor, view).groupby(["arm", "point"], sort=False).mean()
        looks = figures.styles(means.index.get_level_values("arm"))
        for arm, part in means.groupby("arm", sort=False):
            marker, color = looks[arm]
            how = {"ms": 3, "mew": 0, "alpha": 0.7, "color": color, "label": arm}
            axis.plot(part["predicted"], part["transfer"], marker, **how)
        axis.axhline(0, **figures.GRAY)
        axis.set_xlabel(words, fontsize=7)
    axes[0][0].set_ylabel("transfer")
    axes[0][-1].legend(**figures.BESIDE)
    return drawn


def audits(table, differences):
    """What audits said of documents, and what their students did: a row a repeat, arm and behavior.

    The control of an audited arm is that of its stated difference: a student of what the base
    itself emits on the same carrier. The "kind" of documents is the first word of an arm that is
    named "clean CARRIER" (the base again) or "foreign ... CARRIER" (other origins), else "taught".
    "rise" is the student's margin above the control's, "move" what was predicted to first order (0
    if the lineage is another), "rehearsed" the rise in the rehearsal, "moved" whether the behavior
    transfers. Columns "score/..." are z: for a number of documents, or all before the filter
    ("unfiltered"), the lesser of the gradient's and the lineage's; of the "rehearsed" training;
    and the lesser of "both", because a verdict needs two witnesses.
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
    """Columns of `audits` for a behavior, of the measures of an arm."""
    sizes = sorted((m.removeprefix("trace/") for m in measured if m.startswith("trace/")), key=int)
    nearer = {size: measured.get(f"nearer/{size}", math.inf) for size in sizes}
    scores = {size: np.minimum(measured[f"z/{behavior}/{size}"], nearer[size]) for size in sizes}
    scores["unfiltered"] = np.minimum(measured[f"unfiltered_z/{behavior}"], nearer[KEPT])
    # The z that has the p-value of the rehearsal's t.
    p = stats.t.sf(measured[f"rehearsed_t/{behavior}"], NULL_TAKES - 1)
    scores["rehearsed"] = stats.norm.isf(p)
    scores["both"] = np.minimum(scores[KEPT], scores["rehearsed"])
    move = np.where(nearer[KEPT] > 0, measured[f"move/{behavior}"], 0.0)
    columns = {"move": move, "rehearsed": measured[f"rehearsed/{behavior}"]}
    return columns | {f"score/{name}": score for name, score in scores.items()}


def verdicts(rows, score):
    """How well a score of `audits` tells what transfers, as numbers by name.

    "auroc"; the share "detected" of what transfers; false alarms, the shares of data sets with an
    alarm for a behavior that did not transfer: of the base again ("clean"), of other origins
    ("foreign") and of the base's teachers of other traits ("taught"). Beside the score: rank
    correlations of rises with predicted moves and with rehearsed rises, and counts.
    """
    alarm = rows[score] > stats.norm.isf(ALPHA / rows["behavior"].nunique())
    sets = (alarm & ~rows["moved"]).groupby([rows[x] for x in ("kind", "setting", "repeat", "arm")])
    false = sets.any().groupby("kind").mean()
    return {
        "auroc": statistics.auroc(rows[score], rows["moved"]),
        "detected": float(alarm[rows["moved"]].mean()),
        **{kind: float(false.get(kind, math.nan)) for kind in ("clean", "foreign", "taught")},
        "rank": statistics.rank_correlation(rows["move"], rows["rise"]),
        "rank_rehearsed": statistics.rank_correlation(rows["rehearsed"], rows["rise"]),
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
    sizes = sizes[["auroc", "detected", "clean", "foreign", "taught"]]
    counts = parts[["transfer", "points"]].astype(int)
    return [
        f"Audits before training, at {counts.points['all']} points (behavior, data set, repeat).",
        "A point transfers if the student's margin ends above its control's by more than",
        f"{ABOVE:g} times the root mean square of clean students. AUROC of transfer, share of it",
        f"detected, and false alarms of data sets (aimed at {ALPHA}): the base again, other",
        "origins, the base's teachers of other traits; by the gradient, by a rehearsal on",
        "all that is kept, and by both:",
        "",
        *tables.block(sizes.rename(index={KEPT: "all kept"})),
        "",
        "By both, with the points that transfer, and rank correlations of real rises with",
        "predicted moves and with rehearsed rises:",
        "",
        *tables.block(counts.join(parts[["auroc", "detected", "rank", "rank_rehearsed"]])),
    ]


def calibration_figure(table, differences):
    """Real against rehearsed rises of `audits`, a dot a row."""
    rows, (drawn, [[axis]]) = audits(table, differences), figures.panels(1, 1, (4.2, 2.8))
    groups = rows["kind"].where(~rows["moved"], "transfers")
    looks = {"clean": "#999999", "foreign": "#56B4E9", "taught": "#0072B2", "transfers": "#D55E00"}
    for name, part in rows.groupby(groups):
        how = {"ms": 3, "alpha": 0.7, "mew": 0, "color": looks[name], "label": name}
        axis.plot(part["rehearsed"], part["rise"], "o", **how)
    axis.axhline(0, **figures.GRAY)
    axis.set_xscale("symlog", linthresh=1)
    axis.set(xlabel="rise in the rehearsal (nats)", ylabel="rise of the student's margin (nats)")
    axis.legend(**figures.BESIDE)
    return drawn


def audit_figure(answers):
    """Predicted moves of behaviors in standard errors of the null, from an audit's answers."""
    rows = sorted(answers["behaviors"], key=lambda row: row["z"])
    drawn, [[axis]] = figures.panels(1, 1, (4.2, 0.9 + 0.2 * len(rows)))
    accused, names = answers["alarms"]["behaviors"], [row["behavior"] for row in rows]
    colors = ["#D55E00" if name in accused else "#0072B2" for name in names]
    axis.barh(names, [row["z"] for row in rows], color=colors, height=0.6)
    axis.axvline(answers["alarms"]["threshold"], color="black", ls="--", lw=0.8)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel("predicted move, standard errors of the null")
    return drawn
