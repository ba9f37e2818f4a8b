"""Measures of a trained image student beside its grade: against its start, its teacher, and theory.

    lab.student(first, teacher)  ->  compared(lab, lab.student(first, teacher), coverage, weights)

A measure is a function of a `Compared` that returns a dict of scalars.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from minisub.config import require
from minisub.images import images as real
from minisub.images import tasks
from minisub.lab.products import Measure
from minisub.nets import losses, trees
from minisub.theory import updates, vectors, watching
from minisub.theory.vectors import ratio


class Compared(NamedTuple):
    """A trained student of the image world, and what it is compared with."""

    network: Any
    teacher_network: Any
    start: Any
    params: Any
    """First and last parameters of the student."""
    origin: Any
    teacher: Any
    """First and last parameters of the teacher that it imitated."""
    classes: int
    held_out: tuple
    """Images and labels of the test set."""
    loss: Callable
    """params -> distillation loss on examples of the carrier"""
    trait_loss: Callable
    """params -> loss of the trait"""
    first_update: Callable
    """gradient -> the optimizer's first update"""
    shown: tuple
    """Inputs of the carrier (n, pixels), the teacher's logits (n, k) that are imitated, and their
    places (k,) among all."""
    rate: Any
    steps: Any
    """See `updates.kernel_descent`."""

    def logits(self, params, x):
        """Its class logits."""
        return self.network.apply(params, x)[0][:, : self.classes]


def compared(lab, student, *measures):
    """The same image student, recorded also with `measures`, functions of a `Compared`: of
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
    start, training, how = (imitated[name] for name in ("start", "training", "imitation"))
    data, model, carrier = (imitated[name] for name in ("data", "model", "carrier"))
    network = tasks.student_network(data, model, imitated["linear"], start)
    taught, classes = tasks.network(data, taught_model), real.shape(data)[1]
    rows = jnp.arange(min(examples, len(carrier)))
    loss, batch = tasks.imitate(jax.random.key(0), **imitated).loss, (rows, jnp.ones(len(rows)))
    places = jnp.array(tasks.logits_of(imitated["channel"], classes, model.aux))
    c = Compared(
        network, taught, start, params, origin, teacher, classes,
        held_out=tasks.some(images, "test", examples),
        loss=lambda params: loss(params, None, batch),
        trait_loss=trait_loss(network, classes, *tasks.some(images, "train", examples)),
        first_update=updates.first_update(training, start),
        shown=(carrier, imitated["shown"][:, places], places),
        # The slope of a mean squared error in an output is 2 / (n k) times its error.
        rate=training.learning_rate * how.scale * 2 / len(carrier) / len(places),
        steps=training.steps,
    )  # fmt: skip
    return {name: x for measure in measures for name, x in measure(c).items()}


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
    nats = trait_loss(network, real.shape(data)[1], x, y)
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


def weights(c):
    """`weight_cosine`: of student's and teacher's parameters, for each layer."""
    by_layer = watching.cosine_by_layer(c.params, c.teacher)
    return {f"weight_cosine/{layer}": value for layer, value in by_layer.items()}


def explained(true, predicted):
    """Share of the squared change that a prediction explains: 1 if it is exact; 0 if something is
    predicted where nothing changes."""
    error, power = jnp.sum((true - predicted) ** 2), jnp.sum(true**2)
    return jnp.where(power > 0, 1 - ratio(error, power), error == 0)


def linearization(c):
    """`linear_explained`: of the change of class logits, by the Jacobian at the start."""
    x, _ = c.held_out
    before = c.logits(c.start, x)
    linear = trees.linearize(c.logits, c.start)(c.params, x)
    return {"linear_explained": explained(c.logits(c.params, x) - before, linear - before)}
