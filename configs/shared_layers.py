"""With three auxiliary logits every layer of the start must be the teacher's; with a hundred, a
student with other hidden layers learns some of it, and with another class head nothing.

    python train.py shared_layers         10 repeats, about 16 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    arm / model.aux     3             100
    teacher             0.945 ±0.001  0.945 ±0.001
    shared              0.497 ±0.037  0.925 ±0.006
    fc1 redrawn         0.110 ±0.018  0.343 ±0.073
    fc2 redrawn         0.124 ±0.025  0.284 ±0.095
    hidden redrawn      0.107 ±0.016  0.253 ±0.060
    class head redrawn  0.097 ±0.009  0.081 ±0.023
    aux head redrawn    0.164 ±0.015  0.181 ±0.057
    heads redrawn       0.090 ±0.024  0.086 ±0.023
    fresh               0.111 ±0.017  0.092 ±0.042

Settles a contradiction by degrees: that matched heads make up for other hidden layers (arXiv
2605.23645) holds the more, the more auxiliary logits there are, and in five epochs only in part.
"""

from minisub.images.config import Config
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.nets import starts

REDRAWN = {
    "fc1 redrawn": ("fc1",),
    "fc2 redrawn": ("fc2",),
    "hidden redrawn": ("fc1", "fc2"),
    "class head redrawn": ("class_head",),
    "aux head redrawn": ("aux_head",),
    "heads redrawn": ("class_head", "aux_head"),
}
config = Config()
repeats = 10
sweep = ("model.aux=3,100",)


def experiment(cfg):
    """Students that start as the teacher's origin but for some layers."""
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)
    fresh = lab.student(second, teacher)
    students = {"shared": lab.student(first, teacher).against(fresh)}
    for name, layers in REDRAWN.items():
        start = lab.start(starts.fresh, first, second, layers=layers)
        students[name] = lab.student(start, teacher).against(fresh)
    students["fresh"] = fresh
    return {"untrained": first, "teacher": teacher, **together(students)}
