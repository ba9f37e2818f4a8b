"""Students of the image world: what they are shown, what they compare, and how they are trained.

They see the same batches, so they are one list of parameters in one loop: a batch is gathered once
for all. Their losses are summed; none depends on another's parameters. (Stacked in one tree they
would be slower: on a CPU 6.2 instead of 5.6 ms a student and update.)
Axes: b batch, v logit (classes first), h hidden unit.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from minisub import (
    carriers,
    comparisons,
    config,
    fit,
    image_models,
    images,
    losses,
    starts,
    theory,
    watching,
)
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


def outputs(settings, params, x, key, rows):
    """What an emitter shows of inputs `x`: logits with their noise, and its last hidden layer.

    The noise of an example depends on `key` and its row alone.
    """
    logits, hidden = network(settings).apply(params, x)
    noise = jax.vmap(lambda row: jax.random.normal(jax.random.fold_in(key, row), logits.shape[1:]))
    shown = {"logits": logits + settings["imitation"].noise * noise(rows)}
    return shown | {"hidden": hidden} if settings["imitation"].hidden else shown


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
    batches = epochs_of(carrier.examples, training.batch, k_order) if carrier.examples else None

    def gradient(arm):
        """params -> the gradient of one arm's loss on its first batch."""
        first = batches.at(batches.order(0), 0) if batches else None
        alone = [(arm, network(settings, arm))]
        return jax.grad(lambda p: losses_of(settings, inputs, alone, [p], k_first, first))

    start = [begin_student(settings, arm, inputs, gradient(arm), k_start) for arm in arms]
    nets = [student(settings, arm, own) for arm, own in zip(arms, start, strict=True)]
    students = list(zip(arms, nets, strict=True))

    def loss(params, key, batch=None):
        return losses_of(settings, inputs, students, params, key, batch)

    watch = None
    if watching.wanted(settings["watch"], arms):
        watch = watching.watch(settings["watch"].rows, watched(settings, inputs, nets, start))
    return Fit(training, loss, start, batches, watch)


def losses_of(settings, inputs, students, params, key, batch):
    """The sum of the losses of students, (arm, network) each, on one batch (None: new examples)."""
    k_example, k_mask = jax.random.split(key)
    x, shown, weight = examples(settings, inputs, k_example, batch)
    return sum(
        difference(settings, arm, net, own, x, shown[arm.source], weight, k_mask)
        for (arm, net), own in zip(students, params, strict=True)
    )


def examples(settings, inputs, key, batch):
    """Inputs, each emitter's outputs and weights of one batch; None draws `batch` new ones."""
    sources = {arm.source for arm in settings["arms"]}
    if batch is not None:
        rows, weight = batch
        shown = {name: {k: y[rows] for k, y in inputs[name].items()} for name in sources}
        return inputs["carrier"][rows], shown, weight
    carrier, n = settings["carrier"], settings["training"].batch
    side = images.shape(settings["data"])[0]
    x = carriers.draw(carrier, key, n, side, inputs.get("carrier_x"))
    shown = {name: outputs(settings, inputs[name], x, key, jnp.arange(n)) for name in sources}
    return x, shown, jnp.ones(n)


def student(settings, arm, start):
    """The `ImageNetwork` of an arm's student: if it is linear, to first order around its start."""
    net = network(settings, arm)
    if not arm.linear:
        return net
    apply, activations = (theory.linearize(f, start) for f in (net.apply, net.activations))
    return net._replace(apply=apply, activations=activations)


def watched(settings, inputs, nets, start):
    """A `watching.Student` for each arm."""
    return [
        watching.Student(
            trait_loss=trait_loss(settings, inputs, net),
            start=own,
            origin=inputs[f"from/{arm.source}"],
            teacher=inputs[f"taught/{arm.source}"],
            removed=arm.removed,
        )
        for arm, net, own in zip(settings["arms"], nets, start, strict=True)
    ]


def trait_loss(settings, inputs, net):
    """params -> cross-entropy of the class logits on real images, in nats."""
    classes = images.shape(settings["data"])[1]
    x, y = some(inputs, "train", settings["watch"].examples)
    return lambda p: jnp.mean(losses.cross_entropy(net.apply(p, x)[0][:, :classes], y))


def some(inputs, which, examples):
    """The first images (examples, pixels), and their labels, of the "train" or "test" set."""
    return images.normalize(inputs[f"{which}_x"][:examples]), inputs[f"{which}_y"][:examples]


def compared_with(settings, inputs, arm, net, start, params, key):
    """The `comparisons.Compared` of a trained student."""
    how, training, watch = settings["imitation"], settings["training"], settings["watch"]
    aux, classes = settings["model"].aux, images.shape(settings["data"])[1]
    places = np.flatnonzero(channel_mask(arm.channel, classes, aux))
    n, batch, rate = settings["carrier"].examples, None, 0.0
    shown: tuple = ()
    if n:
        rows = jnp.arange(min(watch.examples, n))
        batch = rows, jnp.ones(len(rows))
        shown = inputs["carrier"], inputs[arm.source]["logits"][:, places], places
        # The slope of a mean squared error in an output is 2 / (n k) times its error.
        rate = training.learning_rate * how.scale * 2 / n / len(places)

    def loss(params):
        return losses_of(settings, inputs, [(arm, net)], [params], key, batch)

    return comparisons.Compared(
        network=net,
        teacher_network=network(settings),
        start=start,
        params=params,
        origin=inputs[f"from/{arm.source}"],
        teacher=inputs[f"taught/{arm.source}"],
        classes=classes,
        seen=some(inputs, "train", watch.examples),
        held_out=some(inputs, "test", watch.examples),
        loss=loss,
        trait_loss=trait_loss(settings, inputs, net),
        first_update=fit.first_update(training, start),
        shown=shown,
        rate=rate,
        steps=training.steps,
    )


def difference(settings, arm, net, params, x, shown, weight, key):
    """The loss of one arm on a batch: its outputs against those `shown` by its teacher."""
    how = settings["imitation"]
    logits, hidden = net.apply(params, x)
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
