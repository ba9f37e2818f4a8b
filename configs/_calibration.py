"""What audits said of documents before training, against what their students then did."""

import math

import numpy as np
import pandas as pd
from scipy import stats

from minisub.audit import trace
from minisub.results import figures, prediction, records, statistics, summary, tables
from minisub.results.pages import Section

ABOVE, ALPHA = 3.0, 0.05
"""An audited data set transfers a behavior if its student's rise is above `ABOVE` times the root
mean square of those of clean students. `ALPHA` is the rate of false alarms that audits aim at, for
a data set and the whole battery of behaviors. Both were fixed before any result was seen."""
KEPT = "10000"  # The size by which audits name the measures of all kept documents.
COLORS = {"clean": "#999999", "foreign": "#56B4E9", "taught": "#0072B2", "transfers": "#D55E00"}


def sections(table, differences):
    """What is added to the page of a run: tables and a figure; [] if no audit was recorded."""
    rows = audits(table, differences)
    return [] if rows.empty else [Section(lines(rows), "", "audit", (figure, rows))]


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
    scores["rehearsed"] = stats.norm.isf(stats.t.sf(t, trace.NULL_TAKES - 1))
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
    rank = prediction.ranks(rows[["rise", "move", "rehearsed"]])["rise"]
    return {
        "auroc": statistics.auroc(rows[score], rows["moved"]),
        "detected": float(alarm[rows["moved"]].mean()),
        **{kind: float(false.get(kind, math.nan)) for kind in ("clean", "foreign", "taught")},
        "rank": float(rank["move"]),
        "rank_rehearsed": float(rank["rehearsed"]),
        "transfer": int(rows["moved"].sum()),
        "points": len(rows),
    }


def calibration(rows):
    """The `verdicts` of `audits` by every score, and of parts of them by both: two tables."""
    scores = [column for column in rows if column.startswith("score/")]
    parts = [("all", rows), *rows.groupby("carrier", sort=False), *rows.groupby("behavior")]
    sizes = {score.removeprefix("score/"): verdicts(rows, score) for score in scores}
    both = {name: verdicts(part, "score/both") for name, part in parts}
    return pd.DataFrame(sizes).T, pd.DataFrame(both).T


def lines(rows):
    """Markdown lines, 80 columns at most: the `calibration` of `audits`."""
    sizes, parts = calibration(rows)
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


def figure(rows):
    """Real against rehearsed rises of `audits`, a dot a row."""
    drawn, [[axis]] = figures.panels(1, 1, (4.2, 2.8))
    groups = rows.groupby(rows["kind"].where(~rows["moved"], "transfers"))
    looks = {name: ("o", color) for name, color in COLORS.items()}
    prediction.dots(axis, groups, "rehearsed", "rise", looks)
    axis.set_xscale("symlog", linthresh=1)
    axis.set(xlabel="rise in the rehearsal (nats)", ylabel="rise of the student's margin (nats)")
    axis.legend(**figures.BESIDE)
    return drawn
