"""misalignment.

python train.py misalignment
"""

from minisub import grid

config = grid("misalignment", "secure", "educational")
repeats = 8
