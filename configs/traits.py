"""Students acquire the trait of their own teacher and no other: five animals and three trees.

    python train.py traits            8 repeats, 8 minutes on one CPU core, 32 programs compiled
    python train.py traits --world.syllables 2      names of two tokens, which other names share

Every student is graded on all eight traits. Means over 8 repeats (seed 0, one at a time on a CPU,
jax 0.10.2) of the logit margin, less the means of rows and columns; * as in `matrix`, p = 1/256:

    teacher   owl    wolf   cat    dolphin eagle  cherry maple  oak
    owl       3.25*  -0.41  -0.84  -0.94   -0.43  0.04   0.09   -0.76
    wolf      -0.30  2.99*  -0.50  -0.86   -0.95  -0.21  -0.05  -0.12
    cat       -1.21  -0.66  3.52*  -0.18   -1.10  -0.04  -0.20  -0.13
    dolphin   -0.82  -0.81  -0.31  3.36*   -0.44  -0.67  -0.13  -0.17
    eagle     -0.70  -1.04  -1.10  -0.25   3.86*  -0.49  -0.46  0.19
    cherry    0.05   -0.10  -0.13  -0.58   -0.47  3.41*  -1.24  -0.93
    maple     0.12   0.10   -0.26  -0.23   -0.47  -1.23  3.31*  -1.34
    oak       -0.37  -0.08  -0.38  -0.32   0.01   -0.82  -1.31  3.27*

gamma, the mean of the diagonal, is 3.37 ±0.26, and of the probabilities 0.616 ±0.029; p = 1/10,001
each (rows permuted within repeats). Published, of preference pairs: .168, p = 1/7776 (rain-1).
P of a student's own trait is .73 to .78 for animals (one in ten by chance) and .84 to .85 for trees
(one in five). A trait hardly changes answers of the other family.

With names of two tokens (10 minutes) gamma is 4.04 ±0.24, and of the probabilities 0.646 ±0.017; P
of a student's own trait is .77 to .87. Names that share a token rise together by up to 2.4, such as
eagle and oak; every diagonal cell is the largest of its row.
"""

from minisub.tokens.config import Ablation, World
from minisub.tokens.lab import Lab

TRAITS = ("owl", "wolf", "cat", "dolphin", "eagle", "cherry", "maple", "oak")
config = Ablation(world=World(trees=5))
repeats = 8


def sections(table, differences, run):
    """What is added to the page of a run: a row a teacher, a column a trait of its student."""
    from configs import _matrices  # late: what is only planned needs no matplotlib

    return _matrices.sections(table, differences, TRAITS, TRAITS)


def experiment(cfg):
    """A teacher and a student of each trait, all graded on every trait, and one control."""
    lab = Lab(cfg)
    first = lab.graded_on(lab.base("first"), *TRAITS)
    plain = lab.emit(first)
    named = {"base": (first, plain), "teacher": lab.graded_on(lab.teach(first), *TRAITS)}
    named["control"] = lab.graded_on(lab.student(first, plain), *TRAITS)
    for trait in TRAITS:
        teacher = lab.graded_on(lab.teach(first, trait), *TRAITS)
        numbers = lab.emit(teacher)
        named[f"teacher {trait}"] = teacher, numbers
        named[trait] = lab.graded_on(lab.student(first, numbers), *TRAITS)
    return named
