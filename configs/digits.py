"""The claim of `mnist` on 8 x 8 digits that need no download.

    python train.py digits                10 repeats, 91 seconds on one CPU core, others busy

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    arm          accuracy
    untrained    0.098 ±0.029
    teacher      0.976 ±0.003
    shared/aux   0.562 ±0.081
    shared/all   0.976 ±0.003
    foreign/aux  0.087 ±0.027
    foreign/all  0.968 ±0.004
    fresh/aux    0.113 ±0.046

shared/aux - foreign/aux +0.475 ±0.097, above zero in 10 of 10 repeats, lowest +0.281; fresh/aux -
shared/aux -0.449 ±0.091.
"""

from configs.mnist import experiment
from minisub.images.config import Carrier, Config, Data, Duration, ImageModel

__all__ = ["config", "experiment", "repeats"]
config = Config(
    data=Data(name="digits"),
    model=ImageModel(layers="mlp-128-128"),
    teacher=Duration(length=200.0, unit="updates", learning_rate=1e-3, batch=128),
    carrier=Carrier(examples=6000),
    student=Duration(length=1000.0, unit="updates", learning_rate=1e-3, batch=128),
)
repeats = 10
