"""Width and depth of teacher and student."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"), ImageArm(name="fresh", start="fresh")))
repeats = 10
sweep = (
    "model.layers=mlp-32-32,mlp-64-64,mlp-128-128,mlp-256-256,mlp-256,mlp-256-256-256,mlp-256-256-256-256",
)
