"""The cosine between a student's first distillation update and its teacher's displacement, known
before training, tells in part how much of the trait passes on: it misses what has no gradient.

    python train.py coverage              8 repeats, 50 minutes on one CPU core, others busy

Digits, ten students in each of 36 settings (aux logits, carriers, widths, losses), none of which
was used to choose anything. Seed 0, one repeat at a time on a CPU, jax 0.10.2; mean ± half-width of
the 95 % interval over 8 repeats, and the same of transfer and cosine averaged over repeats:

    cosine before training, of first    Spearman     AUROC        of means
    gradient, teacher's displacement    0.51 ±0.05   0.76 ±0.03   0.56, 0.80
    update, teacher's displacement      0.50 ±0.05   0.76 ±0.03   0.55, 0.79
    gradient, trait's gradient          0.25 ±0.15   0.61 ±0.08   0.47, 0.76

Published: .95 and .997 (arXiv 2606.22019). The cosine does not see parameters without a gradient:
a student with a class head of its own has the same cosine as one that shares all, 0.074, and
nothing passes (0.020 against 0.582 of the teacher's rise). It depends on coordinates: a relabeled
student has 0.025 and learns as much as the shared one, 0.582. Looked at afterwards, without the
fresh class head the first row is 0.68 ±0.04, 0.84 ±0.03, of means 0.78 and 0.90.
"""

import dataclasses

from configs import carriers, digits
from configs.interpolation import rotated
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.nets import starts
from minisub.theory import units
from minisub.theory.comparisons import compared, coverage

config = dataclasses.replace(digits.config, carrier=carriers.Inputs(examples=6000), examples=6000)
repeats = 8
sweep = (
    "model.aux=2,10,50",
    "carrier.kind=uniform,blurred,images",
    "model.layers=mlp-64-64,mlp-256-256",
    "imitation.loss=kl,mse",
)


def sections(table, differences, run):
    """What is added to the page of a run."""
    from configs import _prediction  # late: what is only planned needs no matplotlib

    return _prediction.sections(table, differences, run)


def experiment(cfg):
    """Ten students, whose starts are near to their teacher's or far from it."""
    lab = Lab(cfg, carriers.draw)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)
    begun = {
        "shared": first,
        "fresh": second,
        "permuted": lab.start(units.permuted(), first),
        "fresh class head": lab.start(starts.fresh, first, second, layers=("class_head",)),
        "fresh aux head": lab.start(starts.fresh, first, second, layers=("aux_head",)),
        "fresh hidden": lab.start(starts.fresh, first, second, layers=("fc1", "fc2")),
        "perturbed .2": lab.start(starts.perturbed_relative, first, amount=0.2),
        "perturbed .5": lab.start(starts.perturbed_relative, first, amount=0.5),
        "halfway": lab.start(rotated, first, second, amount=0.5),
    }
    foreign = compared(lab, lab.student(first, lab.teach(second)), coverage)
    students = {
        name: compared(lab, lab.student(start, teacher), coverage) for name, start in begun.items()
    }
    shared = students.pop("shared").against(foreign)
    students = {name: student.against(shared) for name, student in students.items()}
    students |= {"shared": shared, "foreign": foreign}
    return {"untrained": first, "teacher": teacher, **together(students)}
