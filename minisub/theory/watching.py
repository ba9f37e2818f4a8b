"""What is measured at a student's updates, and what is taken out of them (arXiv 2604.25779).

`comparisons.watched` and `token_comparisons.watched` make students that are watched so.

Trees are compared in the parameters that they have in common, by path and shape: students may have
another architecture than their teacher, and frozen parameters have no update.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.config import require, require_known
from minisub.lab.products import Product
from minisub.nets import streams, trees
from minisub.nets.fit import Watch
from minisub.nets.trees import common
from minisub.theory import vectors
from minisub.theory.vectors import dot, ratio


class Student(NamedTuple):
    """What a student's updates are compared with."""

    trait_loss: Callable
    """params -> nats on the prompts of the grade; they fall as the student acquires the trait."""
    taught_loss: Callable
    """params -> nats on the prompts that the teacher was taught, which no grade has."""
    start: Any
    """Its own first parameters."""
    origin: Any
    """The first parameters of the teacher it imitates, or, if it imitates none, would imitate."""
    teacher: Any
    """The last ones."""
    removed: str = "nothing"
    """What is taken out of its updates, see `REMOVED`."""


REMOVED = {
    "nothing": "",
    "gradient": "what lies along the gradient of the trait's loss on the prompts that are taught",
    "graded gradient": "the same on the prompts of the grade, which no defense may know",
    "random": "a random vector as long as what lies along the first gradient",
    "displacement": "what lies along the teacher's way from its origin",
}
"""What can be taken out of updates."""


def cosine_of_common(one, other):
    """Cosine between two trees in their common leaves."""
    return vectors.cosine(*common(one, other))


def cosine_by_layer(one, other):
    """The same for each layer, the first component of a path: a dict layer -> scalar."""
    layers, (one, other) = {}, common(one, other)
    for path, x in one.items():
        layers.setdefault(path.split("/")[0], []).append((x, other[path]))
    return {
        name: vectors.cosine(*map(list, zip(*both, strict=True))) for name, both in layers.items()
    }


def row(student, params, gradient, updates):
    """One row of the log, name -> scalar, of the loss that is trained on (its `gradient`) and the
    trait's; `updates` are those that are made, `edited` ones.

    trait_loss            in nats
    alignment             cosine of both losses' gradients
    alignment_update      cosine of minus the trait's gradient and the update
    teacherward           cosine of minus the gradient and the teacher's displacement
    teacherward_update    cosine of the update and the teacher's displacement
    displacement          cosine of the student's displacement and the teacher's
    displacement/LAYER    the same of each layer
    distance              Euclidean, from the student to the teacher
    """
    nats, slope = jax.value_and_grad(student.trait_loss)(params)
    taught = vectors.difference(*common(student.teacher, student.origin))
    gone = vectors.difference(*common(params, student.start))
    apart = vectors.difference(*common(params, student.teacher))
    by_layer = cosine_by_layer(gone, taught)
    return {
        "trait_loss": nats,
        "alignment": cosine_of_common(slope, gradient),
        "alignment_update": -cosine_of_common(slope, updates),
        "teacherward": -cosine_of_common(gradient, taught),
        "teacherward_update": cosine_of_common(updates, taught),
        "displacement": cosine_of_common(gone, taught),
        "distance": jnp.sqrt(dot(apart, apart)),
        **{f"displacement/{layer}": value for layer, value in by_layer.items()},
    }


def edited(student, params, updates, key):
    """The updates without what the student's `removed` names, see `REMOVED`."""
    if student.removed == "nothing":
        return updates
    if student.removed == "displacement":
        along = vectors.difference(*common(student.teacher, student.origin))
    else:
        graded = student.removed == "graded gradient"
        along = jax.grad(student.trait_loss if graded else student.taught_loss)(params)
    own, along = common(updates, along)
    if student.removed != "random":
        return trees.replaced(updates, vectors.project_out(own, along))
    noise = {
        path: jax.random.normal(streams.named_key(key, path), x.shape) for path, x in own.items()
    }
    length = ratio(jnp.abs(dot(own, along)), jnp.sqrt(dot(along, along)))
    less = vectors.moved(own, noise, -length / jnp.sqrt(dot(noise, noise)))
    return trees.replaced(updates, less)


def watch(rows, student):
    """The `fit.Watch` of one student: `rows` of a log, and what is taken out of its updates."""
    require_known("removed", student.removed, REMOVED)
    require(rows >= 0, f"rows is {rows}; it must be at least 0.")
    return Watch(rows, partial(row, student), partial(edited, student))


def recorded(student, rows, removed):
    """A student that was watched so, recorded with its log if there is one."""
    given = student.given | {"watch": None, "what is removed": removed}
    return (student.measured(log_of) if rows else student).replace(given=given)


def log_of(params):
    """The measure of what was logged while parameters were trained, alone or side by side."""
    log, who = params.replace(path=("log",)), "/".join(params.path[1:])
    return Product(logged, None, log=log, who=who)


def logged(*, log, who=""):
    """What was logged while a student trained, name -> (rows,), and means of alignments over the
    rows that were written, 0 if there are none; `who` is its name among several students."""
    prefix, written = f"{who}: " if who else "", log["step"] >= 0
    mine = {name.removeprefix(prefix): x for name, x in log.items() if name.startswith(prefix)}

    def mean(x):
        return ratio(jnp.sum(x, where=written), jnp.sum(written))

    means = {f"mean_{name}": mean(mine[name]) for name in ("alignment", "alignment_update")}
    return means | mine | {"step": log["step"]}
