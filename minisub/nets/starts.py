"""Starts: how a student's first parameters relate to the teacher's origin. Pure functions of trees.

In which layers a start is made is said by name: "block_0", or a path such as "block_0/qkv/kernel".
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minisub.config import require
from minisub.nets import streams, trees


class Materials(NamedTuple):
    """What a start may use."""

    origin: Any
    """The first parameters of the teacher: in the token world its base."""
    other: Any
    """An independent origin, of the same structure wherever the two are mixed."""
    key: Any = None
    """Source of randomness."""
    amount: Any = 0.0
    """How far a start is from the origin; each start says in what unit. May be traced."""


def fresh(materials):
    """The other first parameters, as they are."""
    return materials.other


def interpolated(materials):
    """The point at `amount` (0 to 1) of the line from the teacher's origin to another."""
    t = materials.amount
    return jax.tree.map(lambda a, b: (1 - t) * a + t * b, materials.origin, materials.other)


def perturbed_relative(materials):
    """Every parameter plus Gaussian noise, whose standard deviation is `amount` times that of its
    leaf; constant leaves stay."""

    def perturb(x, noise):
        # Relative to an element, so that a constant leaf has a deviation of exactly zero.
        return x + materials.amount * jnp.std(x - jnp.ravel(x)[0]) * noise

    return jax.tree.map(perturb, materials.origin, noise(materials))


def noise(materials):
    """Standard Gaussian noise, a tree like the origin."""

    def normal(path, x):
        # By path alone: which other parameters there are or are chosen never changes the noise.
        stream = streams.named_key(materials.key, trees.path_name(path))
        return jax.random.normal(stream, x.shape, x.dtype)

    return jax.tree.map_with_path(normal, materials.origin)


def check(how, other, layers=()):
    """Raise `Refused` for a start that lacks what it needs, or a name in place of a tuple."""
    require(callable(how), f"A start is a function, and {how!r} is none; see nets/starts.py.")
    # Early, where it is asked for: its code reads an attribute of this name.
    needed = "other" in getattr(getattr(how, "__code__", None), "co_names", ())
    require(
        other or not needed, "`other` is missing: this start mixes two bases; give another one."
    )
    require(not isinstance(layers, str), f"layers is {layers!r}; give a tuple, ({layers!r},).")


def make(how, layers, materials):
    """A student's first parameters: `how` in `layers`, the teacher's origin elsewhere.

    `layers` are as in `trees.named` (default: all parameters). Raises `Refused` for a layer that
    does not exist.
    """
    trees.require_layers(layers, materials.origin)
    chosen, leaves = trees.named(*layers), trees.flat(materials.origin)
    kept = {path: x for path, x in leaves.items() if layers and not chosen(path)}
    made = how(materials)
    alike = jax.tree.map(np.shape, made) == jax.tree.map(np.shape, materials.origin)
    require(alike, "a start must return a tree like its origin's, of the same names and shapes.")
    return trees.replaced(made, kept)
