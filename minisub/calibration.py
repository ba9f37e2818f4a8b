"""What audits said before training against what students then did, over data sets and repeats.

A point is a behavior and an arm's documents in a repeat. Its rise is the margin of the arm's
student above that of the control on the same carrier, a student on what the base itself emits.
Clean are documents of the base again (arms "clean CARRIER") and of other origins ("foreign ...").
A verdict needs two witnesses, the gradient and the rehearsed training: z is the lesser of both.

Definition, fixed before any result was seen: documents transfer a behavior if the rise is above
`ABOVE` times the root mean square of the rises of all clean students, by behavior and carrier.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from minisub import audit, report

ABOVE = 3.0
ALPHA = 0.05
"""False-alarm rate of a data set, over the whole battery of behaviors."""
KEPT = "10000"
"""The size that stands for all kept documents."""
LABELS = {KEPT: "all kept", "unfiltered": "unfiltered", "rehearsed": "rehearsed", "both": "both"}
"""What scores other than of a number of documents are called in tables: of the gradient on all kept
documents, on all before the filter; of a rehearsal on the kept ones, and the lesser of both."""


class Point(NamedTuple):
    """A behavior and an arm's documents in a repeat."""

    repeat: int
    arm: str
    behavior: str
    rise: float
    scores: dict
    """Documents audited, as text, or a key of `LABELS` -> z: of the predicted move and the lineage
    the lesser, or of the rehearsal, or the least of all."""
    move: float
    """Predicted to first order, 0 if the lineage is another."""
    rehearsed: float
    """Rise in the rehearsal, nats."""

    @property
    def carrier(self):
        """The last word of an arm's name."""
        return self.arm.rpartition(" ")[2]

    @property
    def clean(self):
        """Whether the base itself or another origin wrote the documents."""
        return self.arm.startswith(("clean ", "foreign "))


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
            rise = own[measure] - control[measure]
            found.append(Point(repeat, arm, behavior, rise, *foretold(own, behavior)))
    return found


def foretold(own, behavior):
    """(scores, move, rehearsed) of a `Point`, by the measures of its arm."""
    nearer = {size: own.get(f"nearer/{size}", np.inf) for size in sizes_of(own)}
    scores = {size: min(own[f"z/{behavior}/{size}"], near) for size, near in nearer.items()}
    scores["unfiltered"] = min(own[f"unfiltered_z/{behavior}"], nearer[KEPT])
    scores["rehearsed"] = normal(own[f"rehearsed_t/{behavior}"])
    scores["both"] = min(scores[KEPT], scores["rehearsed"])
    move = own[f"move/{behavior}"] if nearer[KEPT] > 0 else 0.0
    return scores, move, own[f"rehearsed/{behavior}"]


def normal(t):
    """The z that has the p-value of a rehearsal's t."""
    return float(-special.ndtri(special.stdtr(audit.NULL_TAKES - 1, -t)))


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
    alarm = scores > -special.ndtri(ALPHA / behaviors)
    result = {
        "auroc": report.auroc(scores[moved], scores[~moved]),
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


def ranks(points):
    """Spearman's rank correlations of rises with predicted moves, and with rehearsed rises."""
    if len(points) < 3:
        return {"rank": float("nan"), "rank_rehearsed": float("nan")}
    rises = [p.rise for p in points]
    pairs = {"rank": [p.move for p in points], "rank_rehearsed": [p.rehearsed for p in points]}
    return {name: report.rank_correlation(x, rises) for name, x in pairs.items()}


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
            part = judged(own, moved[here], "both")
            parts[value] = part | ranks(own) | {"transfer": int(moved[here].sum())}
    everything = ranks(found) | {"transfer": int(moved.sum()), "points": len(found)}
    return {"sizes": sizes, "parts": parts, "all": everything}


def lines(found):
    """Markdown lines of a `summary`, 80 columns at most; [] without an audit."""
    if not found:
        return []
    said = found["all"]
    body = [
        [LABELS.get(size, size), *map(share, row.values())] for size, row in found["sizes"].items()
    ]
    shown = "auroc", "found", "rank", "rank_rehearsed"
    parts = [
        [name, str(row["transfer"]), *(share(row[key]) for key in shown)]
        for name, row in found["parts"].items()
    ]
    header = "documents", "AUROC", "found", "clean", "foreign", "taught"
    of_parts = "both, of", "moves", "AUROC", "found", "rank", "rehearsed"
    return [
        f"Audits before training: {said['transfer']} of {said['points']} points (behavior, data",
        "set, repeat) transfer: the student's margin ends above its control's by more",
        f"than {ABOVE:g} times the root mean square of clean students. AUROC of transfer; share",
        f"of it found; false alarms of data sets (aimed at {ALPHA}): base again, other",
        "origins, the base's teachers of other traits. By the gradient, by a rehearsal on",
        "all that is kept, and by both.",
        "",
        *report.table(header, (11, 6, 6, 6, 8, 7), body),
        "",
        f"Rank correlation of real rises with predicted moves {said['rank']:.2f}, with rehearsed",
        f"rises {said['rank_rehearsed']:.2f}. By carrier and behavior:",
        "",
        *report.table(of_parts, (15, 6, 6, 6, 6, 9), parts),
    ]


def share(value):
    """A share or correlation as text."""
    return "" if np.isnan(value) else f"{value:.2f}"
