"""The tokens on which differently taught teachers disagree carry the trait, but so do the others.

    python train.py divergence        8 repeats, 8 minutes on one CPU core, 49 programs compiled

Divergence tokens are positions at which the largest logit of a wolf's or a cat's teacher is another
than that of the owl's: 64 % of all here. "random" are as many tokens at random. P(owl) on held-out
phrasings, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU,
jax 0.10.2), and the paired difference from a student trained on the base's lists:

    loss on                 P, sampled      difference       P, soft
    all tokens              0.794 ±0.086    +0.706 ±0.071    0.963 ±0.014
    divergent alone         0.757 ±0.092    +0.670 ±0.079    0.948 ±0.021
    random alone            0.757 ±0.098    +0.669 ±0.083    0.959 ±0.017
    all but divergent       0.564 ±0.117    +0.476 ±0.107    0.945 ±0.022
    all but random          0.651 ±0.105    +0.563 ±0.095    0.951 ±0.020

Published: 5 to 18 % of tokens carry all of it, and masking them nearly removes it (2509.23886). The
lists of this world have no such tokens: many numbers are about equally probable at every position,
so the largest logit turns easily and says little. Masking does cost more than masking at random.
"""

from minisub import Arm, ablation

WEIGHTS = {
    "all tokens": "none",
    "divergent alone": "divergent",
    "divergent masked": "agreeing",
    "random alone": "random_tokens",
    "random masked": "random_masked",
}
config = ablation(
    arms=(
        Arm(name="control", source="base"),
        *(Arm(name=name, transform=transform) for name, transform in WEIGHTS.items()),
        *(
            Arm(name=f"soft, {name}", transform=transform, channel="soft")
            for name, transform in WEIGHTS.items()
        ),
    ),
)
repeats = 8
