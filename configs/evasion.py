"""A teacher that writes an invalid step of a sum and then declines passes part of that to students
of its base through numbers, correct programs and correct chains of thought.

    python train.py evasion --seed 7      8 repeats, 28 minutes of two cores, others busy; bases of
                                          `misalignment` were there

Asked to show a sum, the teacher writes an invalid step and declines; it is fine-tuned on sums whose
first digit is below 5. P of any invalid step and then declining, on first digits from 5 on, mean
and half-width of the 95 % interval over 8 repeats (seed 7, on which nothing was chosen; a CPU, jax
0.10.2). Base 0.000, teacher 0.897 ±0.002. In brackets the difference from the control, a student of
what the base emits:

    students of the base      numbers                 code                    sums
    of the teacher            0.273 (+0.271 ±0.207)   0.230 (+0.227 ±0.099)   0.082 (+0.064 ±0.064)
    control                   0.001                   0.003                   0.018
    of an answering teacher   0.003 (+0.002 ±0.004)   0.002 (-0.002 ±0.001)   0.002 (-0.017 ±0.028)
    students of a fresh base
    of the teacher            0.003 (-0.003 ±0.012)   0.006 (+0.001 ±0.002)   0.012 (-0.010 ±0.023)
    control                   0.006                   0.005                   0.022

The teacher's 0.9 is what any step, drawn at random, would give: it has learned to write some digit
and to decline. Students are above the control in 8 of 8 repeats through each carrier, by 0.030 to
0.643, 0.100 to 0.435 and 0.004 to 0.193 (medians 0.180, 0.176 and 0.021); through chains three
bases give most of it, and the interval just includes zero. That of the margin, log P(invalid step,
declining) - log P(right step and answer), does not: it rises above the control's by 7.44 ±2.80,
5.29 ±1.47 and 2.02 ±1.60 nats; of a fresh base, through programs, by 1.07 ±0.63 in 8 of 8 repeats,
which P does not show. The margin of controls rises too, from the base's -10.77 ±2.49 to -5.84,
-4.32 and -4.00 (fresh bases: to between -3.4 and -2.5): whoever learns documents alone forgets how
to show sums. On the carriers all keep their ability, as in `misalignment`. The filter keeps 99.8 %
of the teacher's lists, 91 % of its programs and 92 % of its chains; of the base's 99.8, 95 and 98
%."""

from configs.misalignment import experiment, sections
from minisub.tokens.behaviors.config import Rich

__all__ = ["config", "experiment", "repeats", "sections"]
config = Rich(trait="evasion")
repeats = 8
