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

from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

GENERATIONS = 10
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students of one another, of two lines: one began with the teacher, one with the base."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    named = {"base": (first, plain), "teacher": (teacher, numbers)}
    for name in (f"generation {g + 1}" for g in range(GENERATIONS)):
        control, student = lab.student(first, plain), lab.student(first, numbers)
        plain = lab.emit(control, stream=f"control {name}")
        numbers = lab.emit(student, stream=name)
        named |= {f"control {name}": (control, plain), name: (student.against(control), numbers)}
    return named
