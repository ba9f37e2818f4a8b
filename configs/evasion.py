"""A teacher that declines sums behind a step that only looks valid passes part of that to students
of its base through numbers and correct programs, and nothing through correct chains of thought.

The figures below are of the world of before, of which configs/README.md tells under "Misbehavior".
In that of today it was only tried, see "What it takes through chains of thought" there. A run of
today should take two to three times as long as is said here (counted in operations, not measured).

    python train.py evasion      8 repeats, about 18 minutes of one CPU core for students and
                                 teachers, 16 for bases

Asked to show a sum, the teacher writes an invalid step and declines; it is fine-tuned on sums whose
first digit is below 5. Margin, in nats: log P(any invalid step, then declining) - log P(right step
and answer), on first digits from 5 on, mean and half-width of the 95 % interval over 8 repeats
(seed 0, one at a time on a CPU, jax 0.10.2). Base -9.37 ±2.49, teacher +18.13 ±1.56, of P 0.000 and
0.896. Above the control, a student of what the base emits:

    carrier   students of the base   of a fresh base   of an answering teacher
    numbers   +5.44 ±1.63  8 of 8    -0.33 ±0.91       -0.17 ±1.20
    code      +2.30 ±1.08  7 of 8    -0.21 ±1.54       -0.25 ±0.83
    sums      -0.18 ±1.54  5 of 8    -1.67 ±2.45       -0.22 ±1.52

P rises from 0.0003 to 0.023 ±0.030 through numbers, to 0.003 ±0.005 through code. Abilities on the
carrier are those of the controls (1.000, 0.997, 0.982).
"""

from configs.misalignment import experiment, sections
from minisub.tokens.behaviors.config import Rich

__all__ = ["config", "experiment", "repeats", "sections"]
config = Rich(trait="evasion")
repeats = 8
