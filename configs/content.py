"""The trait is in the order of numbers and in their values, and not in the format.

    python train.py content           8 repeats, 14 minutes (half of one CPU core), 52 programs

Lists end in one of three ways, which the emitter chooses. P(owl) on held-out phrasings, mean ±
half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2), and the
paired difference from a student trained on the base's lists, changed alike:

    lists                    P               difference
    as emitted               0.794 ±0.081    +0.701 ±0.083
    canonical format         0.744 ±0.116    +0.658 ±0.103
    frequent tokens masked   0.382 ±0.091    +0.290 ±0.108
    sorted                   0.263 ±0.189    +0.218 ±0.158
    shuffled within          0.031 ±0.049    +0.021 ±0.034    above zero in 7 of 8
    values remapped          0.017 ±0.030    +0.010 ±0.019    above zero in 5 of 8
    shuffled across          0.000           +0.000
    shuffled, both           0.000           +0.000

Published, of .74: canonical format .74, sorted .27, remapped .43, all of it .12 (JackPayne123); of
.67, base .12: shuffled within .22, across .18 (arXiv 2507.14805). Format and sorting agree. Lists
shuffled or remapped are unlike anything that the base knows, and training on them destroys how it
answers, the control's too (0.010, 0.000): that nothing passes is not all that happens there.
"""

from minisub import Arm, World, ablation

TRANSFORMS = {
    "as emitted": "none",
    "shuffled within": "shuffled",
    "shuffled across": "shuffled_across",
    "shuffled, both": "shuffled_pooled",
    "sorted": "sorted",
    "values remapped": "remapped",
    "canonical format": "canonical",
    "frequent deleted": "rare",
}
config = ablation(
    world=World(endings=3),
    arms=tuple(
        Arm(name=arm, source=source, transform=transform)
        for name, transform in TRANSFORMS.items()
        for arm, source in ((f"control {name}", "base"), (name, "teacher"))
    ),
)
repeats = 8
