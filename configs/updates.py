"""The longer a student imitates, the more of the class skill it has; a fresh one gains nothing.

    python train.py updates               10 repeats, 6 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    student.length  teacher       shared        fresh
    0.5             0.945 ±0.001  0.139 ±0.026  0.114 ±0.012
    1.0             0.945 ±0.001  0.179 ±0.034  0.113 ±0.014
    2.0             0.945 ±0.001  0.274 ±0.047  0.110 ±0.016
    5.0             0.945 ±0.001  0.497 ±0.037  0.111 ±0.017
    10.0            0.945 ±0.001  0.648 ±0.020  0.113 ±0.017

student.length is in epochs of 59 updates over the same 60,000 noise images. Published, 1/5 epochs:
.18/.55.
"""

from minisub.images.config import Config
from minisub.images.lab import Lab
from minisub.images.together import together

config = Config()
repeats = 10
sweep = ("student.length=0.5,1,2,5,10",)


def experiment(cfg, make=Lab):
    """Two students: one starts as its teacher did, one elsewhere."""
    lab = make(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)
    fresh = lab.student(second, teacher)
    students = {"shared": lab.student(first, teacher).against(fresh), "fresh": fresh}
    return {"untrained": first, "teacher": teacher, **together(students)}
