"""What theory says about a student's first updates holds on every random network that it is about."""

from minisub import TheoryConfig

config = TheoryConfig()
repeats = 1
