"""What in the documents carries the trait: their order, their values or their format.

python train.py content
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
