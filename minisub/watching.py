"""What is measured at a student's updates, and what is taken out of them (arXiv 2604.25779).

Trees are compared in the parameters that they have in common, by path and shape: students may have
another architecture than their teacher, and frozen parameters have no update.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub import theory
from minisub.phases import Watch
from minisub.starts import dot, path_name, ratio


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
    """What is taken out of its updates: see `config.CommonArm`."""


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
    return theory.cosine(*common(one, other))


def row(student, params, gradient, updates):
    """One row of the log: name -> scalar.

    `trait_loss` in nats; cosines: `alignment` between its gradient and the distillation loss's,
    `alignment_update` between minus its gradient and the update; `teacherward` and
    `teacherward_update` between minus the distillation loss's gradient, or the update, and the
    teacher's displacement; `displacement` between both displacements, also for each layer;
    `distance` to the teacher, Euclidean.
    """
    nats, slope = jax.value_and_grad(student.trait_loss)(params)
    taught = theory.difference(*common(student.teacher, student.origin))
    gone = theory.difference(*common(params, student.start))
    apart = theory.difference(*common(params, student.teacher))
    by_layer = theory.cosine_by_layer(*common(gone, taught))
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
        along = theory.difference(*common(student.teacher, student.origin))
    else:
        along = jax.grad(student.trait_loss)(params)
    own, along = common(updates, along)
    if student.removed == "random":
        less = as_much(own, along, key)
    else:
        less = theory.project_out(own, along)
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
    return theory.moved(update, noise, -length / jnp.sqrt(dot(noise, noise)))


def wanted(watch, arms):
    """Whether a `config.Watch`, or one of the arms, needs to know the teacher's parameters."""
    return watch.rows > 0 or watch.measures or any(arm.removed != "nothing" for arm in arms)


def watch(rows, students):
    """The `phases.Watch` of a list of `Student`s trained in one loop.

    A row has an axis of students, and what all of them have.
    """

    def log(params, gradient, updates):
        each = zip(students, params, gradient, updates, strict=True)
        rows = [row(*seen) for seen in each]
        names = [name for name in rows[0] if all(name in r for r in rows)]
        return {name: jnp.stack([r[name] for r in rows]) for name in names}

    def edit(params, updates, key):
        each = zip(students, params, updates, strict=True)
        return [edited(student, own, step, key) for student, own, step in each]

    return Watch(rows, log, edit)


def alone(watch):
    """The watch over one student's tree, of that over a list of one."""

    def log(params, gradient, updates):
        return watch.log([params], [gradient], [updates])

    def edit(params, updates, key):
        return watch.edit([params], [updates], key)[0]

    return Watch(watch.rows, log, edit)


def measured(log):
    """Measures of a finished log: name -> (arms, rows), and means of alignments (arms,); or {}.

    Means are over the rows that were written, 0 if none was.
    """
    if not log:
        return {}
    arms, written = log["trait_loss"].shape[1], log["step"] >= 0
    rows = {name: jnp.swapaxes(x, 0, 1) for name, x in log.items() if name != "step"}
    steps = {"step": jnp.broadcast_to(log["step"], (arms, len(log["step"])))}

    def mean(x):
        return ratio(jnp.sum(x, axis=1, where=written[None]), jnp.sum(written))

    means = {f"mean_{name}": mean(rows[name]) for name in ("alignment", "alignment_update")}
    return means | rows | steps
