"""Measures of a trained image student beside its grade: against its start, its teacher, and theory.

    lab.student(first, teacher)  ->  compared(lab, lab.student(first, teacher), coverage, weights)

A measure is a function of a `Compared` that returns a dict of scalars.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.config import is_known, require
from minisub.images import images as real
from minisub.images import tasks
from minisub.lab.products import Measure
from minisub.nets import fit, trees, watching
from minisub.nets.trees import ratio
from minisub.theory import similarity, updates


class Compared(NamedTuple):
    """A trained student of the image world, and what it is compared with."""

    network: Any
    """Its `ImageNetwork`."""
    teacher_network: Any
    """Its teacher's."""
    start: Any
    """Its first parameters."""
    params: Any
    """Its last ones."""
    origin: Any
    """First parameters of the teacher that it imitated."""
    teacher: Any
    """The last ones."""
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
    """See `updates.kernel_descent`."""
    steps: Any
    """Updates of its training."""

    def logits(self, params, x):
        """Class logits."""
        return self.network.apply(params, x)[0][:, : self.classes]

    def teacher_logits(self, x):
        """Those of its teacher."""
        return self.teacher_network.apply(self.teacher, x)[0][:, : self.classes]


def compared(lab, student, *measures):
    """The same image student, recorded also with `measures`, functions of a `Compared`.

    They see `cfg.examples` images, and as many inputs of the carrier.
    """
    require(
        student.task is tasks.imitate,
        "compared takes what lab.student returns; compare students before they are put together.",
    )
    imitated = {name: x for name, x in student.arguments.items() if name not in WATCHED}
    if kernel in measures:
        require_descent(lab.cfg.carrier.examples, student.arguments)
    shown = imitated["shown"].arguments
    how = {**lab.taught_by(shown["emitter"]), "taught_model": shown["model"]}
    how |= {"images": lab.images, "examples": lab.cfg.examples, **imitated}
    return student.measured(Measure(compare, "params", measures=measures, **how))


WATCHED = "rows", "removed", "examples", "teacher", "origin", "images"
"""Arguments that a student has beside others if it is watched."""


def compare(*, params, measures, teacher, origin, taught_model, images, examples, **imitated):
    """What `measures` say of a student, which `tasks.imitate` made of the arguments `imitated`."""
    start, training, how = (imitated[name] for name in ("start", "training", "imitation"))
    data, model, carrier = (imitated[name] for name in ("data", "model", "carrier"))
    network = tasks.student_network(data, model, imitated["linear"], start)
    taught, classes = tasks.network(data, taught_model), real.shape(data)[1]
    rows = jnp.arange(min(examples, len(carrier)))
    batch = rows, jnp.ones(len(rows))
    loss = tasks.imitate(jax.random.key(0), **imitated).loss
    places = jnp.array(tasks.logits_of(imitated["channel"], classes, model.aux))
    c = Compared(
        network=network,
        teacher_network=taught,
        start=start,
        params=params,
        origin=origin,
        teacher=teacher,
        classes=classes,
        held_out=tasks.some(images, "test", examples),
        loss=lambda params: loss(params, None, batch),
        trait_loss=tasks.trait_loss(network, classes, *tasks.some(images, "train", examples)),
        first_update=fit.first_update(training, start),
        shown=(carrier, imitated["shown"][:, places], places),
        # The slope of a mean squared error in an output is 2 / (n k) times its error.
        rate=training.learning_rate * how.scale * 2 / len(carrier) / len(places),
        steps=training.steps,
    )
    return {name: x for measure in measures for name, x in measure(c).items()}


def require_descent(examples, imitated):
    """Raise `Refused` for a student about which the measure `kernel` says nothing."""
    training, how = imitated["training"], imitated["imitation"]
    descends = training.optimizer == "sgd" and how.loss == "mse" and training.batch >= examples
    numbers = (training.weight_decay, 0), (how.temperature, 1), (training.weight_noise, 0)
    plain = all(not is_known(x) or x == default for x, default in numbers)
    plain &= training.schedule == "constant" and not training.frozen and not training.rank
    require(
        descends and plain and "removed" not in imitated,
        "The measure kernel is for gradient descent on squared errors; give student.optimizer sgd, "
        "imitation.loss mse and a student.batch of all carrier.examples, and leave schedule, "
        "weight_decay, frozen, rank, weight_noise, removed and temperature at their defaults.",
    )


def coverage(c):
    """Cosines of the first distillation update with the teacher's displacement (2606.22019).

    `coverage` is of the gradient, `coverage_update` of what the optimizer makes of it, and
    `first_alignment` that between the gradients of both losses: all are known before training, and
    of the parameters that are trained.
    """
    taught = trees.difference(*watching.common(c.teacher, c.origin))
    gradient = jax.grad(c.loss)(c.start)
    update = c.first_update(gradient)
    gradient, _ = watching.common(gradient, update)
    return {
        "coverage": -watching.cosine(gradient, taught),
        "coverage_update": watching.cosine(update, taught),
        "first_alignment": watching.cosine(gradient, jax.grad(c.trait_loss)(c.start)),
    }


def weights(c):
    """`weight_cosine`: of student's and teacher's parameters, for each layer."""
    by_layer = trees.cosine_by_layer(*watching.common(c.params, c.teacher))
    return {f"weight_cosine/{layer}": value for layer, value in by_layer.items()}


def cka(c):
    """`cka` of each hidden layer with the teacher's of that name; of the last ones also without
    bias, from batches of 256 (`cka_unbiased`), and within what the class heads read (`cka_class`).
    """
    x, _ = c.held_out
    pairs = (c.network, c.params), (c.teacher_network, c.teacher)
    own, theirs = (net.activations(params, x) for net, params in pairs)
    if not own or not theirs:  # a model without hidden layers
        return {}

    def flat(*layers):
        return [h.reshape(len(x), -1) for h in layers]

    last = list(own)[-1]
    ends = flat(own[last], list(theirs.values())[-1])
    heads = (p["class_head"]["kernel"] for p in (c.params, c.teacher))
    by_name = {n: flat(own[n], theirs[n]) for n in own if n in theirs}
    return {f"cka/{name}": similarity.cka(*pair) for name, pair in by_name.items()} | {
        f"cka_unbiased/{last}": similarity.cka_minibatch(ends[0], ends[1], min(256, len(x))),
        f"cka_class/{last}": similarity.subspace_cka(*ends, *heads),
    }


def disagreement(c):
    """`disagreement`: share of test images to which student and teacher give other classes."""
    x, _ = c.held_out
    return {"disagreement": similarity.disagreement(c.logits(c.params, x), c.teacher_logits(x))}


def explained(true, predicted):
    """Share of the squared change that a prediction explains: 1 if exact, 0 for none at all.

    1 where nothing changes.
    """
    return 1 - ratio(jnp.sum((true - predicted) ** 2), jnp.sum(true**2))


def linearization(c):
    """`linear_explained`: how much of the change of class logits the Jacobian at the start gives,
    for the displacement that training arrived at."""
    x, _ = c.held_out
    before = c.logits(c.start, x)
    linear = trees.linearize(c.logits, c.start)(c.params, x)
    return {"linear_explained": explained(c.logits(c.params, x) - before, linear - before)}


def kernel(c):
    """What the tangent kernel at the start predicts of training, before it: `kernel_accuracy`, and
    how much of the real change of class logits the predicted one explains, `kernel_explained`.

    For gradient descent on squared errors of all examples at once.
    """
    (x, labels), (carrier, targets, places) = c.held_out, c.shown

    def shown(params, x):
        return c.network.apply(params, x)[0][:, places]

    among = updates.ntk(shown, c.start, carrier, carrier)
    across = updates.ntk(c.logits, c.start, x, carrier, shown)
    residual = (shown(c.start, carrier) - targets).ravel()
    change = updates.kernel_descent(among, across, residual, c.rate, c.steps)
    before = c.logits(c.start, x)
    predicted = change.reshape(before.shape)
    right = jnp.argmax(before + predicted, axis=1) == labels
    true = c.logits(c.params, x) - before
    return {"kernel_accuracy": jnp.mean(right), "kernel_explained": explained(true, predicted)}


def probed(lab, classifier):
    """The same classifier, recorded also with `probe`: the accuracy of a linear read-out of its
    last hidden layer, which is trained on the labels of `cfg.examples` images."""
    known = "data", "model", "linear", "start"
    how = {name: x for name, x in classifier.arguments.items() if name in known}
    how |= {"images": lab.images, "examples": lab.cfg.examples}
    return classifier.measured(Measure(probe, "params", **how))


def probe(*, params, images, examples, data, model, start=None, linear=False):
    """`probe`: ridge regression on the last hidden layer of training images, tested on others."""
    network = tasks.student_network(data, model, linear, start)
    (x, labels), (test_x, test_labels) = (
        tasks.some(images, which, examples) for which in ("train", "test")
    )
    hidden, test_hidden = (network.apply(params, images)[1] for images in (x, test_x))
    how = real.shape(data)[1], PROBE_DECAY
    return {"probe": similarity.probe(hidden, labels, test_hidden, test_labels, *how)}


PROBE_DECAY = 1.0
