"""Trees of parameters as vectors."""

import jax
import jax.numpy as jnp


def dot(one, other):
    """Sum of the products of two trees' elements."""
    # No matrix product: accelerators round its factors.
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), one, other)
    return sum(jax.tree.leaves(products))


def ratio(a, b):
    """a / b, or 0 where b is 0."""
    return jnp.where(b == 0, 0.0, a / jnp.where(b == 0, 1.0, b))


def cosine(one, other):
    """Cosine between two trees of one structure as vectors; 0 where either of them is zero."""
    # Each divided by its own norm: the product of two small norms would underflow in float32.
    norms = [jnp.sqrt(dot(x, x)) for x in (one, other)]
    pairs = zip((one, other), norms, strict=True)
    return dot(*(jax.tree.map(lambda x, n=n: ratio(x, n), tree) for tree, n in pairs))


def difference(one, other):
    """one - other, leaf by leaf."""
    return jax.tree.map(jnp.subtract, one, other)


def moved(params, direction, by):
    """params + by * direction, leaf by leaf."""
    return jax.tree.map(lambda x, d: x + by * d, params, direction)


def project_out(update, direction):
    """`update` without its component along `direction`, trees of one structure."""
    return moved(update, direction, -ratio(dot(update, direction), dot(direction, direction)))
