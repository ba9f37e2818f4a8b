"""With weight decay inside Adam the scale of the loss counts: the smaller the loss, the more of
each step is decay.

    python train.py loss_scale            10 repeats, 4 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    imitation.scale  teacher       shared
    0.01             0.945 ±0.001  0.104 ±0.007
    1.0              0.945 ±0.001  0.191 ±0.055
    100.0            0.945 ±0.001  0.408 ±0.077
    10000.0          0.945 ±0.001  0.402 ±0.077

Weight decay 1e-3 added to the gradient, students only. A loss summed over a hundred examples or
more instead of averaged ends at what erasing the class head leaves (0.411 in `decay`). So two
reports can both be: .41, flat up to a decay of 1e-2, had a loss that is 41 times the mean of an
example (a ratio between those here), and the fall to chance an averaged one; there the teacher's
weights decay, too.
"""

from configs.decay import experiment
from minisub.images.config import Config, Duration

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config(student=Duration(optimizer="adam_l2", weight_decay=1e-3))
repeats = 10
sweep = ("imitation.scale=0.01,1,100,10000",)
