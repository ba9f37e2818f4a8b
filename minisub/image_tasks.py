"""Tasks of the image world: what each phase of its chain does (see `image_chain`).

Students see the same batches, so they are one list of parameters in one loop: a batch is gathered
once for all. Their losses are summed; none depends on another's parameters. (Stacked in one tree
they would be slower: on a CPU 6.2 instead of 5.6 ms a student and update.)
Axes: b batch, v logit (classes first), h hidden unit.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from minisub import carriers, config, fit, image_models, images, losses, measures, starts
from minisub.phases import Batches, Fit


def spec_of(model, arm):
    """The `layers` of an arm's model; `model` is the teacher's."""
    return model.layers if arm.model == "same" else arm.model


def network(settings, arm=None):
    """The model of a phase's settings: the teacher's, or an arm's."""
    return image_models.make_images(model_of(settings, arm), *images.shape(settings["data"]))


def model_of(settings, arm=None):
    """The `ImageModel` of a phase's settings: the teacher's, or an arm's."""
    model = settings["model"]
    return dataclasses.replace(model, layers=spec_of(model, arm)) if arm else model


def epochs_of(examples, batch, key):
    """`Batches` of (rows, weights): every example once an epoch, in an order from `key`."""
    return Batches(
        images.steps_in_epoch(examples, batch),
        lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), examples),
        lambda order, step: images.epoch_rows(order, step, batch),
    )


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


def outputs(settings, params, x, key, rows):
    """What an emitter shows of inputs `x`: logits with their noise, and its last hidden layer.

    The noise of an example depends on `key` and its row alone.
    """
    logits, hidden = network(settings).apply(params, x)
    noise = jax.vmap(lambda row: jax.random.normal(jax.random.fold_in(key, row), logits.shape[1:]))
    shown = {"logits": logits + settings["imitation"].noise * noise(rows)}
    return shown | {"hidden": hidden} if settings["imitation"].hidden else shown


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


def channel_mask(channel, classes, aux):
    """The logits (v,) of a channel; raises `config.Refused` if there is no such channel."""
    mask = np.zeros(classes + aux, bool)
    kind, *chosen = channel.split("-")
    known = {"aux": slice(classes, None), "class": slice(0, classes), "all": slice(None)}
    some = kind == "class" and chosen and all(c.isdigit() and int(c) < classes for c in chosen)
    config.require(
        some or channel in known,
        f"{channel!r} is no channel; choose aux, class, all, or class-I-J-... with classes below "
        f"{classes}.",
    )
    mask[[int(c) for c in chosen] if chosen else known[kind]] = True
    return mask


def compared(settings, arm, key):
    """The logits (v,) that enter an arm's loss in an update: its channel's, or some of the aux."""
    classes, aux = images.shape(settings["data"])[1], settings["model"].aux
    mask = jnp.asarray(channel_mask(arm.channel, classes, aux))
    some = settings["imitation"].per_batch
    if not some:
        return mask
    drawn = jnp.argsort(jnp.argsort(jax.random.uniform(key, (aux,)))) < some
    return mask & jnp.concatenate([jnp.ones(classes, bool), drawn])


def imitate(option, settings, inputs, key):
    """Students, a list in the order of arms, against their teachers' outputs on the carrier."""
    training, carrier, arms = settings["training"], settings["carrier"], settings["arms"]
    k_order, k_start, k_first = jax.random.split(key, 3)
    sources = {arm.source for arm in arms}
    batches = epochs_of(carrier.examples, training.batch, k_order) if carrier.examples else None

    def example(key, batch):
        """Inputs, each emitter's outputs and weights of one update."""
        if batches:
            rows, weight = batch
            shown = {name: {k: y[rows] for k, y in inputs[name].items()} for name in sources}
            return inputs["carrier"][rows], shown, weight
        rows, side = jnp.arange(training.batch), images.shape(settings["data"])[0]
        x = carriers.draw(carrier, key, training.batch, side, inputs.get("carrier_x"))
        shown = {name: outputs(settings, inputs[name], x, key, rows) for name in sources}
        return x, shown, jnp.ones(training.batch)

    def losses_of(some, params, key, batch):
        k_example, k_mask = jax.random.split(key)
        x, shown, weight = example(k_example, batch)
        return sum(
            difference(settings, arm, own, x, shown[arm.source], weight, k_mask)
            for arm, own in zip(some, params, strict=True)
        )

    def gradient(arm):
        """params -> the gradient of one arm's loss on its first batch."""
        first = batches.at(batches.order(0), 0) if batches else None
        return jax.grad(lambda params: losses_of([arm], [params], k_first, first))

    start = [begin_student(settings, arm, inputs, gradient(arm), k_start) for arm in arms]
    return Fit(training, lambda p, k, batch=None: losses_of(arms, p, k, batch), start, batches)


def difference(settings, arm, params, x, shown, weight, key):
    """The loss of one arm on a batch: its outputs against those `shown` by its teacher."""
    how = settings["imitation"]
    logits, hidden = network(settings, arm).apply(params, x)
    mask = compared(settings, arm, key)
    target = shown["logits"] / how.temperature
    terms = losses.IMITATED[how.loss](target, logits / how.temperature, mask)
    if how.hidden:
        terms += how.alignment * jnp.mean((shown["hidden"] - hidden) ** 2, axis=-1)
    return how.scale * jnp.sum(weight * terms) / jnp.sum(weight)


def begin_student(settings, arm, inputs, gradient, key):
    """An arm's first parameters: its start, from the layers it has in common with the origin."""
    other = inputs[f"other/{spec_of(settings['model'], arm)}"]
    materials = starts.Materials(
        origin=starts.common(inputs["origin"], other),
        other=other,
        key=key,
        amount=arm.amount,
        gradient=gradient,
        relabelings=network(settings, arm).relabelings,
    )
    return starts.make(arm.start, arm.layers, materials)


TASKS = {f.__name__: f for f in (initialize, teach, draw, label, imitate)}
VOLATILE = ("draw", "label")


def finish(kind, option, settings, inputs, state):
    """The phase's product, and its measures: {} or {"accuracy": of the model, or (arms,)}."""
    if kind not in ("teach", "imitate"):
        return state, {}
    x, y = images.normalize(inputs["test_x"]), inputs["test_y"]
    classes = images.shape(settings["data"])[1]

    def accuracy(params, arm=None):
        return measures.accuracy(network(settings, arm), params, x, y, classes)

    params = fit.params(state)
    if kind == "teach":
        return params, {"accuracy": accuracy(params)}
    return params, {"accuracy": jnp.stack(list(map(accuracy, params, settings["arms"])))}


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
    shape = images.shape(settings["data"])

    def forward(batch, arm=None):
        return image_models.image_flops(model_of(settings, arm), *shape, batch)

    def step(batch, arm=None):
        # Forward, gradients of weights, gradients of inputs: the last not for the first layer.
        first = image_models.image_flops_first(model_of(settings, arm), *shape, batch)
        return 3 * forward(batch, arm) - first

    if phase.kind == "label":
        examples = settings["carrier"].examples
        return (forward(examples), examples), (0, 0)
    if phase.kind == "teach":
        batch = settings["training"].batch
        return (0, 0), (step(batch), batch)
    if phase.kind == "imitate":
        batch, arms = settings["training"].batch, settings["arms"]
        flops = sum(step(batch, arm) for arm in arms)
        if not settings["carrier"].examples:
            flops += len({arm.source for arm in arms}) * forward(batch)
        return (0, 0), (flops, batch * len(arms))
    return (0, 0), (0, 0)
