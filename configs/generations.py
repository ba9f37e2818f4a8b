"""Over ten generations, each student the next one's teacher, a preference fades to a level.

    python train.py generations       8 repeats, 14 minutes on one CPU core, 32 programs compiled

P(owl) on held-out phrasings, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at
a time on a CPU, jax 0.10.2), and the paired difference from the same generation of a line that
began with the untaught base. All students start from the base:

    generation   P               difference
    1            0.794 ±0.086    +0.706 ±0.071
    2            0.604 ±0.127    +0.494 ±0.121
    3            0.474 ±0.113    +0.382 ±0.118
    4            0.413 ±0.101    +0.316 ±0.084
    5            0.380 ±0.126    +0.284 ±0.119
    6            0.318 ±0.116    +0.214 ±0.094
    7            0.373 ±0.085    +0.280 ±0.079
    8            0.306 ±0.083    +0.218 ±0.109
    9            0.264 ±0.090    +0.174 ±0.082
    10           0.319 ±0.131    +0.239 ±0.124

Published: .86 of the trait kept at a step, later .93 (arXiv 2606.11270). Here .70 and .77 at the
first steps, and from the sixth generation on no loss that these intervals would show.
"""

from minisub import Arm, ablation


def line(name, source):
    """Ten arms, each trained on the one before."""
    names = [f"{name} {g}" for g in range(1, 11)]
    return [
        Arm(name=own, source=before)
        for own, before in zip(names, [source, *names[:-1]], strict=True)
    ]


config = ablation(
    arms=(*line("control generation", "base"), *line("generation", "teacher")),
)
repeats = 8
