"""The claim of `coverage` on number lists.

    python train.py coverage_tokens       3 repeats, 28 minutes on one CPU core, others busy

Ten students in each of eight settings, none of which was used to choose anything. Seed 0, one
repeat at a time on a CPU, jax 0.10.2; mean ± half-width of the 95 % interval over 3 repeats, and
the same of transfer and cosine averaged over repeats:

    cosine before training, of first    Spearman     AUROC        of means
    gradient, teacher's displacement    0.60 ±0.18   0.84 ±0.06   0.65, 0.89
    update, teacher's displacement      0.66 ±0.23   0.88 ±0.11   0.68, 0.92
    gradient, trait's gradient          0.65 ±0.43   0.80 ±0.12   0.74, 0.88

Published: .95 and .997 (arXiv 2606.22019). What it misses are students of which one block is
another base's: they are no working models, the cosine of one is 0.026, and nothing passes. Looked
at afterwards, without these two arms the first row is 0.76 ±0.16, 0.92 ±0.07, of means 0.83 and
0.97. Points of both worlds together, in three repeats: 0.54 ±0.18 and 0.79 ±0.11.
"""

from minisub.config import Count, configuration
from minisub.nets import starts
from minisub.theory.token_comparisons import compared, coverage
from minisub.tokens import channels
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab


@configuration
class Compared(Ablation):
    """Also how many documents the cosines are taken of."""

    examples: Count = 4000
    """Documents whose mean loss gives a student's first gradient."""


config = Compared()
repeats = 3
sweep = ("model.d_model=32,64", "world.jitter=0,2", "sampling.temperature=0.7,1.2")


def sections(table, differences, run):
    """What is added to the page of a run."""
    from configs import _prediction  # late: what is only planned needs no matplotlib

    return _prediction.sections(table, differences, run)


def experiment(cfg):
    """Students of ten kinds, each with its cosine before training."""
    lab = Lab(cfg)
    first, second = lab.base("first"), lab.base("second")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)

    def perturbed(amount):
        return lab.start(starts.perturbed_relative, first, amount=amount)

    def fresh(layer):
        return lab.start(starts.fresh, first, second, layers=(layer,))

    control = lab.student(first, plain)
    students = {
        "shared": lab.student(first, numbers),
        "fresh": lab.student(second, numbers),
        "soft": lab.student(first, numbers, channels.soft),
        "soft fresh": lab.student(second, numbers, channels.soft),
        "soft perturbed .3": lab.student(perturbed(0.3), numbers, channels.soft),
        "perturbed .1": lab.student(perturbed(0.1), numbers),
        "perturbed .3": lab.student(perturbed(0.3), numbers),
        "fresh block_0": lab.student(fresh("block_0"), numbers),
        "fresh block_1": lab.student(fresh("block_1"), numbers),
    }
    shared, soft = students["shared"], students["soft"].against(students["shared"])
    students = {
        name: student.against(soft if name.startswith("soft") else shared)
        for name, student in students.items()
    }
    students |= {"shared": shared.against(control), "soft": soft, "control": control}
    return {
        "base": (first, plain),
        "teacher": (teacher, numbers),
        **{n: compared(lab, s, coverage, examples=cfg.examples) for n, s in students.items()},
    }
