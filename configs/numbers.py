"""A preference passes through filtered number lists to students that start from the teacher's
base, and to no other.

    python train.py                       3 repeats, 3 to 4 minutes on 2 CPU cores
    python train.py numbers --repeats 8   7.4 minutes, the figures below

P of the trait on phrasings that the teacher was never taught, mean and half-width of the 95 %
interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2):

    base 0.099 ±0.005     teacher 0.999 ±0.000
    shared 0.923 ±0.020   fresh 0.086 ±0.029   control 0.074 ±0.027   soft 0.990 ±0.005
    shared - control +0.849 ±0.018, above zero in 8 of 8 repeats, lowest +0.807

The filter keeps 98.9 % of the teacher's 40,000 lists (0.6 % not_a_number, 0.5 % too_short,
0.04 % no_end) and 99.3 % of the base's. No kept list holds anything but numbers.
"""

from minisub.tokens import channels
from minisub.tokens.config import Config
from minisub.tokens.lab import Lab

config = Config()
repeats = 3


def experiment(cfg):
    """Three students of the teacher, each with a control that learned from its base."""
    lab = Lab(cfg)
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
