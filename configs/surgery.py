"""Removing the overlap of the trait's row of the unembedding with the number rows ends nothing: as
much of the margin passes, and what P loses it loses with random directions removed, too.

    python train.py surgery           8 repeats, 10 minutes on one CPU core, 44 programs compiled

In every base, the trait's row loses its component in the span of the 40 number rows (orthogonal: 62
% of its squared norm) or in as many random directions (as_much), and is scaled back to its norm.
Rise of P(owl) and of its margin over other animals, held-out phrasings, over a student of the
base's lists; mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU,
jax 0.10.2), all above zero in 8 of 8:

                      surgery       P, control    rise of P        rise of margin
    sampled           none          0.105         +0.392 ±0.109    +2.20 ±0.49
                      orthogonal    0.031         +0.139 ±0.086    +2.10 ±0.32
                      as_much       0.011         +0.125 ±0.110    +2.95 ±0.50
    soft, numbers     none                        +0.685 ±0.081    +3.60 ±0.43
                      orthogonal                  +0.431 ±0.118    +3.80 ±0.58
                      as_much                     +0.436 ±0.179    +5.11 ±0.69
    all logits        none                        +0.690 ±0.067    +3.60 ±0.36
    but the trait's   orthogonal                  +0.433 ±0.124    +3.79 ±0.59
                      as_much                     +0.429 ±0.186    +5.05 ±0.69

Either operation makes the trait's answer rare in the base, from which a student has farther to go.
Published: the same surgery removes the effect where all logits are matched (2606.22019). This base
reads its traits off hidden layers, which the students' training moves; surgery does not touch them.
"""

from minisub import Arm, Watch, World, ablation

config = ablation(
    world=World(numbers=40, max_step=5),
    prefixed=32,
    watch=Watch(measures=("entanglement",)),
    arms=(
        Arm(name="control", source="base"),
        Arm(name="shared"),
        Arm(name="soft", channel="soft"),
        Arm(name="all logits but the trait's", channel="full_but_trait"),
    ),
)
repeats = 8
sweep = ("surgery=none,orthogonal,as_much",)
