"""Measures of a trained student beside its grade: against its start, its teacher, and theory.

Each is a function of a `Compared` that returns a dict of scalars; `Watch.measures` names them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.nets import trees, watching
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
    """See `updates.kernel_descent`."""
    steps: Any
    """Updates of its training."""

    def logits(self, params, x):
        """Class logits."""
        return self.network.apply(params, x)[0][:, : self.classes]

    def teacher_logits(self, x):
        """Those of its teacher."""
        return self.teacher_network.apply(self.teacher, x)[0][:, : self.classes]


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


class TokenCompared(NamedTuple):
    """As `Compared`, of a trained student of the token world."""

    network: Any
    teacher_network: Any
    start: Any
    params: Any
    origin: Any
    teacher: Any
    loss: Callable
    trait_loss: Callable
    first_update: Callable
    lists: Any
    """Emitted documents (n, positions) that the filter kept."""
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

    def answer_shift(network, before, after):
        before, after = (network.apply(p, c.asked, 2)[:, 0, c.animals] for p in (before, after))
        shift = after - before
        shift -= jnp.mean(shift, axis=1, keepdims=True)
        return jnp.where(c.held_out[:, None], shift, 0)

    own = answer_shift(c.network, c.start, c.params)
    shifts = own, answer_shift(c.teacher_network, c.origin, c.teacher)
    lists, asked = recovered("recovered", c.lists), recovered("recovered_asked", c.asked)
    return lists | asked | {"answer_shift": trees.cosine(*shifts)}


MEASURES = {
    f.__name__: f for f in (coverage, weights, cka, probe, disagreement, linearization, kernel)
}

TOKEN_MEASURES = {f.__name__: f for f in (coverage, weights, lens, steering)}


def measured(names, students):
    """The named measures of students, a list of `Compared`: name -> (arms,), what all have."""
    each = [{k: v for name in names for k, v in MEASURES[name](c).items()} for c in students]
    common = [name for name in each[0] if all(name in own for own in each)]
    return {name: jnp.stack([own[name] for own in each]) for name in common}
