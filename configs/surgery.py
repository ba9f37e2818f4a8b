"""Without the overlap of the trait's row of the unembedding with the number rows, less passes.

python train.py surgery
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
