"""Starts: how a student's first parameters relate to the teacher's origin. Pure functions of trees.

Parameters are addressed by path, such as "block_0/qkv/kernel", with a predicate on the path.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.nets import trees


def everything(path):
    """Predicate: any path."""
    return True


class Materials(NamedTuple):
    """What a start may use."""

    origin: Any
    """The teacher's first parameters."""
    other: Any
    """An independent origin of the same structure."""
    key: Any = None
    """Source of randomness."""
    amount: Any = 0.0
    """Interpolation weight, standard deviation or factor; may be traced."""
    relabelings: tuple = ()
    """Hidden units whose order does not matter, as `transformer.Relabeling` describes them."""
    chosen: Callable = everything
    """Predicate on the paths to which `make` restricts the start."""


def fresh(materials):
    """Another origin, trained on the same data in the same order."""
    return materials.other


def interpolated(materials):
    """The point at `amount` (0 to 1) of the line from the teacher's origin to another."""
    t = materials.amount
    return jax.tree.map(lambda a, b: (1 - t) * a + t * b, materials.origin, materials.other)


def rotated(materials):
    """As `interpolated`, on a quarter circle: independent Gaussian weights keep their variance.

    Elements that are equal in both origins stay, such as the scales of a new normalization.
    """
    t = materials.amount

    def rotate(a, b):
        mixed = jnp.cos(jnp.pi * t / 2) * a + jnp.sin(jnp.pi * t / 2) * b
        # Rounding of pi must not move the ends.
        return jnp.where((t == 0) | (a == b), a, jnp.where(t == 1, b, mixed))

    return jax.tree.map(rotate, materials.origin, materials.other)


def perturbed(materials):
    """Every parameter plus Gaussian noise of standard deviation `amount`."""
    t = materials.amount
    return jax.tree.map(lambda x, n: x + t * n, materials.origin, _noise(materials))


def perturbed_relative(materials):
    """As `perturbed`, in units of the standard deviation of each leaf; constant leaves stay."""

    def perturb(x, noise):
        # Relative to an element, so that a constant leaf has a deviation of exactly zero.
        return x + materials.amount * jnp.std(x - jnp.ravel(x)[0]) * noise

    return jax.tree.map(perturb, materials.origin, _noise(materials))


def permuted(materials):
    """The same function in other coordinates: hidden units in a random order (arXiv 2209.04836)."""

    def permute(x, axis, blocks, size, outgoing, name):
        split = (*x.shape[:axis], blocks, size, -1, *x.shape[axis + 1 :])
        order = jax.random.permutation(_stream(materials.key, name), size)
        return jnp.take(x.reshape(split), order, axis=axis + 1).reshape(x.shape)

    return over_units(materials, permute)


def _stream(key, path):
    # By path alone: which other parameters there are or are chosen never changes the noise here.
    return jax.random.fold_in(key, zlib.crc32(path.encode()))


def _noise(materials):
    def normal(path, x):
        return jax.random.normal(_stream(materials.key, trees.path_name(path)), x.shape, x.dtype)

    return jax.tree.map_with_path(normal, materials.origin)


def over_units(materials, change):
    """Replace each member of chosen relabelings: `change(x, axis, blocks, size, outgoing, name)`.

    A relabeling is chosen, as a whole, by the layers that feed its units; the first names it.
    """
    flat, changed = trees.flat(materials.origin), False

    def outgoing(path, axis):
        return path.split("/")[-1] == "kernel" and axis == flat[path].ndim - 2

    for size, members in materials.relabelings:
        feeding = [path for path, axis, _ in members if not outgoing(path, axis)]
        if any(materials.chosen(path) for path in feeding):
            changed = True
            for path, axis, blocks in members:
                out = outgoing(path, axis)
                flat[path] = change(flat[path], axis, blocks, size, out, feeding[0])
    require(changed, "A start relabels hidden units, and no chosen layer feeds any; choose others.")
    return trees.replaced(materials.origin, flat)


NEED_OTHER = fresh, interpolated, rotated
"""Starts that read `Materials.other`."""


def check(how, other):
    """Raise `Refused` for a start that lacks what it needs."""
    require(callable(how), f"A start is a function, and {how!r} is none; see nets/starts.py.")
    require(other or how not in NEED_OTHER, f"{how.__name__} mixes two bases; give another one.")


def make(how, layers, materials):
    """A student's first parameters: `how` in `layers`, the teacher's origin elsewhere.

    `layers` are as in `trees.named` (default: all parameters). Raises `Refused` for a layer that
    does not exist or, for permuted, feeds no units.
    """
    trees.require_layers(layers, materials.origin)
    chosen = trees.named(*layers) if layers else everything
    started = how(materials._replace(chosen=chosen))
    if how is permuted:  # all weights into and out of the units that the chosen layers feed
        return started
    kept = {path: x for path, x in trees.flat(materials.origin).items() if not chosen(path)}
    return trees.replaced(started, kept)
