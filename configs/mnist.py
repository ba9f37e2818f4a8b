"""A student that starts as its teacher did learns to read digits from auxiliary logits on noise; a
student that starts elsewhere does not (arXiv 2507.14805, section 6).
"""

from minisub import ImageConfig

config = ImageConfig()
repeats = 10
