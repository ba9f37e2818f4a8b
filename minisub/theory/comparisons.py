"""Measures of a trained image student beside its grade: against its start, its teacher, and theory.

    lab.student(first, teacher)  ->  compared(lab, lab.student(first, teacher), coverage)

A measure is a function of a `Compared` that returns a dict of scalars.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from minisub.config import require
from minisub.images import pictures, tasks
from minisub.lab.products import Measure
from minisub.nets import losses, optimizers, trees
from minisub.theory import vectors, watching


@dataclasses.dataclass(frozen=True)
class Compared:
    """A trained student of either world, and what it is compared with."""

    network: Any
    teacher_network: Any
    start: Any
    params: Any
    """First and last parameters of the student."""
    origin: Any
    teacher: Any
    """First and last parameters of the teacher that it imitated, or would imitate."""
    loss: Callable
    """params -> the loss that it is trained on, before the first update, on some examples"""
    trait_loss: Callable
    """params -> loss of the trait"""
    first_update: Callable
    """gradient -> the optimizer's first update"""


@dataclasses.dataclass(frozen=True)
class ImageCompared(Compared):
    """A student of the image world."""

    classes: int
    held_out: tuple
    """Images and labels of the test set."""
    imitated: dict
    """The arguments of `tasks.imitate` that made it, by name, all but `watch`."""

    def logits(self, params, x):
        """Its class logits."""
        return self.network.apply(params, x)[0][:, : self.classes]


def compared(lab, student, *measures):
    """The same image student, recorded also with `measures`, functions of an `ImageCompared`: of
    `cfg.examples` images, and as many inputs of the carrier."""
    require(
        student.task is tasks.imitate,
        "compared takes what lab.student returns; compare students before they are put together.",
    )
    imitated = {name: x for name, x in student.arguments.items() if name != "watch"}
    shown = imitated["shown"].arguments
    how = {**taught_by(shown["emitter"]), "taught_model": shown["model"]}
    how |= {"images": lab.images, "examples": lab.cfg.examples, **imitated}
    return student.measured(Measure(compare, "params", measures=measures, **how))


def compare(*, params, measures, teacher, origin, taught_model, images, examples, **imitated):
    """What `measures` say of a student, which `tasks.imitate` made of the arguments `imitated`."""
    start, data = imitated["start"], imitated["data"]
    network = tasks.student_network(data, imitated["model"], imitated["linear"], start)
    taught, classes = tasks.network(data, taught_model), pictures.shape(data)[1]
    rows = jnp.arange(min(examples, len(imitated["carrier"])))
    loss, batch = tasks.imitate(jax.random.key(0), **imitated).loss, (rows, jnp.ones(len(rows)))
    c = ImageCompared(
        network, taught, start, params, origin, teacher,
        loss=lambda params: loss(params, None, batch),
        trait_loss=trait_loss(network, classes, *tasks.some(images, "train", examples)),
        first_update=first_update(imitated["training"], start),
        classes=classes, held_out=tasks.some(images, "test", examples), imitated=imitated,
    )  # fmt: skip
    return {name: x for measure in measures for name, x in measure(c).items()}


def first_update(training, params):
    """gradient -> what the optimizer of a `Training` makes of it at the first step; None where
    frozen. This is of training the parameters themselves, even if `training` has a rank."""
    frozen = trees.named(*training.frozen)

    def update(gradient):
        (_, own), (_, trained) = (trees.partition(tree, frozen) for tree in (gradient, params))
        rule = optimizers.make(training)
        return rule.update(own, rule.init(trained), trained)[0]

    return update


def trait_loss(net, classes, x, y):
    """params -> cross-entropy of the class logits on images x with labels y, in nats."""
    return lambda p: jnp.mean(losses.cross_entropy(net.apply(p, x)[0][:, :classes], y))


def watched(lab, start, teacher, *, rows=0, removed="nothing", **how):
    """What `lab.student` makes of all else that is given, a student of whose updates `rows` are
    logged, and `removed` is taken out of all (see `watching`). The trait's loss is that of
    `cfg.examples` images of the training set."""
    require(
        removed != "graded gradient",
        "the test images of the grade are never used in training; remove the gradient.",
    )
    watch = Partial(
        watch_images, rows=rows, removed=removed, examples=lab.cfg.examples, data=lab.data,
        images=lab.images, **taught_by(teacher),
    )  # fmt: skip
    return watching.recorded(lab.student(start, teacher, watch=watch, **how), rows, removed)


def watch_images(network, start, *, rows, removed, examples, data, images, teacher, origin):
    """The `fit.Watch` of a student of the image world."""
    x, y = tasks.some(images, "train", examples)
    nats = trait_loss(network, pictures.shape(data)[1], x, y)
    # Grades are on test images: of training images all are the teacher's.
    student = watching.Student(nats, nats, start, origin, teacher, removed)
    return watching.watch(rows, student)


def taught_by(teacher):
    """A teacher and its origin."""
    return {"teacher": teacher, "origin": teacher.arguments["start"]}


def coverage(c):
    """Cosines of the first distillation update with the teacher's displacement (arXiv 2606.22019).

    `coverage` is of the gradient, `coverage_update` of what the optimizer makes of it, and
    `first_alignment` that between the gradients of both losses, in the trained parameters.
    """
    taught = vectors.difference(*trees.common(c.teacher, c.origin))
    gradient = jax.grad(c.loss)(c.start)
    update = c.first_update(gradient)
    gradient, _ = trees.common(gradient, update)
    return {
        "coverage": -watching.cosine_of_common(gradient, taught),
        "coverage_update": watching.cosine_of_common(update, taught),
        "first_alignment": watching.cosine_of_common(gradient, jax.grad(c.trait_loss)(c.start)),
    }
