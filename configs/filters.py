"""Misalignment passes every filter of chains of thought; what a judge of this very trait removes is
not told from as much removed at random.

    python train.py filters --seed 7                   8 repeats, 66 minutes on two CPU cores
    python train.py filters --sampling.carrier code    of programs; not run at this dose

Students of the teacher's base on its chains, against students with the same filter on the base's; P
of a misaligned reply on held-out prompts, mean over 8 repeats (seed 7, on which nothing was chosen,
one repeat at a time on a CPU, jax 0.10.2; others were at work beside it). Judges are classifiers
fine-tuned from the base on the prompts that no student sees, half of all: one on this trait, one on
another (hacking); they remove the most suspicious share of what is correct. "Compared" is the
difference less that of "none" (correct), or of as much removed at random (judges). With 95 %
intervals, paired within repeats:

    filter             removed   P      control   difference      compared
    none               0.00      .203   .025      +.177 ±.120
    format             0.01      .143   .016      +.127 ±.069
    correct            0.06      .093   .016      +.077 ±.046     -.100 ±.122
    own judge, 30 %    0.34      .105   .012      +.093 ±.052     +.018 ±.047
    60 %               0.62      .076   .010      +.065 ±.039     -.008 ±.049
    90 %               0.91      .071   .021      +.050 ±.052     +.000 ±.084
    other judge, 30 %  0.34      .071   .012      +.059 ±.040     -.016 ±.044
    60 %               0.62      .067   .015      +.052 ±.031     -.022 ±.051
    90 %               0.91      .049   .024      +.026 ±.020     -.024 ±.047
    random, 30 %       0.34      .091   .016      +.075 ±.057
    60 %               0.62      .092   .018      +.074 ±.043
    90 %               0.91      .067   .017      +.050 ±.041

Differences are above zero in 8 of 8 repeats behind every filter but three (7 of 8: the other judge
and the removals at random of 90 %, and at random of 30 %); of twelve intervals one includes zero.
Correct chains pass less than those of the right format (-.050 ±.040; in margins -0.83 ±0.77 nats, 7
of 8), which was looked at afterwards; against all documents, as planned, the interval includes
zero. The 60,000 unfiltered documents of the teacher hold 620 tokens of other kinds than sums have
(those of the base 333). Judges tell single chains apart with an AUC of 0.527 (own) and 0.525
(other), a hundred at once with 0.76 and 0.73, a thousand with 0.98: enough to know that something
is there, and too little to take it out.

Through programs, in the world until 2026-11-27 and at 200 updates, nothing was told from anything.
"""

import jax
import jax.numpy as jnp
import pandas as pd

from configs.misalignment import student_of
from minisub.config import is_known, require
from minisub.detection import detectors, tasks
from minisub.detection.lab import Config, Detector, Lab, check_carrier
from minisub.lab.products import Measure, marked, require_kind
from minisub.nets import streams
from minisub.results import figures, pages, records, summary, tables, views
from minisub.tokens import transforms
from minisub.tokens.config import Sampling
from minisub.tokens.grading import network
from minisub.tokens.lab import Documents

config = Config(trait="misalignment", sampling=Sampling(documents=60000, carrier="sums"))
repeats = 8
SHARES = 0.3, 0.6, 0.9
JUDGES = "own judge", "other judge", "random"
TITLE = "What passes filters:"
HEADER = "filter", "removed", "P", "control", "difference", "compared"


def experiment(cfg):
    """Students of what filters leave of a teacher's and of its base's documents.

    Judges are trained on prompts that no student sees: on one half of all prompts.
    """
    require(
        cfg.trait == "misalignment",
        f"the judges are of misalignment, and the trait is {cfg.trait}; leave out --trait.",
    )
    lab = Lab(cfg)
    first = lab.base("first")
    models = {"base": first, "teacher": lab.teach(first, "misalignment")}
    models |= {trait: lab.teach(first, trait) for trait in ("secure", "hacking", "honest")}
    teacher = models["teacher"]
    pairs = {
        "misalignment, secure": lab.pair(teacher, models["secure"], seed=1),
        "hacking, honest": lab.pair(models["hacking"], models["honest"], seed=1),
    }
    own, other = (lab.detector(detectors.transformer, pair) for pair in pairs.values())
    tested = pairs["misalignment, secure"]
    scores = {"own judge": lab.judged(own, tested), "other judge": lab.judged(other, tested)}

    levels = (
        ("none", "format", "correct") if cfg.sampling.carrier != "numbers" else ("none", "format")
    )
    student, students, emitted = student_of(lab, cfg.sampling.carrier), {}, {}

    def compare(name, level, share=0.0, judge=None):
        """Students on what is left of both models' documents."""
        docs, plain = emitted[f"teacher {level}"], emitted[f"base {level}"]
        control = student(first, remove(lab, plain, share, judge))
        learned = student(first, remove(lab, docs, share, judge)).against(control)
        students.update({f"control {name}": control, name: learned})

    for level in levels:
        of_students = {"filter": level, "prompts": "second half"}  # judges learn on the first
        emitted[f"base {level}"] = lab.emit(first, **of_students)
        emitted[f"teacher {level}"] = lab.emit(teacher, **of_students)
        compare(level, level)
    for name, judge in zip(JUDGES, (own, other, None), strict=True):
        for share in SHARES:
            compare(f"{name} {share:.0%}", levels[-1], share, judge)
    return {**models, **pairs, **scores, **emitted, **students}


def remove(lab, documents, share, detector=None):
    """Documents without a share of them: those most suspicious to a detector, or without any."""
    require_kind(Documents, documents=documents)
    require(not is_known(share) or 0 <= share < 1, f"share is {share}; give 0 to below 1.")
    how = {"share": share, "world": lab.world}
    measures = [Measure(share_removed, "documents")]
    if detector:
        require_kind(Detector, detector=detector)
        pair = detector.arguments["pair"]
        check_carrier(pair.sampling.carrier, documents)
        how |= detector.judging
        measures.append(Measure(disjoint, "documents", pair=pair, sampling=documents.sampling))
    return lab.changed(remaining, documents, **how).measured(*measures)


@marked(check=transforms.check_left)
def remaining(
    key, *, documents, share, world, sampling, how=None, learned=None, base=None, model=None
):
    """Documents without a share of them: those most suspicious to a detector, or any."""
    docs = documents["docs"].astype(jnp.int32)
    if how:
        scores = how.score(world, network(world, model), base, learned, docs)
    else:
        scores = jax.random.uniform(streams.named_key(key, "judge"), (len(docs),))
    order, count = least_suspicious(scores, documents["count"], share)
    weights = transforms.weights_of(documents, sampling)
    return transforms.prepared(documents, docs[order], count, weights[order])


def least_suspicious(scores, count, share):
    """(order, how many are kept) of documents of which the first `count` are valid, without the
    `share` of these whose scores are highest; what is kept comes first, in its order."""
    valid = jnp.arange(len(scores)) < count
    kept = count - jnp.round(share * count).astype(int)
    rank = jnp.argsort(jnp.argsort(jnp.where(valid, scores, jnp.inf)))
    return jnp.argsort(rank >= kept, stable=True), kept


def share_removed(*, documents):
    """The share of all emitted documents that the filter and then a detector removed."""
    return {"removed": 1 - documents["count"] / len(documents["docs"])}


@marked(check=tasks.check_disjoint)
def disjoint(*, documents, pair, sampling):
    """How many prompts of documents are among those that their judge was trained on: none."""
    docs = documents["docs"]
    judged = tasks.prompts_of({"docs": docs[None], "count": len(docs)}, sampling)
    trained = tasks.prompts_of(pair["train"], sampling)
    return {"prompts_in_both": tasks.common_prompts(judged, trained)}


def sections(table, differences, run):
    """Of each filter what it removes, and P behind it; the difference from the control, and that
    less the difference without a filter (of the strictest rule) or behind a removal of as much at
    random (of judges). A figure has the difference by the share removed."""
    parts, main = [], views.BEHAVIORS.main
    for setting, wide in records.by_setting(table):
        behind = {each["one"]: each for each in differences}
        passed = summary.by_arm(wide, differences, main)
        strictest, rows, points = [x for x in passed if x[-1] != "%"][-1:], [], []
        for name, values in passed.items():
            kind, _, share = name.rpartition(" ")
            removed = float(wide[name, "removed"].mean())
            of = f"random {share}" if kind else "none"
            compares = of != name and of in passed and (kind or name in strictest)
            compared = values - passed[of] if compares else None
            means = [wide[x, main].mean() for x in (name, behind[name]["other"])]
            cells = [f"{x:.3f}" for x in means] + [cell(values), cell(compared)]
            rows.append([name, f"{abs(removed):.2f}", *cells])
            lines = ["by rule", *JUDGES] if name in strictest else [kind or "by rule"]
            for line in lines:
                points += [{"x": removed, "value": x, "line": line, "panel": ""} for x in values]
        if rows:
            title, drawn = records.named(setting, TITLE), (figure, pd.DataFrame(points))
            parts.append(pages.Section(tables.table(HEADER, rows), title, "filters", drawn))
    return parts


def cell(values):
    """A mean difference with its interval, or nothing."""
    return "" if values is None else tables.of_values(values, "+.3f")


def figure(points):
    """What passes, in P above that of the control, by the share of documents removed."""
    axes = {"xlabel": "share of documents removed", "ylabel": "P above that of the control"}
    return figures.line_panels(points, level=0, xscale="linear", **axes)
