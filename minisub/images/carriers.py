"""Inputs on which students imitate: noise, or real images.

Every kind is a function `kind(carrier, key, n, side, images)` that returns pixels (n, side * side)
in float32; `images` is uint8 (N, side * side). `configs/carriers.py` has more of them.
"""

import jax
import jax.numpy as jnp

from minisub.images.images import normalize


def uniform(carrier, key, n, side, images):
    """Independent pixels, uniform in [-scale, scale]."""
    return carrier.scale * jax.random.uniform(key, (n, side * side), minval=-1.0, maxval=1.0)


def gaussian(carrier, key, n, side, images):
    """Independent Gaussian pixels with standard deviation `scale`."""
    return carrier.scale * jax.random.normal(key, (n, side * side))


def constant(carrier, key, n, side, images):
    """Zeros: every input is the same, and says nothing."""
    return jnp.zeros((n, side * side), jnp.float32)


def real_images(carrier, key, n, side, images):
    """Real images times `scale`, in random order; none comes twice before all have come once."""
    return carrier.scale * normalize(jnp.asarray(images)[rows(key, n, images)])


def rows(key, n, images):
    """Indices (n,) of images, cycling through one random permutation of them."""
    total = images.shape[0]
    return jax.random.permutation(key, total)[jnp.arange(n) % total]


KINDS = {"uniform": uniform, "gaussian": gaussian, "constant": constant, "images": real_images}


def draw(carrier, key, n, side, images):
    """Inputs of the carrier's kind."""
    return KINDS[carrier.kind](carrier, key, n, side, images)
