"""Checks of what theory says about a student's first updates, each on a random small network.

A check is a function of a `Case` and a `Draw`: a network on images of 4 by 4 pixels with 3 classes
and 3 auxiliary logits, another network's parameters, a direction, inputs and labels of the trait,
and the student's inputs, which have one of several laws, with the outputs that it imitates.
Activations are smooth (tanh): an expansion in epsilon ends at the kinks of a rectifier.
Axes: b batch, v logit (classes first), e epsilon.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from configs import _closed_forms as closed_forms
from minisub import config
from minisub.images import classifiers
from minisub.images.config import ImageModel
from minisub.nets import fit, losses, trees
from minisub.theory import vectors

SIDE, CLASSES, AUX, BATCH = 4, 3, 3, 8
EPSILONS = 1e-9, 1e-8, 1e-7, 1e-6
"""Sizes of the teacher's displacement in units of a direction of norm 1.

An output that changes by g per epsilon, with a second derivative q, has a change that is off by
epsilon q / 2g from the next order, and by about 1e-16 / (epsilon g) from rounding. Both reach the
few percent that move a fitted slope by 0.01 where g is 1e-5: far below its usual 0.1, and rare by
its square, since even a softmax over the fewest outputs compares two numbers.
"""
LEAST_OUTPUTS = 3
EPSILON, RATE = 1e-4, 1e-3
"""Of the teacher and the student in `loss_falls`: rounding of a loss is 1e-9 of its change of
about RATE * EPSILON, and the next order is RATE * EPSILON times two curvatures."""
STEPS = 20
"""Updates where there are several."""
NO = np.bool_(False)


class Case(NamedTuple):
    """Which networks a claim is about, and which of its assumptions is broken.

    All but `layers` are traced, so that a program serves a claim with either loss, broken or not.
    """

    layers: str
    """As `model.layers` in the image world."""
    softmax: Any = NO
    """Whether the student minimizes cross-entropy, not squared errors."""
    start: Any = NO
    """Whether it starts elsewhere than the claim says."""
    weights: Any = NO
    """Whether squared errors have weights of both signs."""
    outputs: Any = NO
    """Whether other outputs are compared than the claim says."""
    model: Any = NO
    """Whether the theory is about another model than the one that is trained."""


class Draw(NamedTuple):
    """What one check is about: the results of `draw_networks` and `draw_data`."""

    origin: Any
    other: Any
    """Parameters of another network of the same shapes."""
    direction: Any
    """A tree like them, of norm 1."""
    images: jax.Array
    """The trait's inputs (b, pixels), with `labels` (b,)."""
    labels: jax.Array
    x: jax.Array
    """The student's inputs (b, pixels)."""
    mask: jax.Array
    """The outputs (v,) that it imitates."""
    weights: jax.Array
    """Of their squared errors (v,); standard normal."""


def network(layers):
    """The `ImageNetwork` of `layers`."""
    model = ImageModel(layers=layers, aux=AUX, activation="tanh")
    return classifiers.make_images(model, SIDE, CLASSES)


def draw_networks(layers, key):
    """Origin, other and direction; generic, without the zeros and ones of an initialization."""
    shapes = jax.eval_shape(network(layers).init, key)
    flat, tree = ravel_pytree(jax.tree.map(lambda x: jnp.zeros(x.shape), shapes))
    numbers = jax.random.normal(key, (3, flat.size))

    def parameters(row):
        # Variance 1 / fan_in; biases and the scales of norms standard normal.
        return jax.tree.map(lambda x: x / math.sqrt(math.prod(x.shape[:-1])), tree(row))

    origin, other = parameters(numbers[0]), parameters(numbers[1])
    direction = tree(numbers[2] / jnp.linalg.norm(numbers[2]))
    return {"origin": origin, "other": other, "direction": direction}


def draw_data(key):
    """Inputs, labels, mask and weights; the trait's inputs have a law of their own."""
    # One array, because each array takes a second to compile. The largest of n numbers is a choice
    # among n.
    numbers = jax.random.normal(key, (3 * BATCH + 2, SIDE * SIDE))
    images, x, labels, (laws, outputs) = jnp.split(numbers, [BATCH, 2 * BATCH, 3 * BATCH])
    most = CLASSES + AUX
    more = jnp.argmax(laws[10 : 11 + most - LEAST_OUTPUTS])
    return {
        "images": inputs(images, laws[:5]),
        "labels": jnp.argmax(labels[:, :CLASSES], axis=-1),
        "x": inputs(x, laws[5:10]),
        "mask": jnp.argsort(jnp.argsort(outputs[:most])) < LEAST_OUTPUTS + more,
        "weights": outputs[-most:],
    }


def inputs(gaussian, law):
    """Inputs (b, pixels), uniform, Gaussian, of signs, in a plane, or one example again.

    From Gaussian ones; the largest of `law` says which.
    """
    uniform = jax.lax.erf(gaussian / math.sqrt(2))
    plane, same = gaussian[:, :2] @ gaussian[:2], jnp.broadcast_to(gaussian[:1], gaussian.shape)
    laws = jnp.stack([uniform, gaussian, jnp.sign(gaussian), plane, same])
    return laws[jnp.argmax(law)]


def chosen(flag, one, other):
    """The tree `one` if the scalar `flag` holds, else `other`."""
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), one, other)


def imitation(case, d, mask=None):
    """(loss, emit) of the student, as `_closed_forms.inner_products` takes them, over the outputs
    in `mask`."""
    apply, mask = network(case.layers).apply, d.mask if mask is None else mask
    weights = chosen(case.weights, d.weights, jnp.abs(d.weights))

    def loss(params, shown):
        logits, _ = apply(params, d.x)
        squares = jnp.where(mask, weights, 0)[None] * (logits - shown) ** 2
        # The gradient of the divergence is that of the cross-entropy.
        divergence = losses.kl(shown, logits, mask)
        return jnp.mean(chosen(case.softmax, divergence, jnp.sum(squares, axis=-1)))

    return loss, lambda teacher: apply(teacher, d.x)[0]


def trait_loss(case, d, params):
    """Cross-entropy of the class logits on the trait's inputs."""
    logits, _ = network(case.layers).apply(params, d.images)
    return jnp.mean(losses.cross_entropy(logits[:, :CLASSES], d.labels))


def trait_step(case, d, params):
    """Minus the gradient of the trait's loss."""
    return closed_forms.update(lambda params, _: trait_loss(case, d, params), params, None)


def descend(loss, params, rate, frozen=()):
    """Parameters after `STEPS` updates of gradient descent on `loss(params)`."""
    how = {"optimizer": "sgd", "learning_rate": rate, "frozen": frozen}
    training = config.Training(steps=STEPS, **how)
    steps = np.int32(0), np.int32(STEPS)
    state = fit.begin(training, params)
    return fit.params(fit.advance(training, lambda p, _: loss(p), state, jax.random.key(0), *steps))


def product(case, d):
    """Cosines (e,) of the student's update and the teacher's displacement, in any direction."""
    loss, emit = imitation(case, d)
    begin = chosen(case.start, d.other, d.origin)

    def cosine(epsilon):
        shown = emit(vectors.moved(d.origin, d.direction, epsilon))
        shown = chosen(case.outputs, jnp.roll(shown, 1, axis=-1), shown)
        return closed_forms.coverage(loss, begin, shown, d.direction)

    return jax.lax.map(cosine, jnp.array(EPSILONS))


def slope(case, d):
    """Sizes (e,) of the product of update and displacement."""
    begin = chosen(case.start, d.other, d.origin)
    loss, emit = imitation(case, d)
    return jnp.abs(closed_forms.inner_products(loss, emit, d.origin, d.direction, EPSILONS, begin))


def loss_falls(case, d):
    """Change of the trait's loss by a step of the student, over the size of its linear term.

    The teacher has made a step on the trait's loss, on other inputs than the student's.
    """
    loss, emit = imitation(case, d)
    teacher = vectors.moved(d.origin, trait_step(case, d, d.origin), EPSILON)
    begin = chosen(case.start, d.other, d.origin)
    update = closed_forms.update(loss, begin, emit(teacher))
    change = trait_loss(case, d, vectors.moved(begin, update, RATE)) - trait_loss(case, d, begin)
    return vectors.ratio(change, RATE * jnp.abs(vectors.dot(update, trait_step(case, d, begin))))


def foreign_start(case, d):
    """How much (e,) of the update of a student from another start is due to the displacement.

    |update(epsilon) - update(0)| / |update(epsilon)|.
    """
    loss, emit = imitation(case, d)
    begin = chosen(case.start, d.origin, d.other)

    def update(epsilon):
        return closed_forms.update(loss, begin, emit(vectors.moved(d.origin, d.direction, epsilon)))

    without = update(0.0)

    def share(epsilon):
        own = update(epsilon)
        change = vectors.difference(own, without)
        return vectors.ratio(*(jnp.sqrt(vectors.dot(x, x)) for x in (change, own)))

    return jax.lax.map(share, jnp.array(EPSILONS))


def degenerate(case, d):
    """Size of the cosine of update and displacement, where only the class head was taught."""
    step = trait_step(case, d, d.origin)
    head, _ = trees.partition(step, trees.named("class_head"))
    displacement = trees.merge(head, jax.tree.map(jnp.zeros_like, step))
    loss, emit = imitation(case, d, aux_mask() | case.outputs)
    shown = emit(vectors.moved(d.origin, displacement, 1.0))
    return jnp.abs(closed_forms.coverage(loss, d.origin, shown, displacement))


def aux_mask():
    """The auxiliary logits (v,)."""
    return jnp.arange(CLASSES + AUX) >= CLASSES


def linear_model(case, d):
    """Size of the change of the trait's loss by several updates through auxiliary logits."""
    loss, emit = imitation(case, d, aux_mask())
    shown = emit(vectors.moved(d.origin, d.direction, 1.0))
    end = descend(lambda params: loss(params, shown), d.origin, 0.1)
    # Both sides by one program, so that equal parameters give equal bits.
    both = jax.tree.map(lambda *x: jnp.stack(x), d.origin, end)
    before, after = jax.lax.map(lambda params: trait_loss(case, d, params), both)
    return jnp.abs(after - before)


def deep_linear(case, d):
    """Deviation of `_closed_forms.deep_linear` from a simulation, in units of the change.

    The first layers of the two networks, fc1, are the student's and the teacher's.
    """
    first, teacher = (p["fc1"]["kernel"] for p in (d.origin, d.other))
    heads = [p["aux_head"]["kernel"] for p in (d.origin, d.other)]
    covariance = d.x.T @ d.x / BATCH
    # Stable with either head: a trace is at least the largest eigenvalue.
    rate = 1 / (jnp.trace(covariance) * sum(jnp.sum(head**2) for head in heads))

    def loss(params):
        gap = d.x @ (params["first"] - teacher) @ params["head"]
        return jnp.sum(gap**2) / (2 * BATCH)

    end = descend(loss, {"first": first, "head": heads[0]}, rate, ("head",))["first"]
    head = chosen(case.model, *heads[::-1])
    expected = closed_forms.deep_linear(first, teacher, head, covariance, rate, STEPS)
    return vectors.ratio(jnp.linalg.norm(end - expected), jnp.linalg.norm(end - first))


def tangent_kernel(case, d):
    """Deviation of `_closed_forms.kernel_descent` from a simulation, in units of the change.

    The linearized network imitates auxiliary logits on one half of the inputs; the deviation is of
    class logits on the other half.
    """
    apply, half = network(case.layers).apply, BATCH // 2
    x, unseen = d.x[:half], d.x[half:]

    def aux(params, x):
        return apply(params, x)[0][:, CLASSES:]

    def classes(params, x):
        return apply(params, x)[0][:, :CLASSES]

    def trained(outputs):
        linear = trees.linearize(outputs, d.origin)
        return lambda params, x: jax.lax.cond(case.model, outputs, linear, params, x)

    within = closed_forms.ntk(aux, d.origin, x, x)
    across = closed_forms.ntk(classes, d.origin, unseen, x, aux)
    shown = aux(vectors.moved(d.origin, d.direction, 1.0), x)
    rate = 1 / jnp.trace(within)
    end = descend(lambda p: jnp.sum((trained(aux)(p, x) - shown) ** 2) / 2, d.origin, rate)
    change = (trained(classes)(end, unseen) - classes(d.origin, unseen)).ravel()
    residual = (aux(d.origin, x) - shown).ravel()
    expected = closed_forms.kernel_descent(within, across, residual, rate, STEPS)
    return vectors.ratio(jnp.linalg.norm(change - expected), jnp.linalg.norm(change))
