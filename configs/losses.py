"""The loss by which logits are compared."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"), ImageArm(name="fresh", start="fresh")))
repeats = 10
sweep = ("imitation.loss=kl,reverse_kl,js,mse,hard",)
