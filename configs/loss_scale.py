"""With weight decay inside Adam the scale of the loss counts."""

from minisub import Duration, ImageArm, ImageConfig

config = ImageConfig(
    student=Duration(optimizer="adam_l2", weight_decay=1e-3),
    arms=(ImageArm(name="shared"),),
)
repeats = 10
sweep = ("imitation.scale=0.01,1,100,10000",)
