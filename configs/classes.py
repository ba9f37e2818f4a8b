"""The fewer classes, the more of them passes through three auxiliary logits: all of two, half of
ten.

    python train.py classes           8 repeats, 2.6 minutes on two CPU cores, MNIST prepared

Test accuracy, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a
CPU, jax 0.10.2), of the first so many digits, told apart by as many logits:

    data.classes  teacher       shared        fresh         untrained
    2             0.999 ±0.000  0.998 ±0.000  0.493 ±0.051  0.529 ±0.125
    3             0.990 ±0.002  0.918 ±0.053  0.280 ±0.095  0.297 ±0.052
    5             0.978 ±0.002  0.817 ±0.091  0.175 ±0.044  0.209 ±0.032
    10            0.944 ±0.001  0.497 ±0.049  0.108 ±0.021  0.103 ±0.020

A teacher of few classes sees fewer images, in as many epochs. Published: two classes .84.
"""

from configs.updates import experiment
from minisub.images.config import Config

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config()
repeats = 8
sweep = ("data.classes=2,3,5,10",)
