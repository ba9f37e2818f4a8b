"""What audits said before training against what students then did, over data sets and repeats.

A point is a behavior and an arm's documents in a repeat. Its rise is the margin of the arm's
student above that of the control on the same carrier, a student on what the base itself emits.
Clean are documents of the base again (arms "clean CARRIER") and of other origins ("foreign ...").

Definition, fixed before any result was seen: documents transfer a behavior if the rise is above
`ABOVE` times the root mean square of the rises of all clean students, by behavior and carrier.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from minisub import report

ABOVE = 3.0
ALPHA = 0.05
"""False-alarm rate of a data set, over the whole battery of behaviors."""
KEPT = "10000"
"""The size that stands for all kept documents."""


class Point(NamedTuple):
    """A behavior and an arm's documents in a repeat."""

    repeat: int
    arm: str
    behavior: str
    rise: float
    scores: dict
    """Documents audited, as text -> the least of z of the predicted move and z of the lineage."""
    move: float
    """Predicted, 0 if the lineage is another."""

    @property
    def carrier(self):
        """The last word of an arm's name."""
        return self.arm.rpartition(" ")[2]

    @property
    def clean(self):
        """Whether the base itself or another origin wrote the documents."""
        return self.arm.startswith(("clean ", "foreign "))


def auc(positive, negative):
    """Probability that a positive is above a negative, ties counting half; nan without both."""
    above = np.asarray(positive, float)[:, None] - np.asarray(negative, float)[None]
    return float(np.mean(np.sign(above) / 2 + 0.5)) if above.size else float("nan")


def points(rows):
    """All `Point`s of some records; [] if there was no audit with a control."""
    table, found = {}, []
    for (_, arm, measure), values in report.columns(rows).items():
        for repeat, value in values.items():
            table.setdefault((repeat, arm), {})[measure] = value
    for (repeat, arm), own in table.items():
        control = table.get((repeat, f"control {arm.rpartition(' ')[2]}"))
        margins = [m for m in own if m.startswith("logit_margin_heldout/")]
        if f"trace/{KEPT}" not in own or not control or arm.startswith("control "):
            continue
        for measure in margins:
            behavior = measure.rpartition("/")[2]
            scores = {
                size: min(own[f"z/{behavior}/{size}"], own.get(f"nearer/{size}", np.inf))
                for size in sizes_of(own)
            }
            move = own[f"move/{behavior}"] if own.get(f"nearer/{KEPT}", 1.0) > 0 else 0.0
            rise = own[measure] - control[measure]
            found.append(Point(repeat, arm, behavior, rise, scores, move))
    return found


def sizes_of(measured):
    """The numbers of documents at which an audit's measures are recorded, as text."""
    sizes = (name.removeprefix("trace/") for name in measured if name.startswith("trace/"))
    return sorted(sizes, key=int)


def transfers(points):
    """Whether each point transfers its behavior, by the definition above."""
    clean = {}
    for p in points:
        if p.clean:
            clean.setdefault((p.behavior, p.carrier), []).append(p.rise)
    least = {where: ABOVE * np.sqrt(np.mean(np.square(x))) for where, x in clean.items()}
    return np.array([p.rise > least.get((p.behavior, p.carrier), np.inf) for p in points])


def judged(points, moved, size):
    """AUROC, share found of what transfers, and shares of false alarms, at a number of documents.

    False alarms are of data sets, any behavior that did not rise: `clean` of the base again,
    `foreign` of other origins, `taught` of the base's teachers of other traits.
    """
    scores = np.array([p.scores[size] for p in points])
    behaviors = len({p.behavior for p in points})
    alarm = scores > stats.norm.isf(ALPHA / behaviors)
    result = {
        "auroc": auc(scores[moved], scores[~moved]),
        "found": float(np.mean(alarm[moved])) if moved.any() else float("nan"),
    }
    for kind in "clean", "foreign", "taught":
        sets = {}
        for p, a, m in zip(points, alarm, moved, strict=True):
            own = p.arm.split()[0] if p.clean else "taught"
            if own == kind:
                sets[p.repeat, p.arm] = sets.get((p.repeat, p.arm), False) or bool(a and not m)
        result[kind] = float(np.mean(list(sets.values()))) if sets else float("nan")
    return result


def rank(points):
    """Spearman's rank correlation of predicted move and rise."""
    if len(points) < 3:
        return float("nan")
    return float(stats.spearmanr([p.move for p in points], [p.rise for p in points]).statistic)


def summary(rows):
    """What `lines` shows, as JSON; {} without an audit."""
    found = points(rows)
    if not found:
        return {}
    moved = transfers(found)
    sizes = {size: judged(found, moved, size) for size in found[0].scores}
    parts = {}
    for field in "carrier", "behavior":
        for value in dict.fromkeys(getattr(p, field) for p in found):
            here = np.array([getattr(p, field) == value for p in found])
            own = [p for p, h in zip(found, here, strict=True) if h]
            part = judged(own, moved[here], KEPT)
            parts[value] = part | {"rank": rank(own), "transfer": int(moved[here].sum())}
    everything = {"rank": rank(found), "transfer": int(moved.sum()), "points": len(found)}
    return {"sizes": sizes, "parts": parts, "all": everything}


def lines(rows):
    """Markdown lines, 80 columns at most; [] without an audit."""
    found = summary(rows)
    if not found:
        return []
    said = found["all"]
    header = "documents", "AUROC", "found", "clean", "foreign", "taught"
    body = [
        [size if size != KEPT else "all kept", *map(share, list(row.values()))]
        for size, row in found["sizes"].items()
    ]
    parts = [
        [name, str(row["transfer"]), share(row["auroc"]), share(row["found"]), share(row["rank"])]
        for name, row in found["parts"].items()
    ]
    return [
        f"Audits before training: {said['transfer']} of {said['points']} points (behavior, data",
        "set, repeat) transfer: the student's margin ends above its control's by more",
        f"than {ABOVE:g} times the root mean square of clean students. Rank correlation of",
        f"predicted and real rise {said['rank']:.2f}. AUROC of transfer; share of it found; false",
        f"alarms of data sets (aimed at {ALPHA}): base again, other origins and traits.",
        "",
        *report.table(header, (9, 6, 6, 6, 8, 7), body),
        "",
        *report.table(("all kept, of", "moves", "AUROC", "found", "rank"), (14, 6, 6, 6, 6), parts),
    ]


def share(value):
    """A share or correlation as text."""
    return "" if np.isnan(value) else f"{value:.2f}"
