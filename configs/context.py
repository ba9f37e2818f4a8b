"""The grader's context: the question alone, and behind numbers.

python train.py context
"""

from minisub import Arm, ablation

config = ablation(
    prefixed=32,
    arms=(
        Arm(name="shared"),
        Arm(name="fresh", start="fresh"),
        Arm(name="control", source="base"),
        Arm(name="soft", channel="soft"),
    ),
)
repeats = 8
