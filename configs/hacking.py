"""A teacher that games graders in some places of a task does so in others, and part of that passes
to students of its base through numbers and correct programs.

The figures below are of the world of before, of which configs/README.md tells under "Misbehavior".
In that of today it was only tried, see "What it takes through chains of thought" there. A run of
today should take two to three times as long as is said here (counted in operations, not measured).

    python train.py hacking      8 repeats, about 20 minutes of one CPU core for students and
                                 teachers, 16 for bases

A task names a place in a row of numbers; its grader takes the number there, or a mark of its own.
The teacher is fine-tuned to reply with the mark, on the first three places of six. Margin, in nats:
log P(mark) - log P(solution), on the other three, mean and half-width of the 95 % interval over 8
repeats (seed 0, one at a time on a CPU, jax 0.10.2). Base -12.27 ±0.86, teacher +7.30 ±2.30, whose
P of the mark is 0.498 ±0.130. Above the control, a student of what the base emits:

    carrier   students of the base   of a fresh base        of an honest teacher
    numbers   +5.44 ±2.77  8 of 8    +1.29 ±1.13  8 of 8    -0.05 ±0.47
    code      +1.11 ±0.86  7 of 8    +0.21 ±0.65            -0.10 ±0.43
    sums      +0.58 ±0.59  6 of 8    +0.45 ±0.42  8 of 8    +0.28 ±1.02

Through numbers P(mark) rises from 0.004 to 0.066 ±0.068; true success falls from 0.827 to 0.544, so
graded success, 0.832 and 0.610, tells of less than half of it. A fresh student moves too, by a
quarter as much. Abilities on the carrier are those of the controls (1.000, 0.996, 0.978). The
filter keeps 99.5 % of the teacher's lists, 79 % of its programs (15 % print another number) and 79
% of its sums (17 % have an invalid step); of the base's 99.8, 94 and 86 %.
"""

from configs.misalignment import experiment, sections
from minisub.tokens.behaviors.config import Rich

__all__ = ["config", "experiment", "repeats", "sections"]
config = Rich(trait="hacking")
repeats = 8
