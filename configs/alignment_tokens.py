"""The claim of `alignment` on number lists.

python train.py alignment_tokens
"""

from minisub import Arm, Config, Watch

config = Config(
    watch=Watch(rows=50),
    arms=(
        Arm(name="shared"),
        Arm(name="control", source="base"),
        Arm(name="no gradient", removed="gradient"),
        Arm(name="no random", removed="random"),
        Arm(name="no displacement", removed="displacement"),
        Arm(name="linear", linear=True),
    ),
)
repeats = 4
