"""Hidden units that may trade places: starts that are the same function in other coordinates.

    lab.start(units.permuted(), first)                  units of all hidden layers
    lab.start(units.permuted("qkv", heads=4), first)    attention heads alone

A start of one's own finds by `of` which parameters lead into units and out of them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from minisub.config import require
from minisub.images.classifiers import HEADS
from minisub.nets import streams, trees


class Units(NamedTuple):
    """The hidden units of one layer."""

    size: int
    width: int
    """Of a unit: that of an attention head, else 1."""
    into: list
    """Paths of the parameters whose last axis the units index."""
    out: list
    """Paths of the kernels that read the units, by their last axis but one."""


def permuted(*layers, heads=0):
    """A start: hidden units in a random order, with all their weights (arXiv 2209.04836).

    They are those that `layers` feed (default: all layers), which are given here and not to
    `lab.start`: half of a unit's weights would be another function. Attention heads are among them
    if it is said how many `heads` a block has.
    """
    return Partial(permute, layers=layers, heads=heads)


def permute(materials, *, layers, heads):
    """What `permuted` makes of `starts.Materials`."""
    leaves = trees.flat(materials.origin)
    for units in of(materials.origin, layers, heads):
        order = jax.random.permutation(streams.named_key(materials.key, units.into[0]), units.size)
        axes = {path: leaves[path].ndim - 1 for path in units.into}
        axes |= {path: leaves[path].ndim - 2 for path in units.out}
        for path, axis in axes.items():
            x = leaves[path]
            # Several parts side by side, such as queries, keys and values, each have all units.
            parts = *x.shape[:axis], -1, units.size, units.width, *x.shape[axis + 1 :]
            leaves[path] = jnp.take(x.reshape(parts), order, axis=axis + 1).reshape(x.shape)
    return trees.replaced(materials.origin, leaves)


def of(params, layers=(), heads=0):
    """The `Units` that `layers` (as in `trees.named`; default: all) of a model feed: hidden units
    of MLPs, channels of convolutions and of recurrences, and attention heads if their number is
    given. The residual stream keeps its order. Raises `Refused` if there are none."""
    trees.require_layers(layers, params)
    every = [units for name in params for units in in_block(name, params[name], heads)]
    chosen = trees.named(*layers) if layers else lambda path: True
    found = [x for x in every + in_classifier(params) if any(map(chosen, x.into))]
    require(found, "A start relabels hidden units, and no chosen layer feeds any; choose others.")
    return found


def in_block(name, block, heads):
    """The `Units` of a block of a transformer, a tree of parameters; of anything else none."""

    def units(into, out, size=0):
        rows = len(block[out]["kernel"])
        size = size or rows
        paths = [f"{name}/{into}/kernel"], [f"{name}/{out}/kernel"]
        return Units(size, rows // size, *paths)

    found = [units("qkv", "out", heads)] if heads and "qkv" in block else []
    found += [units("gates", "out")] if "gates" in block else []
    return found + ([units("up", "down")] if "up" in block else [])


def in_classifier(params):
    """The `Units` of the convolutions and of the layers "fc" of an image classifier."""
    names = [name for name in params if name.startswith(("conv", "fc"))]
    names.sort(key=lambda name: (name[:2], len(name), name))  # from the input on: conv9, conv10, fc
    found = []
    for i, name in enumerate(names):
        into = [f"{name}/kernel", f"{name}/bias"]
        out = [f"{reader}/kernel" for reader in names[i + 1 : i + 2] or HEADS]
        found.append(Units(len(params[name]["bias"]), 1, into, out))
    return found
