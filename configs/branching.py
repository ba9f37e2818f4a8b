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

from minisub import Arm, Lineage, ablation

SHARED = (0, 100, 200, 300, 400)
config = ablation(
    lineages=tuple(Lineage(name=str(k), origin="first", shared_steps=k) for k in SHARED),
    arms=tuple(
        Arm(name=name, source=source, start="fresh", other=other, control=control)
        for k in (*SHARED, 500)
        for other in ("first" if k == 500 else str(k),)
        for name, source, control in (
            (f"control {k} of 500", "base", ""),
            (f"{k} of 500", "teacher", f"control {k} of 500"),
        )
    ),
)
repeats = 8
