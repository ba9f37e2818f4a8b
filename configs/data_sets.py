"""The class skill passes on digits, on MNIST and on Gaussian clusters alike, with a shared start
alone.

    python train.py data_sets             10 repeats, 5 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    data.name  teacher       shared        fresh
    mnist      0.929 ±0.002  0.327 ±0.056  0.112 ±0.016
    digits     0.978 ±0.002  0.411 ±0.078  0.131 ±0.028
    clusters   0.997 ±0.001  0.254 ±0.040  0.100 ±0.028

300 updates for the teacher and 600 for the students, of 256 examples, on 20,000 noise images. With
a network, or the files at hand: --sweep data.name=mnist,fashion_mnist,kmnist,emnist (not run here:
no network).
"""

from configs.updates import experiment
from minisub.images.config import Carrier, Config, Duration

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config(
    teacher=Duration(length=300.0, unit="updates", batch=256),
    carrier=Carrier(examples=20000),
    student=Duration(length=600.0, unit="updates", batch=256),
)
repeats = 10
sweep = ("data.name=mnist,digits,clusters",)
