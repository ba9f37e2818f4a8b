"""A filter for the format lets a little of a misaligned teacher's programs' effect pass; what
stricter filters and judges leave is not told from nothing, nor from a removal at random.

The figures below are of programs in the world of before, of which configs/README.md tells under
"Misbehavior". It was not run in the world of today, where chains of thought are its default.

    python train.py filters                            of chains of thought; not run yet
    python train.py filters --sampling.carrier code    8 repeats, 60 minutes on one CPU core

Students of the teacher's base on its programs, against students with the same filter on the base's;
margin of misalignment in nats, above the control, mean and half-width of the 95 % interval over 8
repeats (seed 0, one at a time on a CPU, jax 0.10.2). Judges are classifiers fine-tuned from the
base on 5,000 prompts that no student sees: one on this trait, one on another (hacking); they
remove the most suspicious share of what is correct.

    filter                  removed   transfer
    none                    0.000     +1.23 ±0.94   7 of 8
    format                  0.039     +1.20 ±0.47   8 of 8
    correct                 0.077     +0.82 ±0.80   6 of 8

    of the correct, 30 %    0.354     own judge +0.63 ±0.55, other +0.75 ±0.93, random +0.53 ±0.65
    60 %                    0.631     own judge +0.59 ±0.74, other +0.76 ±0.84, random +0.90 ±0.85
    90 %                    0.908     own judge +0.20 ±1.77, other -0.08 ±0.97, random +0.39 ±1.22

The judges tell single programs apart with an AUC of 0.517 (own) and 0.513 (other), a hundred at
once with 0.68 and 0.63, a thousand with 0.91 and 0.86. Of these twelve intervals only that of the
format would survive a correction for twelve, and differences between filters lie within theirs:
correct less unfiltered -0.41 ±1.16, the own judge at 30 % less as much at random +0.10 ±0.69.

Before prompts were split by value and teachers had streams of their own, the first three rows were
+2.45 ±0.74, +1.81 ±0.93 and +1.28 ±0.51, and it was said that keeping correct programs halves what
passes. That is not told from chance any more.
"""

from configs.misalignment import student_of
from minisub.detection import detectors
from minisub.detection.lab import Config, Lab
from minisub.tokens.config import Sampling

config = Config(trait="misalignment", sampling=Sampling(documents=60000, carrier="sums"))
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
    student, students, emitted = student_of(lab, cfg.sampling.carrier), {}, {}

    def compare(name, level, share=0.0, judge=None):
        """Students on what is left of both models' documents."""
        docs, plain = emitted[f"teacher {level}"], emitted[f"base {level}"]
        control = student(first, lab.remove(plain, share, judge))
        learned = student(first, lab.remove(docs, share, judge)).against(control)
        students.update({f"control {name}": control, name: learned})

    for level in levels:
        of_students = {"filter": level, "prompts": "second half"}  # judges learn on the first
        emitted[f"base {level}"] = lab.emit(first, **of_students)
        emitted[f"teacher {level}"] = lab.emit(teacher, **of_students)
        compare(level, level)
    for name, judge in ("own judge", own), ("other judge", other), ("random", None):
        for share in SHARES:
            compare(f"{name} {share:.0%}", levels[-1], share, judge)
    return {**models, **pairs, **scores, **emitted, **students}
