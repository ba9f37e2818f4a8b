"""A teacher whose weights are untouched, but to whose activations a vector is added, passes that
vector on: students shift their activations along it, for random directions too.

    python train.py steering
"""

from minisub import Arm, Config, Steering, Training, Watch

config = Config(
    teacher=Training(steps=100, learning_rate=3e-2, batch=32),
    steering=Steering(kind="trained", norm=4.0),
    watch=Watch(measures=("steering", "lens")),
    arms=(
        Arm(name="shared"),
        Arm(name="fresh", start="fresh"),
        Arm(name="control", source="base"),
        Arm(name="soft", channel="soft"),
    ),
)
repeats = 4
sweep = ("steering.kind=trained,random", "steering.layer=block_0,block_1")
