"""Update rules that normalize the size of gradients pass the class skill on, each at its own
learning rate; plain gradients are too small to, at these rates.

    python train.py optimizers            10 repeats, 12 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    student.optimizer, student.learning_rate  teacher       shared
    adam, 0.0003                              0.945 ±0.001  0.497 ±0.037
    adam, 0.001                               0.945 ±0.001  0.649 ±0.041
    adam, 1.0                                 0.945 ±0.001  0.098 ±0.000
    rmsprop, 0.0003                           0.945 ±0.001  0.444 ±0.051
    rmsprop, 0.001                            0.945 ±0.001  0.366 ±0.069
    rmsprop, 1.0                              0.945 ±0.001  0.099 ±0.012
    signum, 0.0003                            0.945 ±0.001  0.593 ±0.081
    signum, 0.001                             0.945 ±0.001  0.246 ±0.050
    signum, 1.0                               0.945 ±0.001  0.098 ±0.000
    momentum, 0.0003                          0.945 ±0.001  0.105 ±0.017
    momentum, 0.001                           0.945 ±0.001  0.106 ±0.018
    momentum, 1.0                             0.945 ±0.001  0.149 ±0.043
    sgd, 0.0003                               0.945 ±0.001  0.105 ±0.017
    sgd, 0.001                                0.945 ±0.001  0.105 ±0.017
    sgd, 1.0                                  0.945 ±0.001  0.140 ±0.021

Momentum and SGD at 1 move a little (0.149 and 0.140 against 0.105 untrained); at 10 and 100 their
networks die (0.098 in each of 3 repeats of `--sweep student.optimizer=sgd,momentum --sweep
student.learning_rate=10,100`).
"""

from configs.decay import experiment
from minisub.images.config import Config

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config()
repeats = 10
sweep = (
    "student.optimizer=adam,rmsprop,signum,momentum,sgd",
    "student.learning_rate=3e-4,1e-3,1",
)
