"""Two bases need share only the first fifth of their pretraining for all of the trait to pass.

    python train.py branching         8 repeats, 18 minutes (half of one CPU core)

The student's base has the origin of the teacher's and sees the same batches for the first k of its
500 updates, batches of its own afterwards. P(owl) on held-out phrasings, mean ± half-width of the
95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2), and its rise over a
student of the same base and the untaught base's lists:

    k      P               rise
    0      0.432 ±0.049    +0.347 ±0.051
    100    0.774 ±0.086    +0.696 ±0.078
    200    0.779 ±0.075    +0.691 ±0.065
    300    0.791 ±0.089    +0.708 ±0.074
    400    0.794 ±0.088    +0.706 ±0.074
    500    0.794 ±0.086    +0.706 ±0.071

With nothing but the origin in common half of it passes; the branch point matters in the first
hundred updates alone, and later ones, learning rate near its height, part the bases without cost.
"""

from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

SHARED = (0, 100, 200, 300, 400)
"""Updates of pretraining that two bases share, of 500."""
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students of bases that branched off the teacher's, and of the teacher's, with controls."""
    lab = Lab(cfg)
    first = lab.base("first")
    bases = {
        k: lab.base(str(k), origin="first", shared_steps=cfg.base.steps * k // 500) for k in SHARED
    }
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    named = {"base": (first, plain), "teacher": (teacher, numbers)}
    for k, base in {**bases, 500: first}.items():
        control = lab.student(base, plain)
        named |= {
            f"control {k} of 500": control,
            f"{k} of 500": lab.student(base, numbers).against(control),
        }
    return named
