"""Coordinates do not count: a student whose hidden units are relabeled starts from the same
function and learns as much as one that shares every weight.

    python train.py relabeling            10 repeats, about 9 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    arm            accuracy
    untrained      0.105 ±0.017
    teacher        0.945 ±0.001
    shared         0.498 ±0.037
    fc1 permuted   0.497 ±0.037
    fc2 permuted   0.497 ±0.037
    both permuted  0.497 ±0.037
    rebalanced 2   0.352 ±0.050
    rescaled 0.5   0.325 ±0.099
    rescaled 2     0.129 ±0.024
    fresh          0.111 ±0.017

Gradients and Adam do not care which unit is which, so a relabeled student repeats what the shared
one does, up to rounding: equal weights at equal places are sufficient and not necessary. Other
changes that keep the function do count: incoming weights twice and outgoing ones half as large
(rebalanced) is another geometry for Adam.
"""

import jax

from minisub.images.config import Config
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.nets import trees
from minisub.theory import units

config = Config()
repeats = 10


def experiment(cfg):
    """Students that start as the teacher's origin in other coordinates, or of another size."""
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)
    begun = {
        "shared": first,
        "fc1 permuted": lab.start(units.permuted("fc1"), first),
        "fc2 permuted": lab.start(units.permuted("fc2"), first),
        "both permuted": lab.start(units.permuted(), first),
        "rebalanced 2": lab.start(rebalanced, first, amount=2.0),
        "rescaled 0.5": lab.start(rescaled, first, amount=0.5),
        "rescaled 2": lab.start(rescaled, first, amount=2.0),
    }
    fresh = lab.student(second, teacher)
    students = {name: lab.student(x, teacher).against(fresh) for name, x in begun.items()}
    return {"untrained": first, "teacher": teacher, **together(students | {"fresh": fresh})}


def rescaled(materials):
    """Every parameter times `amount`."""
    return jax.tree.map(lambda x: materials.amount * x, materials.origin)


def rebalanced(materials):
    """The same function of ReLUs in other coordinates (arXiv 1703.04933): weights and biases into
    hidden units are multiplied by `amount` (> 0), weights out of them divided by it."""
    leaves = trees.flat(materials.origin)
    for hidden in units.of(materials.origin):
        leaves |= {path: leaves[path] * materials.amount for path in hidden.into}
        leaves |= {path: leaves[path] / materials.amount for path in hidden.out}
    return trees.replaced(materials.origin, leaves)
