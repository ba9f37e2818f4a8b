"""Tasks of the image world: what each phase of its chain does (see `image_chain`).

Axes: v logit (classes first), h hidden unit.
"""

import jax
import jax.numpy as jnp

from minisub import (
    carriers,
    comparisons,
    fit,
    image_models,
    images,
    imitation,
    losses,
    measures,
    watching,
)
from minisub.imitation import epochs_of, imitate, model_of, network, outputs
from minisub.phases import Fit


def initialize(option, settings, inputs, key):
    """Random initial parameters."""
    return network(settings).init(key)


def teach(option, settings, inputs, key):
    """Cross-entropy of the class logits on real images of the first `classes` classes."""
    net, classes = network(settings), images.shape(settings["data"])[1]
    x, y = inputs["train_x"], inputs["train_y"]

    def loss(params, key, batch):
        rows, weight = batch
        weight = weight * (y[rows] < settings["classes"])
        logits, _ = net.apply(params, images.normalize(x[rows]))
        nats = losses.cross_entropy(logits[:, :classes], y[rows])
        return jnp.sum(weight * nats) / jnp.maximum(jnp.sum(weight), 1)

    training = settings["training"]
    batches = epochs_of(len(x), training.batch, jax.random.split(key)[0])
    return Fit(training, loss, inputs["start"], batches)


def draw(option, settings, inputs, key):
    """The carrier's examples, (examples, pixels)."""
    carrier, (side, _) = settings["carrier"], images.shape(settings["data"])
    return carriers.draw(carrier, key, carrier.examples, side, inputs.get("carrier_x"))


def label(option, settings, inputs, key):
    """An emitter's outputs on the whole carrier, `option` examples at a time.

    {"logits": (examples, v)} and, if asked for, "hidden": (examples, h).
    """
    x = inputs["carrier"]
    # In batches like the students', whose products then round alike: a student that equals its
    # teacher has exactly nothing to learn.
    n, chunk = len(x), min(len(x), int(option))
    pieces = -(-n // chunk)
    rows = jnp.minimum(jnp.arange(pieces * chunk), n - 1).reshape(pieces, chunk)
    shown = jax.lax.map(lambda r: outputs(settings, inputs["emitter"], x[r], key, r), rows)
    return jax.tree.map(lambda y: y.reshape(pieces * chunk, -1)[:n], shown)


TASKS = {f.__name__: f for f in (initialize, teach, draw, label, imitate)}
VOLATILE = ("draw", "label")


def finish(kind, option, settings, inputs, state, key):
    """The phase's product, and its measures: {} or {"accuracy": (arms,), ...}."""
    if kind not in ("teach", "imitate"):
        return state, {}
    params, watch = fit.params(state), settings["watch"]
    models = params if kind == "imitate" else [params]
    if kind == "imitate":
        start = imitate(option, settings, inputs, key).start
        each = list(zip(settings["arms"], start, strict=True))
        nets = [imitation.student(settings, arm, own) for arm, own in each]
    else:
        nets = [network(settings)]
    x, y = images.normalize(inputs["test_x"]), inputs["test_y"]
    classes = images.shape(settings["data"])[1]
    trained = list(zip(nets, models, strict=True))
    accuracy = [measures.accuracy(net, own, x, y, classes) for net, own in trained]
    measured = {"accuracy": jnp.stack(accuracy)} | watching.measured(state.log)
    if kind == "imitate" and watch.measures:
        students = [
            imitation.compared_with(settings, inputs, arm, net, begun, own, key)
            for (arm, begun), (net, own) in zip(each, trained, strict=True)
        ]
        measured |= comparisons.measured(watch.measures, students)
    if kind == "teach" and "probe" in watch.measures:
        seen, held_out = (imitation.some(inputs, n, watch.examples) for n in ("train", "test"))
        probe = comparisons.probed(nets[0], params, seen, held_out, classes)
        measured |= {name: value[None] for name, value in probe.items()}
    return params, measured


def epoch(phase):
    """Updates in an epoch of a training phase."""
    settings = phase.settings
    fixed = settings["carrier"].examples if phase.kind == "imitate" else 0
    examples = fixed or images.examples(settings["data"])
    return images.steps_in_epoch(examples, settings["training"].batch)


def cost(phase):
    """Work of a phase in one repeat: before its first step, and at each step.

    Both are (operations of its matrix products and convolutions; images seen by all its models).
    """
    settings = phase.settings
    side, classes = images.shape(settings["data"])

    def forward(batch, arm=None):
        return image_models.image_flops(model_of(settings, arm), side, classes, batch)

    def step(batch, arm=None):
        # Forward, gradients of weights, gradients of inputs: the last not for the first layer.
        first = image_models.image_flops_first(model_of(settings, arm), side, classes, batch)
        return 3 * forward(batch, arm) - first

    if phase.kind == "label":
        examples = settings["carrier"].examples
        return (forward(examples), examples), (0, 0)
    if phase.kind == "teach":
        batch = settings["training"].batch
        return (0, 0), (step(batch), batch)
    if phase.kind == "imitate":
        batch, arms = settings["training"].batch, settings["arms"]
        # A linear model is two, of values and of their changes.
        flops = sum((1 + arm.linear) * step(batch, arm) for arm in arms)
        watch, steps = settings["watch"], settings["training"].steps
        logged = min(watch.rows / steps, 1) if steps else 0
        for arm in arms:
            gradients = (arm.removed in ("gradient", "random")) + logged
            flops += gradients * step(watch.examples, arm)
        if not settings["carrier"].examples:
            flops += len({arm.source for arm in arms}) * forward(batch)
        return (0, 0), (flops, batch * len(arms))
    return (0, 0), (0, 0)
