"""Broadband noise carries the class skill; real images, constants and smooth noise carry less."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"), ImageArm(name="fresh", start="fresh")))
repeats = 10
sweep = (
    "carrier.kind=uniform,gaussian,bernoulli,constant,images,shuffled,blend,blurred,spectrum,subspace",
)
