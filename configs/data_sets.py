"""The claim of `mnist` on other data."""

from minisub import Carrier, Duration, ImageArm, ImageConfig

config = ImageConfig(
    teacher=Duration(length=300.0, unit="updates", batch=256),
    carrier=Carrier(examples=20000),
    student=Duration(length=600.0, unit="updates", batch=256),
    arms=(ImageArm(name="shared"), ImageArm(name="fresh", start="fresh")),
)
repeats = 10
sweep = ("data.name=mnist,digits,clusters",)
