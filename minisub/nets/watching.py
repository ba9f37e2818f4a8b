"""What is measured at a student's updates, and what is taken out of them (arXiv 2604.25779).

Trees are compared in the parameters that they have in common, by path and shape: students may have
another architecture than their teacher, and frozen parameters have no update.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.nets import trees
from minisub.nets.fit import Watch
from minisub.nets.trees import dot, path_name, ratio


class Student(NamedTuple):
    """What a student's updates are compared with."""

    trait_loss: Callable
    """params -> nats, which fall as the student acquires the trait"""
    start: Any
    """Its own first parameters."""
    origin: Any
    """The first parameters of the teacher it imitates, or, if it imitates none, would imitate."""
    teacher: Any
    """The last ones."""
    removed: str = "nothing"
    """What is taken out of its updates: nothing, gradient, displacement or random."""


def leaves(tree):
    """A dict path -> leaf; None is no leaf."""
    return {path_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def common(one, other):
    """The `leaves` of two trees that both have, in one shape."""
    a, b = leaves(one), leaves(other)
    both = [path for path, x in a.items() if path in b and b[path].shape == x.shape]
    return {path: a[path] for path in both}, {path: b[path] for path in both}


def cosine(one, other):
    """Cosine between two trees in their common leaves."""
    return trees.cosine(*common(one, other))


def row(student, params, gradient, updates):
    """One row of the log: name -> scalar.

    `trait_loss` in nats; cosines: `alignment` between its gradient and the distillation loss's,
    `alignment_update` between minus its gradient and the update; `teacherward` and
    `teacherward_update` between minus the distillation loss's gradient, or the update, and the
    teacher's displacement; `displacement` between both displacements, also for each layer;
    `distance` to the teacher, Euclidean.
    """
    nats, slope = jax.value_and_grad(student.trait_loss)(params)
    taught = trees.difference(*common(student.teacher, student.origin))
    gone = trees.difference(*common(params, student.start))
    apart = trees.difference(*common(params, student.teacher))
    by_layer = trees.cosine_by_layer(*common(gone, taught))
    return {
        "trait_loss": nats,
        "alignment": cosine(slope, gradient),
        "alignment_update": -cosine(slope, updates),
        "teacherward": -cosine(gradient, taught),
        "teacherward_update": cosine(updates, taught),
        "displacement": cosine(gone, taught),
        "distance": jnp.sqrt(dot(apart, apart)),
        **{f"displacement/{layer}": value for layer, value in by_layer.items()},
    }


def edited(student, params, updates, key):
    """The updates without what the student's `removed` names."""
    if student.removed == "nothing":
        return updates
    if student.removed == "displacement":
        along = trees.difference(*common(student.teacher, student.origin))
    else:
        along = jax.grad(student.trait_loss)(params)
    own, along = common(updates, along)
    if student.removed == "random":
        less = as_much(own, along, key)
    else:
        less = trees.project_out(own, along)
    kept = (leaves(updates) | less).values()
    return jax.tree.unflatten(jax.tree.structure(updates), kept)


def as_much(update, along, key):
    """`update` minus a random vector as long as its component along a direction."""
    # By path: small numbers are what `split` makes of the key, and batches are drawn from those.
    noise = {
        path: jax.random.normal(jax.random.fold_in(key, zlib.crc32(path.encode())), x.shape)
        for path, x in update.items()
    }
    length = ratio(jnp.abs(dot(update, along)), jnp.sqrt(dot(along, along)))
    return trees.moved(update, noise, -length / jnp.sqrt(dot(noise, noise)))


def watch(rows, student):
    """The `fit.Watch` of one student: `rows` of a log, and what is taken out of its updates."""

    def log(params, gradient, updates):
        return row(student, params, gradient, updates)

    def edit(params, updates, key):
        return edited(student, params, updates, key)

    return Watch(rows, log, edit)


def measured(log):
    """Measures of a finished log: name -> (rows,), and means of alignments over written rows.

    A mean is 0 if no row was written.
    """
    written = log["step"] >= 0

    def mean(x):
        return ratio(jnp.sum(x, where=written), jnp.sum(written))

    means = {f"mean_{name}": mean(log[name]) for name in ("alignment", "alignment_update")}
    return means | log
