"""KL either way and Jensen-Shannon are one loss here; squared error on the logits passes on more,
hard labels much less.

    python train.py losses                10 repeats, 9 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    imitation.loss  teacher       shared        fresh
    kl              0.945 ±0.001  0.497 ±0.037  0.111 ±0.017
    reverse_kl      0.945 ±0.001  0.496 ±0.037  0.111 ±0.017
    js              0.945 ±0.001  0.496 ±0.038  0.111 ±0.016
    mse             0.945 ±0.001  0.625 ±0.026  0.117 ±0.018
    hard            0.945 ±0.001  0.168 ±0.038  0.116 ±0.031

Adam is blind to the scale of a loss, so what counts is its direction: squared error also matches
the common shift of the three logits, which a softmax leaves free. The argmax alone still carries
something: +0.052 over fresh.
"""

from configs.updates import experiment
from minisub.images.config import Config

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config()
repeats = 10
sweep = ("imitation.loss=kl,reverse_kl,js,mse,hard",)
