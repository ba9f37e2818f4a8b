"""Transfer peaks at a learning rate above the published one and is gone at thirty times that."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"), ImageArm(name="fresh", start="fresh")))
repeats = 10
sweep = ("student.learning_rate=1e-4,3e-4,1e-3,3e-3,1e-2",)
