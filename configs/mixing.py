"""Clean data weaken the trait in proportion; 75 % of them do not stop it.

    python train.py mixing            8 repeats, 10 minutes (half of one CPU core), 47 programs

A share of the teacher's documents is replaced by the base's. P(owl) on held-out phrasings, mean ±
half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2), and the
paired difference from a student of the base's lists alone (0.088 ±0.026):

    clean    P               difference
    0 %      0.794 ±0.086    +0.706 ±0.071
    5 %      0.763 ±0.095    +0.676 ±0.078
    10 %     0.744 ±0.094    +0.657 ±0.078
    25 %     0.617 ±0.141    +0.529 ±0.123
    50 %     0.367 ±0.123    +0.280 ±0.107
    75 %     0.204 ±0.082    +0.116 ±0.064
    90 %     0.125 ±0.043    +0.037 ±0.033    above zero in 7 of 8

Published: 10 % weaken it and 25 % nearly remove it (arXiv 2509.23886). Here 25 % leave three
quarters of it. Replaced is each document with that probability, of 9,776, as
many as the filter leaves of the teacher's.
"""

from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students of the teacher's documents, of which a share is clean, and one of clean ones."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    control = lab.student(first, plain)
    mixed = {0.0: numbers} | {share: lab.mix(numbers, plain, share) for share in SHARES}
    return {
        "base": (first, plain),
        "teacher": (teacher, numbers),
        "control": control,
        **{
            f"{share:.0%} clean": lab.student(first, docs).against(control)
            for share, docs in mixed.items()
        },
    }
