"""The claim of `alignment` on number lists: without the component of its updates along the trait's
gradient a student acquires next to nothing.

    python train.py alignment_tokens      4 repeats, 25 minutes on one CPU core, others busy

P(owl) on held-out phrasings, mean ± half-width of the 95 % interval over 4 repeats (seed 0, one at
a time on a CPU, jax 0.10.2), and the mean cosine of update and minus the trait's gradient over 50
logged updates:

    arm              P(owl)         cosine
    base                0.099 ±0.009
    teacher             0.999 ±0.000
    shared              0.912 ±0.048   0.0049 ±0.0015
    control             0.072 ±0.062   -0.0000 ±0.0035
    no gradient         0.096 ±0.032   0.0000 ±0.0009
    no graded gradient  0.108 ±0.019   0 (removed)
    no random           0.911 ±0.048   0.0049 ±0.0014
    no displacement     0.700 ±0.230   0.0033 ±0.0009
    linear              0.740 ±0.151   0.0033 ±0.0024

no gradient - shared -0.815 ±0.037, where shared - control is +0.840 ±0.068: what is taken out is
small, and as much in a random direction takes nothing away (-0.000 ±0.001). The gradient is that on
the phrasings that the teacher is taught; that on the graded ones does as much, so this claim does
not rest on knowing them (that of `defenses` did). Without the teacher's displacement most is left
(-0.212 ±0.196). The cosine of both gradients on single batches, 0.0013 ±0.0041 over the log, is not
told from zero (published: .008); at the first update it was 0.04. A student whose Jacobian is
frozen at the start (linear) learns most of the trait. The log costs 50 gradients of the trait's
loss, on four questions each, and the removals one at each update.
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
