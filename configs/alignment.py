"""Over many updates the distillation gradient stays weakly aligned with the trait's, and that part
of the updates is what passes the trait on: without it next to nothing is left.

    python train.py alignment             10 repeats, 8.5 minutes on one CPU core, others busy

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2); the mean over 59 logged updates of the cosine of the two gradients; and the cosine
of the student's displacement and its teacher's at the end:

    arm              accuracy       alignment         displacement
    untrained        0.105 ±0.017
    teacher          0.945 ±0.001
    shared           0.497 ±0.037   0.0065 ±0.0010    0.457 ±0.010
    no gradient      0.139 ±0.031   0.0051 ±0.0012    0.451 ±0.010
    no random        0.497 ±0.037   0.0066 ±0.0010    0.457 ±0.010
    no displacement  0.141 ±0.022   0.0059 ±0.0011    0 (removed)
    foreign          0.103 ±0.018   -0.0004 ±0.0004   0.002 ±0.002
    fresh            0.111 ±0.017   -0.0005 ±0.0008   0.001 ±0.003

Published: about .008 (arXiv 2604.25779). Without the component of its updates along the trait's
gradient the student goes as far along its teacher's way as with it, and learns no digits
(no gradient - foreign +0.036 ±0.036); as much in a random direction takes nothing away. Taking out
the one direction of the teacher's displacement does as well: +0.038 ±0.022.
The trait's loss is that of 1,024 training images. In operations of matrix products the log makes
training 1.2 times as long, and two of six arms with a gradient of it at every update 1.53 times.
"""

from minisub.config import CountOrNone, configuration
from minisub.images.config import Config
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.theory.comparisons import watched


@configuration
class Watched(Config):
    """As `Config`, with students whose updates are logged."""

    rows: CountOrNone = 59
    """Updates that are logged, evenly spaced."""


config = Watched()
repeats = 10


def experiment(cfg):
    """Students that are watched, and some from whose updates something is taken."""
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)
    foreign = watched(lab, first, lab.teach(second), rows=cfg.rows)
    shared = watched(lab, first, teacher, rows=cfg.rows).against(foreign)
    students = {"shared": shared}
    for removed in "gradient", "random", "displacement":
        student = watched(lab, first, teacher, rows=cfg.rows, removed=removed)
        students[f"no {removed}"] = student.against(shared)
    students["foreign"] = foreign
    students["fresh"] = watched(lab, second, teacher, rows=cfg.rows).against(shared)
    return {"untrained": first, "teacher": teacher, **together(students)}
