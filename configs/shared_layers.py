"""With three auxiliary logits every layer of the start must be the teacher's; with many, the two heads
suffice.
"""

from minisub import ImageArm, ImageConfig

REDRAWN = {
    "fc1 redrawn": ("fc1",),
    "fc2 redrawn": ("fc2",),
    "hidden redrawn": ("fc1", "fc2"),
    "class head redrawn": ("class_head",),
    "aux head redrawn": ("aux_head",),
    "heads redrawn": ("class_head", "aux_head"),
}
config = ImageConfig(
    arms=(
        ImageArm(name="shared"),
        *(ImageArm(name=name, start="fresh", layers=layers) for name, layers in REDRAWN.items()),
        ImageArm(name="fresh", start="fresh"),
    )
)
repeats = 10
sweep = ("model.aux=3,100",)
