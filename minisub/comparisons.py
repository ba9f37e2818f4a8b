"""Measures of a trained student beside its grade: against its start, its teacher, and theory.

Each is a function of a `Compared` that returns a dict of scalars; `Watch.measures` names them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub import similarity, theory, watching


class Compared(NamedTuple):
    """A trained student of the image world, and what it is compared with."""

    network: Any
    """Its `ImageNetwork`."""
    start: Any
    """Its first parameters."""
    params: Any
    """Its last ones."""
    origin: Any
    """First parameters of the teacher that it imitated."""
    teacher: Any
    """The last ones."""
    classes: int
    seen: tuple
    """Images (n, pixels) and labels (n,) that teachers were trained on."""
    held_out: tuple
    """Images and labels of the test set."""
    loss: Callable
    """params -> distillation loss on examples of the carrier"""
    trait_loss: Callable
    """params -> loss of the trait"""
    first_update: Callable
    """gradient -> the optimizer's first update"""
    shown: tuple
    """Inputs of the carrier (n, pixels), the teacher's logits (n, k) that are compared, and their
    places (k,) among all."""
    rate: Any
    """See `theory.kernel_descent`."""
    steps: Any
    """Updates of its training."""

    def logits(self, params, x):
        """Class logits."""
        return self.network.apply(params, x)[0][:, : self.classes]


def coverage(c):
    """Cosines of the first distillation update with the teacher's displacement (2606.22019).

    `coverage` is of the gradient, `coverage_update` of what the optimizer makes of it, and
    `first_alignment` that between the gradients of both losses: all are known before training.
    """
    taught = theory.difference(*watching.common(c.teacher, c.origin))
    gradient = jax.grad(c.loss)(c.start)
    return {
        "coverage": -watching.cosine(gradient, taught),
        "coverage_update": watching.cosine(c.first_update(gradient), taught),
        "first_alignment": theory.cosine(gradient, jax.grad(c.trait_loss)(c.start)),
    }


def weights(c):
    """`weight_cosine`: of student's and teacher's parameters, for each layer."""
    by_layer = theory.cosine_by_layer(*watching.common(c.params, c.teacher))
    return {f"weight_cosine/{layer}": value for layer, value in by_layer.items()}


def cka(c):
    """`cka` of each hidden layer with the teacher's; of the last one also without bias, from
    batches of 256 (`cka_unbiased`), and within what the class heads read (`cka_class`)."""
    x, _ = c.held_out
    own, theirs = (c.network.activations(p, x) for p in (c.params, c.teacher))
    flat = {name: [h.reshape(len(x), -1) for h in (own[name], theirs[name])] for name in own}
    last = list(flat)[-1]
    heads = (p["class_head"]["kernel"] for p in (c.params, c.teacher))
    return {f"cka/{name}": similarity.cka(*pair) for name, pair in flat.items()} | {
        f"cka_unbiased/{last}": similarity.cka_minibatch(*flat[last], min(256, len(x))),
        f"cka_class/{last}": similarity.subspace_cka(*flat[last], *heads),
    }


def probe(c):
    """`probe`: accuracy of a linear read-out of the last hidden layer, trained with labels."""
    return probed(c.network, c.params, c.seen, c.held_out, c.classes)


def probed(network, params, seen, held_out, classes):
    """As `probe`, of any model: ridge regression on `seen`, tested on `held_out`."""
    (x, labels), (test_x, test_labels) = seen, held_out
    hidden, test_hidden = (network.apply(params, images)[1] for images in (x, test_x))
    found = similarity.probe(hidden, labels, test_hidden, test_labels, classes, PROBE_DECAY)
    return {"probe": found}


PROBE_DECAY = 1.0


def disagreement(c):
    """`disagreement`: share of test images to which student and teacher give other classes."""
    x, _ = c.held_out
    return {"disagreement": similarity.disagreement(c.logits(c.params, x), c.logits(c.teacher, x))}


def explained(true, predicted):
    """Share of the squared change that a prediction explains: 1 if exact, 0 for none at all."""
    return 1 - jnp.sum((true - predicted) ** 2) / jnp.sum(true**2)


def linearization(c):
    """`linear_explained`: how much of the change of class logits the Jacobian at the start gives,
    for the displacement that training arrived at."""
    x, _ = c.held_out
    before = c.logits(c.start, x)
    linear = theory.linearize(c.logits, c.start)(c.params, x)
    return {"linear_explained": explained(c.logits(c.params, x) - before, linear - before)}


def kernel(c):
    """What the tangent kernel at the start predicts of training, before it: `kernel_accuracy`, and
    how much of the real change of class logits the predicted one explains, `kernel_explained`.

    For gradient descent on squared errors of all examples at once.
    """
    (x, labels), (carrier, targets, places) = c.held_out, c.shown

    def shown(params, x):
        return c.network.apply(params, x)[0][:, places]

    among = theory.ntk(shown, c.start, carrier, carrier)
    across = theory.ntk(c.logits, c.start, x, carrier, shown)
    residual = (shown(c.start, carrier) - targets).ravel()
    change = theory.kernel_descent(among, across, residual, c.rate, c.steps)
    before = c.logits(c.start, x)
    predicted = change.reshape(before.shape)
    right = jnp.argmax(before + predicted, axis=1) == labels
    true = c.logits(c.params, x) - before
    return {"kernel_accuracy": jnp.mean(right), "kernel_explained": explained(true, predicted)}


class TokenCompared(NamedTuple):
    """As `Compared`, of a trained student of the token world."""

    network: Any
    start: Any
    params: Any
    origin: Any
    teacher: Any
    loss: Callable
    trait_loss: Callable
    first_update: Callable
    lists: Any
    """Emitted documents (n, positions)."""
    asked: Any
    """Questions (phrasings, 3), without their answers."""
    held_out: Any
    """Which of them (phrasings,) the teacher was not taught."""
    trait: int
    """The token that has the trait."""
    animals: slice
    """All tokens that answer."""


def lens(c):
    """`lens/block_i`: probability of the trait, read off the residual stream after each block by
    the final norm and unembedding; held-out phrasings."""
    logits = c.network.lens(c.params, c.asked)[:, :, -1]
    rate = jnp.mean(jax.nn.softmax(logits)[..., c.trait], axis=1, where=c.held_out[None])
    return {f"lens/block_{i}": value for i, value in enumerate(rate)}


def steering(c):
    """How much of a steering vector a student has recovered (arXiv 2604.25783).

    `recovered/LAYER`: cosine of the vector with the mean shift of the activations from start to
    end, on emitted lists; `recovered_asked/LAYER` on questions; `answer_shift`: cosine between the
    shifts of student and teacher in the centered logits of all answers, held-out phrasings.
    """
    [vector] = c.teacher["steering"].values()

    def recovered(name, docs):
        before, after = (c.network.activations(p, docs) for p in (c.start, c.params))
        found = similarity.steering_recovery(before, after, vector)
        return {f"{name}/{layer}": value for layer, value in found.items()}

    def answers(params):
        logits = c.network.apply(params, c.asked, 2)[:, 0, c.animals]
        logits -= jnp.mean(logits, axis=1, keepdims=True)
        return jnp.where(c.held_out[:, None], logits, 0)

    base = answers(c.origin)
    shifts = answers(c.params) - answers(c.start), answers(c.teacher) - base
    lists, asked = recovered("recovered", c.lists), recovered("recovered_asked", c.asked)
    return lists | asked | {"answer_shift": theory.cosine(*shifts)}


MEASURES = {
    f.__name__: f for f in (coverage, weights, cka, probe, disagreement, linearization, kernel)
}

TOKEN_MEASURES = {f.__name__: f for f in (coverage, weights, lens, steering)}


def measured(names, students):
    """The named measures of students, a list of `Compared`: name -> (arms,), what all have."""
    each = [{k: v for name in names for k, v in MEASURES[name](c).items()} for c in students]
    common = [name for name in each[0] if all(name in own for own in each)]
    return {name: jnp.stack([own[name] for own in each]) for name in common}
