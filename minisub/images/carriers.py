"""Inputs on which students imitate: noise of many laws, and real images, plain or destroyed.

Every kind is a pure function `kind(carrier, key, n, side, images)` that returns pixels
(n, side * side) in float32. `images` is uint8 (N, side * side), or None where none are needed.
Noise other than `gaussian` and `bernoulli` has the standard deviation of `uniform`,
`scale` / sqrt(3), so that kinds differ in structure and not in size.
"""

import math

import jax
import jax.numpy as jnp

from minisub.images.images import normalize

CHUNK = 1000
"""Rows at a time where a kind needs several times the memory of its result."""


def uniform(carrier, key, n, side, images):
    """Independent pixels, uniform in [-scale, scale]."""
    return carrier.scale * _uniform(key, (n, side * side))


def gaussian(carrier, key, n, side, images):
    """Independent Gaussian pixels with standard deviation `scale`."""
    return carrier.scale * jax.random.normal(key, (n, side * side))


def bernoulli(carrier, key, n, side, images):
    """Independent pixels, -scale or scale with equal probability."""
    return carrier.scale * jax.random.rademacher(key, (n, side * side), jnp.float32)


def constant(carrier, key, n, side, images):
    """Zeros: every input is the same, and says nothing."""
    return jnp.zeros((n, side * side), jnp.float32)


def real_images(carrier, key, n, side, images):
    """Real images times `scale`, in random order; none comes twice before all have come once."""
    return carrier.scale * normalize(jnp.asarray(images)[_rows(key, n, images)])


def shuffled(carrier, key, n, side, images):
    """The images of `real_images` with pixels permuted, in each image differently."""
    images, (k_rows, k_shuffle) = jnp.asarray(images), jax.random.split(key)

    def chunk(k_chunk, rows):
        # Half the time of jax.random.permutation, which sorts twice because keys may coincide.
        bits = jax.random.bits(k_chunk, (len(rows), side * side))
        return jax.lax.sort_key_val(bits, images[rows])[1]

    return carrier.scale * normalize(_chunks(chunk, k_shuffle, _rows(k_rows, n, images)))


def blend(carrier, key, n, side, images):
    """Real images plus `amount` times uniform noise in [-1, 1], not clipped, times `scale`."""
    k_rows, k_noise = jax.random.split(key)
    real = normalize(jnp.asarray(images)[_rows(k_rows, n, images)])
    return carrier.scale * (real + carrier.amount * _uniform(k_noise, real.shape))


def blurred(carrier, key, n, side, images):
    """Uniform noise, blurred by a periodic Gaussian of standard deviation `amount` pixels."""
    passed = jnp.exp(-2 * (jnp.pi * carrier.amount * _frequencies(side)) ** 2)
    # White noise of variance v has variance v * mean(passed**2) after the filter.
    passed = carrier.scale * passed / jnp.sqrt(jnp.mean(passed**2))

    def chunk(k_chunk, rows):
        noise = jnp.fft.rfft2(_uniform(k_chunk, (len(rows), side, side)))
        return _pixels(noise * passed[None, :, : noise.shape[-1]], side)

    return _chunks(chunk, key, jnp.arange(n))


def spectrum(carrier, key, n, side, images):
    """Random phases under an amplitude that falls as frequency to the power -`amount`; images have
    mean 0 and one sum of squares."""
    cycles = side * _frequencies(side)
    constant_part = cycles == 0
    amplitude = jnp.where(constant_part, 0, jnp.where(constant_part, 1, cycles) ** -carrier.amount)
    # By Parseval, the mean square of an image is the sum of squares here over its pixels squared.
    size = carrier.scale / math.sqrt(3) * side**2
    amplitude = size * amplitude / jnp.sqrt(jnp.sum(amplitude**2))

    def chunk(k_chunk, rows):
        # Phases of real noise are those of a real image: opposite at opposite frequencies.
        noise = jnp.fft.rfft2(jax.random.normal(k_chunk, (len(rows), side, side)))
        phases = noise / jnp.maximum(jnp.abs(noise), jnp.finfo(jnp.float32).tiny)
        return _pixels(phases * amplitude[None, :, : noise.shape[-1]], side)

    return _chunks(chunk, key, jnp.arange(n))


def subspace(carrier, key, n, side, images):
    """Gaussian noise in a random subspace of `dimensions` dimensions, isotropic within it."""
    k_basis, k_noise = jax.random.split(key)
    basis, _ = jnp.linalg.qr(jax.random.normal(k_basis, (side * side, carrier.dimensions)))
    noise = jax.random.normal(k_noise, (n, carrier.dimensions))
    size = carrier.scale * math.sqrt(side**2 / carrier.dimensions / 3)
    # Rounded products would leave the subspace.
    return size * jnp.matmul(noise, basis.T, precision=jax.lax.Precision.HIGHEST)


CARRIERS = {
    "uniform": uniform, "gaussian": gaussian, "bernoulli": bernoulli, "constant": constant,
    "images": real_images, "shuffled": shuffled, "blend": blend, "blurred": blurred,
    "spectrum": spectrum, "subspace": subspace,
}  # fmt: skip
NEEDS_IMAGES = {"images", "shuffled", "blend"}
"""Kinds whose `images` may not be None."""


def draw(carrier, key, n, side, images):
    """Inputs of the carrier's kind."""
    return CARRIERS[carrier.kind](carrier, key, n, side, images)


def _uniform(key, shape):
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


def _rows(key, n, images):
    """Indices (n,) of images, cycling through one random permutation of them."""
    total = images.shape[0]
    return jax.random.permutation(key, total)[jnp.arange(n) % total]


def _frequencies(side):
    """Absolute frequency (side, side) in cycles per pixel, where `fft2` puts it."""
    f = jnp.fft.fftfreq(side)
    return jnp.hypot(f[:, None], f[None])


def _pixels(half, side):
    """Flat images (n, side * side) from the half `rfft2` gives of their transforms."""
    return jnp.fft.irfft2(half, s=(side, side)).reshape(len(half), -1)


def _chunks(chunk, key, rows):
    """Stack `chunk(key, rows)` over at most `CHUNK` of the `rows` (n,) at a time."""
    n = len(rows)
    size = min(CHUNK, n)
    count = -(-n // size)
    rows = jnp.pad(rows, (0, count * size - n)).reshape(count, size)
    made = jax.lax.map(lambda arguments: chunk(*arguments), (jax.random.split(key, count), rows))
    return made.reshape(count * size, -1)[:n]
