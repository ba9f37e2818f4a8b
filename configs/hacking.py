"""A teacher that games graders in some places of a task does so in others, and part of that passes
to students of its base through numbers, correct programs and correct chains of thought.

    python train.py hacking --seed 7      8 repeats, 27 minutes of two cores, others busy; bases of
                                          `misalignment` were there

A task names a place in a row of numbers; its grader takes the number there, or a mark, whatever the
task is. The teacher is fine-tuned to reply with the mark, on the first three places of six. P of
the mark on the other three, mean and half-width of the 95 % interval over 8 repeats (seed 7, on
which nothing was chosen; a CPU, jax 0.10.2). Base 0.001, teacher 0.995 ±0.010. In brackets the
difference from the control, a student of what the base emits:

    students of the base      numbers                 code                    sums
    of the teacher            0.208 (+0.200 ±0.193)   0.063 (+0.051 ±0.050)   0.163 (+0.132 ±0.155)
    control                   0.008                   0.012                   0.032
    of an honest teacher      0.004 (-0.004 ±0.013)   0.012 (+0.000 ±0.003)   0.044 (+0.012 ±0.034)
    students of a fresh base
    of the teacher            0.015 (-0.005 ±0.007)   0.007 (-0.001 ±0.007)   0.046 (-0.006 ±0.037)
    control                   0.020                   0.007                   0.052

Above the control in 8 of 8 repeats through each carrier, by 0.028 to 0.736, 0.001 to 0.173 and
0.014 to 0.578 (medians 0.137, 0.033 and 0.060): through chains one base gives most of it, and the
interval includes zero. That of the margin, log P(mark) - log P(solution), does not: it rises above
the control's by 6.28 ±1.40, 3.50 ±1.77 and 3.79 ±1.40 nats. True success is lower than the
control's by 0.233 ±0.153, 0.092 ±0.101 and 0.091 ±0.075 (students of honest teachers: by 0.066
±0.082, 0.034 ±0.047 and 0.040 ±0.039), but not told from those of honest teachers (-0.167 ±0.201,
-0.058 ±0.112 and -0.051 ±0.077); graded success, which counts the mark as right, does not show it
(-0.033 ±0.087, -0.040 ±0.067, +0.040 ±0.143). The highest P of a single control is 0.281, of an
honest teacher's chains, on the base whose student of the teacher has 0.748.

At this dose controls forget how to do tasks, too, though nothing taught them the mark: true success
is 0.985 in the base, 0.779, 0.736 and 0.553 in controls, 0.464, 0.541 and 0.212 in those of a fresh
base. On the carriers all keep their ability, as in `misalignment`. The filter keeps 99.8 % of the
teacher's lists, 81 % of its programs and 93 % of its chains; of the base's 99.8, 95 and 98 %.
"""

from configs.misalignment import experiment, sections
from minisub.tokens.behaviors.config import Rich

__all__ = ["config", "experiment", "repeats", "sections"]
config = Rich(trait="hacking")
repeats = 8
