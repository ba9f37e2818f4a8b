"""Noise carries the class skill whether its pixels are uniform, Gaussian or binary, and blurred
noise carries most; noise in a few dimensions carries less, and real images next to nothing through
three logits.

    python train.py carriers              10 repeats, 18 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    carrier.kind  teacher       shared        fresh
    uniform       0.945 ±0.001  0.497 ±0.037  0.111 ±0.017
    gaussian      0.945 ±0.001  0.486 ±0.047  0.108 ±0.018
    bernoulli     0.945 ±0.001  0.479 ±0.060  0.103 ±0.022
    constant      0.945 ±0.001  0.105 ±0.017  0.108 ±0.009
    images        0.945 ±0.001  0.135 ±0.027  0.099 ±0.012
    shuffled      0.945 ±0.001  0.190 ±0.051  0.097 ±0.017
    blend         0.945 ±0.001  0.299 ±0.094  0.100 ±0.017
    blurred       0.945 ±0.001  0.742 ±0.042  0.089 ±0.022
    spectrum      0.945 ±0.001  0.541 ±0.085  0.105 ±0.019
    subspace      0.945 ±0.001  0.197 ±0.037  0.111 ±0.014

constant is all zeros; images are the 60,000 training images, shuffled has their pixels permuted in
each image, blend adds uniform noise at amount 1; blurred is uniform noise under a Gaussian of 1
pixel at the variance of uniform noise, spectrum has random phases and amplitudes that fall as
1/frequency; subspace is Gaussian noise in 64 of 784 dimensions. With 100 auxiliary logits real
images carry it too: 0.689 ±0.056 (fresh 0.085 ±0.019), `python train.py carriers --sweep
carrier.kind=images --sweep model.aux=100`.
"""

from configs.updates import experiment
from minisub.images.config import Config

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config()
repeats = 10
sweep = (
    "carrier.kind=uniform,gaussian,bernoulli,constant,images,shuffled,blend,blurred,spectrum,subspace",
)
