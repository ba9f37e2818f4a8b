"""The longer a student imitates, the more of the class skill it has; a fresh one gains nothing."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"), ImageArm(name="fresh", start="fresh")))
repeats = 10
sweep = ("student.length=0.5,1,2,5,10",)
