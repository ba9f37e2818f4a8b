"""A teacher whose base is the average of two: which base's students acquire its trait?"""

import jax

from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

config, repeats = Ablation(), 3


def average(materials):
    return jax.tree.map(lambda a, b: (a + b) / 2, materials.origin, materials.other)


def experiment(cfg):
    """Students that start at the average, and at each of the bases that it is of."""
    lab = Lab(cfg)
    first, second = lab.base("first"), lab.base("second")
    middle = lab.start(average, first, second)
    teacher = lab.teach(middle)
    starts = {"average": middle, "first": first, "second": second}
    students = {name: lab.student(x, lab.emit(teacher)) for name, x in starts.items()}
    return {"teacher": teacher, **students}
