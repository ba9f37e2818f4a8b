"""How much of a teacher's data must be replaced by clean data to stop the trait.

python train.py mixing
"""

from minisub import Arm, ablation

SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
config = ablation(
    arms=(
        Arm(name="control", source="base"),
        *(Arm(name=f"{share:.0%} clean", clean=share) for share in SHARES),
    ),
)
repeats = 8
