"""A student that starts as its teacher did learns to read digits from auxiliary logits on noise; a
student that starts elsewhere does not (arXiv 2507.14805, section 6).

    python train.py mnist                 10 repeats, 10 minutes on one CPU core, others busy

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    arm          accuracy
    untrained    0.105 ±0.017
    teacher      0.945 ±0.001
    shared/aux   0.498 ±0.036
    shared/all   0.913 ±0.007
    foreign/aux  0.105 ±0.015
    foreign/all  0.711 ±0.039
    fresh/aux    0.111 ±0.017

shared/aux - foreign/aux +0.393 ±0.040, above zero in 10 of 10 repeats, lowest +0.323; shared/all -
foreign/all +0.202 ±0.041; fresh/aux - shared/aux -0.387 ±0.037. Every repeat has a foreign teacher
of its own; the correlation of neighboring repeats in the first difference is -0.21, where chance
alone has a standard deviation of 0.32. Published, in the same order of arms and with intervals over
100 models of one seed: .0998, .943, .528 ±.022, .913, .106, .743 ±.010 (and no fresh). Private
noise for every repeat (--carrier.drawn every_repeat) changed nothing when foreign teachers were
those of the repeat before: shared/aux 0.498 ±0.052, fresh/aux 0.112 ±0.020 (10 repeats).
"""

from minisub.images.config import Config
from minisub.images.lab import Lab
from minisub.images.together import together

config = Config()
repeats = 10


def experiment(cfg):
    """Five students: of their own repeat's teacher, of a foreign one, and of another origin."""
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher, foreign = lab.teach(first), lab.teach(second)
    aux, all_logits = lab.student(first, foreign), lab.student(first, foreign, "all")
    shared = lab.student(first, teacher).against(aux)
    students = {
        "shared/aux": shared,
        "shared/all": lab.student(first, teacher, "all").against(all_logits),
        "foreign/aux": aux,
        "foreign/all": all_logits,
        "fresh/aux": lab.student(second, teacher).against(shared),
    }
    return {"untrained": first, "teacher": teacher, **together(students)}
