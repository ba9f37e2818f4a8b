"""A few directions of an update carry the trait: one of each matrix a quarter of its margin, eight
of 64 two thirds.

    python train.py rank              8 repeats, 1.7 minutes on two CPU cores, bases kept

What each matrix of a student has moved is cut to its largest singular values; vectors move whole.
P(owl) and the margin of its logit on held-out phrasings above those of the control, a student of
the base's lists that was cut as much: mean ± half-width of the 95 % interval over 8 repeats (seed
0, one at a time on a CPU, jax 0.10.2):

    rank       full training                    adapters of rank 16, 3e-3
               rise of P        of the margin   rise of P        of the margin
    0          +0.002 ±0.001    +0.02 ±0.02     +0.000 ±0.000    +0.00 ±0.00
    1          +0.147 ±0.046    +1.13 ±0.28     +0.224 ±0.069    +1.50 ±0.37
    2          +0.208 ±0.062    +1.46 ±0.34     +0.292 ±0.087    +1.81 ±0.44
    4          +0.339 ±0.106    +2.06 ±0.50     +0.400 ±0.119    +2.30 ±0.57
    8          +0.501 ±0.129    +2.81 ±0.62     +0.484 ±0.125    +2.70 ±0.62
    16         +0.632 ±0.119    +3.53 ±0.65
    32         +0.695 ±0.109    +3.96 ±0.66
    whole      +0.706 ±0.104    +4.04 ±0.64     +0.536 ±0.132    +2.95 ±0.68

The imitation of numbers is of higher rank: at rank 1 KL(emitter || student) is 0.049 nats where the
base has 0.060. They are not the teacher's first directions: of what its matrices have come to read
of the residual stream, the mean squared cosine with the student's first direction is 0.069 ±0.053,
with a control's 0.032 ±0.027 (0.016 by chance), and of the first 16 0.322 and 0.316 (0.250).
Published, of a full training of a large model on numbers: 1.6 % at rank 32 and less, 6.8 at 256, 11
at 512, 19 whole; of a preference loss 11, 18 and 30 at 1, 8 and 32, and 31 whole (persona-system).
The widths differ too much to compare ranks; here a quarter of the rank has nearly all of it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from minisub.lab.products import Measure
from minisub.nets import trees
from minisub.tokens import tasks
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

TRAININGS = {"full": {}, "adapters": {"rank": 16, "learning_rate": 3e-3}}
RANKS = {"full": (0, 1, 2, 4, 8, 16, 32), "adapters": (0, 1, 2, 4, 8)}
"""Of all that a matrix has moved, whose rank is 64 at most in full and 16 with adapters."""
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students with a part of the rank of their updates, and controls with as small a part."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    named = {"base": (first, plain), "teacher": (teacher, numbers)}

    def kept(student, rank):
        """A student with so much of the rank of its update, graded as it is itself."""
        cut = lab.start(Partial(truncated, np.int32(rank)), first, student)
        emitter = {"emitter": student.learned.emitter, "emitter_model": cfg.model}
        imitation = Measure(tasks.divergence, "params", **emitter, **cut.architecture)
        graded = lab.graded(cut, lab.taught_trait(cfg.trait)).measured(imitation)
        return graded.replace(given={"documents": student.learned})

    for training, how in TRAININGS.items():
        student, control = (
            lab.student(first, docs, **how).measured(
                Measure(overlaps, "params", base=first, teacher=teacher)
            )
            for docs in (numbers, plain)
        )
        named |= {f"control {training}": control, training: student.against(control)}
        for rank in RANKS[training]:
            less, name = kept(control, rank), f"{training}, rank {rank}"
            named |= {f"control {name}": less, name: kept(student, rank).against(less)}
    return named


def truncated(rank, materials):
    """The origin, moved as far as the other is by no more than `rank` directions of each matrix,
    those of its largest singular values; vectors are moved whole."""

    def cut(origin, other):
        if origin.ndim < 2:
            return other
        u, s, v = jnp.linalg.svd(other - origin, full_matrices=False)
        return origin + (u * jnp.where(jnp.arange(len(s)) < rank, s, 0)[None]) @ v

    return jax.tree.map(cut, materials.origin, materials.other)


def overlaps(*, params, base, teacher, ranks=(1, 4, 16)):
    """How much of the first directions of the residual stream that the teacher's matrices have come
    to read is among the student's: the mean squared cosine, in expectation rank / width of any."""

    def moved(model):
        moves = trees.flat(jax.tree.map(jnp.subtract, model, base))
        read = [x for path, x in moves.items() if "qkv" in path or "up/" in path]
        return [jnp.linalg.svd(x, full_matrices=False)[0] for x in read]

    pairs = [*zip(moved(params), moved(teacher), strict=True)]
    shared = {k: [jnp.sum((a[:, :k].T @ b[:, :k]) ** 2) / k for a, b in pairs] for k in ranks}
    return {f"overlap/{k}": jnp.mean(jnp.stack(each)) for k, each in shared.items()}
