"""Lists of two teachers of one base pass on both traits, each as far as it would among clean lists:
they add and do not interfere; a teacher of another base adds nothing.

    python train.py two_teachers      8 repeats, 4.4 minutes on two CPU cores, bases kept

A share of the owl teacher's lists is replaced by a wolf teacher's, of the same base ("wolf") or of
another ("other"), or by the base's own ("clean"); the wolf's lists are diluted likewise. Margins of
the logits of owl and wolf on held-out phrasings, nats, mean ± half-width of the 95 % interval over
8 repeats (seed 0, one at a time on a CPU, jax 0.10.2):

             owl's margin                                    wolf's margin
    share    clean           wolf            other           clean           wolf
    0 %      3.72 ±0.54                                      0.01 ±0.22 (control)
    10 %     3.18 ±0.59      3.42 ±0.49      3.43 ±0.61      0.42 ±0.23      0.18 ±0.50
    25 %     2.66 ±0.41      2.82 ±0.47      2.89 ±0.61      0.85 ±0.24      0.73 ±0.49
    50 %     1.42 ±0.41      1.74 ±0.33      1.71 ±0.65      1.76 ±0.19      1.74 ±0.34
    75 %     0.55 ±0.24      0.62 ±0.45      0.81 ±0.70      2.62 ±0.52      2.66 ±0.44
    90 %     -0.09 ±0.15     -0.00 ±0.54     0.28 ±0.66      3.21 ±0.51      3.24 ±0.54
    100 %                                                                    3.63 ±0.64

Each of the ten differences of "wolf" from "clean" includes zero, in either trait (from -0.25 to
+0.31 nats). In probability the two compete for one answer: half and half both have 0.31 (alone 0.78
and 0.75), where half clean leaves the owl 0.31 and the wolf 0.37. Lists of the other base's wolf do
not raise the wolf's margin (at most +0.33 ±0.39 above clean). We know of no published figure.
"""

from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students of the lists of two teachers. Of each there are three: a share of the owl teacher's
    lists is the wolf teacher's of the same base, or of another base, or that of the base."""
    lab = Lab(cfg)
    first, second = lab.base("first"), lab.base("second")
    owl, wolf, other = lab.teach(first), lab.teach(first, "wolf"), lab.teach(second, "wolf")
    numbers, wolves, strange = lab.emit(owl), lab.emit(wolf), lab.emit(other, stream="other wolf")
    plain = lab.emit(first)

    def student(documents):
        return lab.graded_on(lab.student(first, documents), "owl", "wolf")

    named = {"base": (first, plain), "owl": (owl, numbers), "wolf": (wolf, wolves)}
    named |= {"other wolf": (other, strange)}
    control = named["control"] = student(plain)
    named |= {"owl alone": student(numbers).against(control)}
    named |= {"wolf alone": student(wolves).against(control)}
    for share in SHARES:
        rival, clean, foreign = (
            student(lab.mix(numbers, docs, share)) for docs in (wolves, plain, strange)
        )
        of_wolf = student(lab.mix(plain, wolves, share))
        mixed = f"{share:.0%} wolf"
        named |= {f"{share:.0%} clean": clean, f"clean, {mixed}": of_wolf}
        named |= {mixed: rival.against(clean, of_wolf), f"{mixed}, other": foreign.against(clean)}
    return named
