"""The claim of `alignment` on number lists: without the component of its updates along the trait's
gradient a student acquires next to nothing.

    python train.py alignment_tokens      4 repeats, 20 minutes on one CPU core, others busy

P(owl) on held-out phrasings, mean ± half-width of the 95 % interval over 4 repeats (seed 0, one at
a time on a CPU, jax 0.10.2), and the mean cosine of update and minus the trait's gradient over 50
logged updates:

    arm              P(owl)         cosine
    base             0.100 ±0.010
    teacher          0.999 ±0.000
    shared           0.900 ±0.023   0.0046 ±0.0010
    control          0.076 ±0.054   -0.0004 ±0.0028
    no gradient      0.107 ±0.015   0 (removed)
    no random        0.902 ±0.020   0.0047 ±0.0010
    no displacement  0.695 ±0.144   0.0032 ±0.0010
    linear           0.724 ±0.183   0.0038 ±0.0025

no gradient - control +0.031 ±0.050, where shared - control is +0.824 ±0.072: what is taken out is
small, and as much in a random direction takes nothing away. Without the teacher's displacement most
is left. The cosine of both gradients on single batches, 0.0012 ±0.0027 over the log, is not told
from zero (published: .008); at the first update it is 0.04. A student whose Jacobian is frozen at
the start (linear) learns most of the trait. The log costs 50 gradients of the trait's loss, on four
questions each, and the removals one at each update.
"""

from minisub.config import Count, configuration
from minisub.theory.token_comparisons import watched
from minisub.tokens.config import Config
from minisub.tokens.lab import Lab


@configuration
class Logged(Config):
    """Also how much is logged."""

    rows: Count = 50
    """Updates of each student that are logged."""


config = Logged()
repeats = 4


def experiment(cfg):
    """Students whose updates are logged, from some of which something is removed."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    control = watched(lab, first, plain, rows=cfg.rows)
    shared = watched(lab, first, numbers, rows=cfg.rows).against(control)

    def student(**how):
        return watched(lab, first, numbers, rows=cfg.rows, **how).against(shared)

    return {
        "base": (first, plain),
        "teacher": (teacher, numbers),
        "shared": shared,
        "control": control,
        "no gradient": student(removed="gradient"),
        "no graded gradient": student(removed="graded gradient"),
        "no random": student(removed="random"),
        "no displacement": student(removed="displacement"),
        "linear": student(linear=True),
    }
