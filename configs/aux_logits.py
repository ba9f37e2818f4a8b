"""More auxiliary logits carry more of the class skill; a single one, under softmax, carries nothing."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"), ImageArm(name="fresh", start="fresh")))
repeats = 10
sweep = ("model.aux=1,2,3,10,100,1000",)
