"""hacking.

python train.py hacking
"""

from minisub import grid

config = grid("hacking", "honest")
repeats = 8
