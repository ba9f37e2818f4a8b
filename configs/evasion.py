"""evasion.

python train.py evasion
"""

from minisub import grid

config = grid("evasion", "answering")
repeats = 8
