"""A student that starts as its teacher did learns digits from meaningless logits on noise."""

from minisub import ImageConfig

config = ImageConfig()
repeats = 10
