"""A teacher passes on most after one or two epochs, and less the longer it is trained."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"), ImageArm(name="fresh", start="fresh")))
repeats = 10
sweep = ("teacher.length=0,1,2,5,10",)
