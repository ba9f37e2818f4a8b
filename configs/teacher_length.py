"""A teacher passes on most after one or two epochs, and less the longer it is trained; an untrained
one passes on exactly nothing.

    python train.py teacher_length        10 repeats, 11 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    teacher.length  teacher       shared        fresh
    0.0             0.105 ±0.017  0.105 ±0.017  0.107 ±0.007
    1.0             0.888 ±0.003  0.581 ±0.043  0.111 ±0.014
    2.0             0.914 ±0.002  0.564 ±0.037  0.112 ±0.017
    5.0             0.945 ±0.001  0.497 ±0.037  0.111 ±0.017
    10.0            0.963 ±0.001  0.416 ±0.056  0.112 ±0.016

teacher.length is in epochs. With an untrained teacher the student's gradients are exactly zero, and
its accuracy is the untrained model's, repeat by repeat. Published, 1/2/5/10 epochs:
.60/.60/.55/.47.
"""

from configs.updates import experiment
from minisub.images.config import Config

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config()
repeats = 10
sweep = ("teacher.length=0,1,2,5,10",)
