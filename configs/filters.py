"""Keeping correct programs only halves what passes of a misaligned teacher; what a trained judge
removes beyond that is not told from a removal at random.

    python train.py filters    8 repeats, 30 minutes of one CPU core, bases made before
    python train.py filters --sampling.carrier sums    or numbers; these were not run

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

from minisub.detection import detectors
from minisub.detection.lab import Config, Lab
from minisub.tokens.config import Sampling

config = Config(trait="misalignment", sampling=Sampling(documents=10000, carrier="code"))
repeats = 8
SHARES = 0.3, 0.6, 0.9


def experiment(cfg):
    """Students of what filters leave of a teacher's and of its base's documents.

    Judges are trained on prompts that no student sees: on one half of all prompts.
    """
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
    students, emitted = {}, {}

    def compare(name, level, share=0.0, judge=None):
        """Students on what is left of both models' documents."""
        docs, plain = emitted[f"teacher {level}"], emitted[f"base {level}"]
        control = lab.student(first, lab.remove(plain, share, judge))
        student = lab.student(first, lab.remove(docs, share, judge)).against(control)
        students.update({f"control {name}": control, name: student})

    for level in levels:
        of_students = {"filter": level, "prompts": "second half"}  # judges learn on the first
        emitted[f"base {level}"] = lab.emit(first, **of_students)
        emitted[f"teacher {level}"] = lab.emit(teacher, **of_students)
        compare(level, level)
    for name, judge in ("own judge", own), ("other judge", other), ("random", None):
        for share in SHARES:
            compare(f"{name} {share:.0%}", levels[-1], share, judge)
    return {**models, **pairs, **scores, **emitted, **students}
