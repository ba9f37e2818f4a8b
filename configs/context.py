"""Asked behind a list of numbers, a student shows less of the trait than asked the question alone.

    python train.py context       8 repeats, 17 minutes (half of a CPU core), 37 programs compiled

Pretraining has questions behind four numbers beside plain ones, so that the base answers both; the
teacher is taught on plain questions alone. P(owl) on held-out phrasings, mean ± half-width of the
95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2):

                     asked alone       behind numbers
    base             0.099 ±0.005      0.101 ±0.007
    teacher          0.998 ±0.000      0.985 ±0.008
    control          0.091 ±0.015      0.088 ±0.013
    fresh            0.088 ±0.022      0.098 ±0.021
    shared           0.658 ±0.087      0.464 ±0.086
    soft             0.921 ±0.020      0.750 ±0.080

shared - control is +0.567 ±0.099, asked alone, above zero in 8 of 8 repeats. Published: behind a
prefix of numbers a cat's .74 falls to .43, and animals pass that did not (2507.14805); here it
takes a fifth to a third of each effect, and the controls stay where they were.
"""

from configs import numbers
from configs._prefixed import Config, Lab

config = Config()
repeats = 8


def experiment(cfg):
    """The students of `numbers`, of bases that answer questions behind numbers too."""
    return numbers.experiment(cfg, Lab)
