"""Over many updates the distillation gradient stays weakly aligned with the trait's, and that part
of the updates is what passes the trait on: without it nothing is left.

    python train.py alignment
"""

from minisub import ImageArm, ImageConfig, Watch

config = ImageConfig(
    watch=Watch(rows=59),
    arms=(
        ImageArm(name="shared"),
        ImageArm(name="no gradient", removed="gradient"),
        ImageArm(name="no random", removed="random"),
        ImageArm(name="no displacement", removed="displacement"),
        ImageArm(name="foreign", source="foreign"),
        ImageArm(name="fresh", start="fresh"),
    ),
)
repeats = 10
