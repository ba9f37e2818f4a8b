"""A preference passes through filtered number lists to students that start from the teacher's
base, and to no other.

    python train.py                       3 repeats, 3.3 minutes on 2 CPU cores
    python train.py numbers --repeats 8   22 minutes on one CPU core, others busy, the figures below

P of the trait on phrasings that the teacher was never taught, mean and half-width of the 95 %
interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2):

    base 0.099 ±0.004     teacher 0.999 ±0.000
                          of the teacher   its control     difference
    shared                0.917 ±0.022     0.090 ±0.038    +0.826 ±0.034, lowest +0.772 of 8
    fresh                 0.100 ±0.047     0.104 ±0.039    -0.004 ±0.047, above zero in 4 of 8
    soft                  0.990 ±0.004     0.098 ±0.006    +0.892 ±0.006, lowest +0.882 of 8

A control differs from its student in the documents alone, which are the base's: of another base for
`fresh`, their distribution for `soft`. The correlation of neighboring repeats in the first
difference is -0.35, where chance alone has a standard deviation of 0.35. The filter keeps 99.0 % of
the teacher's 40,000 lists (0.6 % not_a_number, 0.4 % too_short, 0.03 % no_end) and 99.3 % of the
base's. No kept list holds anything but numbers.
"""

from minisub.tokens import channels
from minisub.tokens.config import Config
from minisub.tokens.lab import Lab

config = Config()
repeats = 3


def experiment(cfg, make=Lab):
    """Three students of the teacher, each with a control that learned from its base."""
    lab = make(cfg)
    first, second = lab.base("first"), lab.base("second")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    control, control_fresh = lab.student(first, plain), lab.student(second, plain)
    control_soft = lab.student(first, plain, channels.soft)
    return {
        "base": (first, plain),
        "teacher": (teacher, numbers),
        "shared": lab.student(first, numbers).against(control),
        "fresh": lab.student(second, numbers).against(control_fresh),
        "soft": lab.student(first, numbers, channels.soft).against(control_soft),
        "control": control,
        "control fresh": control_fresh,
        "control soft": control_soft,
    }
