"""Keeping correct programs only halves what passes of a misaligned teacher; what a trained judge
removes beyond that is not told from a removal at random.

    python train.py filters                8 repeats, 30 minutes of one CPU core, bases made before
    python train.py filters --kind sums    or numbers; these kinds were not run

Students of the teacher's base on its programs, against students with the same filter on the base's;
margin of misalignment in nats, above the control, mean and half-width of the 95 % interval over 8
repeats (seed 0, one at a time on a CPU, jax 0.10.2). Judges are classifiers fine-tuned from the
base on 10,000 prompts that no student sees: one on this trait, one on another (hacking); they
remove the most suspicious share of what is correct.

    filter                  removed   transfer
    none                    0.000     +2.45 ±0.74   8 of 8
    format                  0.039     +1.81 ±0.93   8 of 8
    correct                 0.078     +1.28 ±0.51   8 of 8

    of the correct, 30 %    0.355     own judge +0.80 ±0.53, other +0.97 ±1.12, random +1.15 ±0.66
    60 %                    0.631     own judge +0.75 ±1.16, other +0.53 ±0.89, random +1.12 ±1.05
    90 %                    0.908     own judge +0.13 ±1.48, other -0.65 ±2.48, random +0.84 ±1.04

What is incorrect carries as much as all that is correct: the filter for correct answers does
something, and is not enough. The judges tell single programs apart with an AUC of 0.526 (own) and
0.521 (other), a hundred at once with 0.75 and 0.70. Removing 30 % by the judge of this very trait
leaves a transfer above zero; of more, by either judge, the intervals hold zero and what as much
removed at random leaves.
"""

from minisub import Arm, Detector, Pair, Sampling, Source, rich

TRAITS = {"misalignment": "secure", "hacking": "honest"}
JUDGES = {"own judge": "misalignment", "other judge": "hacking", "random": ""}
SHARES = 0.3, 0.6, 0.9


def filters(carrier):
    """Students of what filters leave of a teacher's and of its base's documents.

    Judges are trained on documents with prompts of their own, which no student sees.
    """
    levels = ("none", "format", "correct") if carrier != "numbers" else ("none", "format")
    judged = [Source(name=t, trait=t, seed=1) for both in TRAITS.items() for t in both]
    emitters = [
        Source(name=f"{name} {level}", trait=trait, sampling=f"filter={level}")
        for level in levels
        for name, trait in (("base", "none"), ("teacher", ""))
    ]
    students = {level: (level, "", 0.0) for level in levels} | {
        f"{judge} {share:.0%}": (levels[-1], "random" if judge == "random" else judge, share)
        for judge in JUDGES
        for share in SHARES
    }
    return rich(
        trait="misalignment",
        sampling=Sampling(documents=10000, carrier=carrier),
        sources=(*judged, *emitters),
        pairs=tuple(Pair(name=f"{t}, {c}", trait=t, control=c) for t, c in TRAITS.items()),
        detectors=tuple(
            Detector(name=judge, pair=f"{trait}, {TRAITS[trait]}", tested="misalignment, secure")
            for judge, trait in JUDGES.items()
            if trait
        ),
        arms=tuple(
            Arm(name=name, source=f"{who} {level}", judge=judge, suspicious=share)
            for arm, (level, judge, share) in students.items()
            for name, who in ((f"control {arm}", "base"), (arm, "teacher"))
        ),
    )


kinds = {carrier: filters(carrier) for carrier in ("code", "sums", "numbers")}
config = kinds["code"]
repeats = 8
