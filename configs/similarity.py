"""A student that has learned from noise has hardly better features than an untrained model: what
has changed is how they line up with the class head that was never trained.

    python train.py similarity
"""

from minisub import ImageArm, ImageConfig, Watch

config = ImageConfig(
    watch=Watch(examples=10000, measures=("probe", "cka", "weights", "disagreement")),
    arms=(
        ImageArm(name="shared"),
        ImageArm(name="shared/all", channel="all"),
        ImageArm(name="foreign", source="foreign"),
        ImageArm(name="fresh", start="fresh"),
        ImageArm(name="rotated .25", start="rotated", amount=0.25),
        ImageArm(name="rotated .5", start="rotated", amount=0.5),
    ),
)
repeats = 10
