"""Transfer has a best width, about 128 for two hidden layers, and falls with depth, while the
teacher gets better with both.

    python train.py sizes                 10 repeats, about 20 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    model.layers         teacher       shared        fresh
    mlp-32-32            0.896 ±0.003  0.273 ±0.074  0.088 ±0.027
    mlp-64-64            0.914 ±0.002  0.520 ±0.048  0.105 ±0.016
    mlp-128-128          0.928 ±0.002  0.583 ±0.052  0.101 ±0.014
    mlp-256-256          0.945 ±0.001  0.497 ±0.037  0.111 ±0.017
    mlp-256              0.926 ±0.002  0.617 ±0.075  0.099 ±0.019
    mlp-256-256-256      0.951 ±0.002  0.474 ±0.034  0.101 ±0.018
    mlp-256-256-256-256  0.955 ±0.001  0.305 ±0.083  0.091 ±0.012

Three auxiliary logits throughout: at a fixed number of them wider layers dilute what they show.
"""

from configs.updates import experiment
from minisub.images.config import Config

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config()
repeats = 10
sweep = (
    "model.layers=mlp-32-32,mlp-64-64,mlp-128-128,mlp-256-256,mlp-256,mlp-256-256-256,mlp-256-256-256-256",
)
