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

import math
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp

from configs import updates
from minisub.config import Amount, Count, Positive, configuration
from minisub.images.config import Carrier, Config
from minisub.images.lab import Lab
from minisub.images.pictures import normalize
from minisub.images.tasks import uniform

CHUNK = 1000
"""Rows at a time where a kind needs several times the memory of its result."""


@configuration
class Inputs(Carrier):
    """Noise of many laws, and real images, plain or destroyed."""

    kind: Literal[
        "uniform", "gaussian", "constant", "images", "bernoulli", "shuffled", "blend", "blurred",
        "spectrum", "subspace",
    ] = "uniform"  # fmt: skip
    """A function of this file. Noise other than gaussian and bernoulli has the standard deviation
    of uniform, `scale` / sqrt(3), so that kinds differ in structure and not in size."""
    scale: Positive = 1.0
    """Half-width (uniform) or standard deviation (gaussian), or a factor on the pixels."""
    amount: Amount = 1.0
    """Of noise added to images (blend), blur in pixels (blurred), exponent of the amplitude's
    fall with frequency (spectrum)."""
    dimensions: Count = 64
    """Of the random subspace that noise is confined to (subspace)."""


config = Config(carrier=Inputs())
repeats = 10
sweep = (
    "carrier.kind=uniform,gaussian,bernoulli,constant,images,shuffled,blend,blurred,spectrum,subspace",
)


def experiment(cfg):
    """The students of `updates`, on inputs of any kind."""
    return updates.experiment(cfg, partial(Lab, draw=draw))


def gaussian(carrier, key, n, side, images):
    """Independent Gaussian pixels with standard deviation `scale`."""
    return carrier.scale * jax.random.normal(key, (n, side * side))


def constant(carrier, key, n, side, images):
    """Zeros: every input is the same, and says nothing."""
    return jnp.zeros((n, side * side), jnp.float32)


def bernoulli(carrier, key, n, side, images):
    """Independent pixels, -scale or scale with equal probability."""
    return carrier.scale * jax.random.rademacher(key, (n, side * side), jnp.float32)


def real_images(carrier, key, n, side, images):
    """Real images times `scale`, in random order; none comes twice before all have come once."""
    return carrier.scale * normalize(jnp.asarray(images)[places(key, n, images)])


def shuffled(carrier, key, n, side, images):
    """Real images with pixels permuted, in each image differently."""
    images, (k_rows, k_shuffle) = jnp.asarray(images), jax.random.split(key)

    def chunk(k_chunk, rows):
        # Half the time of jax.random.permutation, which sorts twice because keys may coincide.
        bits = jax.random.bits(k_chunk, (len(rows), side * side))
        return jax.lax.sort_key_val(bits, images[rows])[1]

    rows = places(k_rows, n, images)
    return carrier.scale * normalize(in_chunks(chunk, k_shuffle, rows))


def blend(carrier, key, n, side, images):
    """Real images plus `amount` times uniform noise in [-1, 1], not clipped, times `scale`."""
    k_rows, k_noise = jax.random.split(key)
    real = normalize(jnp.asarray(images)[places(k_rows, n, images)])
    return carrier.scale * (real + carrier.amount * white(k_noise, real.shape))


def blurred(carrier, key, n, side, images):
    """Uniform noise, blurred by a periodic Gaussian of standard deviation `amount` pixels."""
    passed = jnp.exp(-2 * (jnp.pi * carrier.amount * frequencies(side)) ** 2)
    # White noise of variance v has variance v * mean(passed**2) after the filter.
    passed = carrier.scale * passed / jnp.sqrt(jnp.mean(passed**2))

    def chunk(k_chunk, rows):
        noise = jnp.fft.rfft2(white(k_chunk, (len(rows), side, side)))
        return pixels(noise * passed[None, :, : noise.shape[-1]], side)

    return in_chunks(chunk, key, jnp.arange(n))


def spectrum(carrier, key, n, side, images):
    """Random phases under an amplitude that falls as frequency to the power -`amount`; images have
    mean 0 and one sum of squares."""
    cycles = side * frequencies(side)
    constant_part = cycles == 0
    amplitude = jnp.where(constant_part, 0, jnp.where(constant_part, 1, cycles) ** -carrier.amount)
    # By Parseval, the mean square of an image is the sum of squares here over its pixels squared.
    size = carrier.scale / math.sqrt(3) * side**2
    amplitude = size * amplitude / jnp.sqrt(jnp.sum(amplitude**2))

    def chunk(k_chunk, rows):
        # Phases of real noise are those of a real image: opposite at opposite frequencies.
        noise = jnp.fft.rfft2(jax.random.normal(k_chunk, (len(rows), side, side)))
        phases = noise / jnp.maximum(jnp.abs(noise), jnp.finfo(jnp.float32).tiny)
        return pixels(phases * amplitude[None, :, : noise.shape[-1]], side)

    return in_chunks(chunk, key, jnp.arange(n))


def subspace(carrier, key, n, side, images):
    """Gaussian noise in a random subspace of `dimensions` dimensions, isotropic within it."""
    k_basis, k_noise = jax.random.split(key)
    basis, _ = jnp.linalg.qr(jax.random.normal(k_basis, (side * side, carrier.dimensions)))
    noise = jax.random.normal(k_noise, (n, carrier.dimensions))
    size = carrier.scale * math.sqrt(side**2 / carrier.dimensions / 3)
    # Rounded products would leave the subspace.
    return size * jnp.matmul(noise, basis.T, precision=jax.lax.Precision.HIGHEST)


DRAWN = uniform, gaussian, constant, bernoulli, shuffled, blend, blurred, spectrum, subspace
KINDS = {f.__name__: f for f in DRAWN} | {"images": real_images}


def draw(carrier, key, n, side, images):
    """Inputs of the carrier's kind, drawn as by `tasks.uniform`."""
    return KINDS[carrier.kind](carrier, key, n, side, images)


def places(key, n, images):
    """Indices (n,) of images, cycling through one random permutation of them."""
    total = images.shape[0]
    return jax.random.permutation(key, total)[jnp.arange(n) % total]


def white(key, shape):
    """Noise, uniform in [-1, 1]."""
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


def frequencies(side):
    """Absolute frequency (side, side) in cycles per pixel, where `fft2` puts it."""
    f = jnp.fft.fftfreq(side)
    return jnp.hypot(f[:, None], f[None])


def pixels(half, side):
    """Flat images (n, side * side) from the half `rfft2` gives of their transforms."""
    return jnp.fft.irfft2(half, s=(side, side)).reshape(len(half), -1)


def in_chunks(chunk, key, rows):
    """Stack `chunk(key, rows)` over at most `CHUNK` of the `rows` (n,) at a time."""
    n = len(rows)
    size = min(CHUNK, n)
    count = -(-n // size)
    rows = jnp.pad(rows, (0, count * size - n)).reshape(count, size)
    made = jax.lax.map(lambda arguments: chunk(*arguments), (jax.random.split(key, count), rows))
    return made.reshape(count * size, -1)[:n]
