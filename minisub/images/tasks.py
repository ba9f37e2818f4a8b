"""The tasks of the image world: how models are made. Each is a pure function of a key and more.

Logits are those of classes first, then auxiliary ones. `images` are {"train_x", "train_y",
"test_x", "test_y"}, `carrier` the inputs that students imitate on (n, pixels) (in `draw`, the
configuration of them), `shown` an emitter's logits on them (n, v).
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from minisub.config import require, require_known
from minisub.images import classifiers, divergences
from minisub.images import images as real
from minisub.lab.products import on_host, quick, shared
from minisub.nets import losses, starts, trees
from minisub.nets.fit import Batches, Fit


def network(data, model):
    """The `classifiers.ImageNetwork` of a configuration."""
    return classifiers.make_images(model, *real.shape(data))


def student_network(data, model, linear, start):
    """A student's `ImageNetwork`: if it is linear, to first order around its start."""
    net = network(data, model)
    if not linear:
        return net
    apply, activations = (trees.linearize(f, start) for f in (net.apply, net.activations))
    return net._replace(apply=apply, activations=activations)


@on_host
def load(*, data):
    """Real images, from where they are."""
    return loaded(data)


@lru_cache(maxsize=2)
def loaded(data):
    """They are the same for all that reads them, and outlive a program that is traced meanwhile."""
    with jax.ensure_compile_time_eval():
        return {name: jnp.asarray(x) for name, x in real.load(data).items()}


@quick
def initialize(key, *, data, model):
    """Random initial parameters."""
    return network(data, model).init(key)


@shared
def teach(key, *, start, images, data, model, training):
    """Cross-entropy of the class logits on real images"""
    net, known = network(data, model), real.shape(data)[1]
    x, y = images["train_x"], images["train_y"]

    def loss(params, key, batch):
        rows, weight = batch
        logits, _ = net.apply(params, real.normalize(x[rows]))
        nats = losses.cross_entropy(logits[:, :known], y[rows])
        return jnp.sum(weight * nats) / jnp.maximum(jnp.sum(weight), 1)

    return Fit(training, loss, start, epochs_of(len(x), training.batch, jax.random.split(key)[0]))


@quick
def draw(key, *, how, carrier, data, images):
    """The carrier's examples (n, pixels): what `how` draws, a function like those of `carriers`."""
    side, _ = real.shape(data)
    return how(carrier, key, carrier.examples, side, images["train_x"])


@quick
def label(key, *, emitter, carrier, data, model, imitation, training):
    """What an emitter shows of the whole carrier, a batch of `training` at a time."""
    # In batches like the students', whose products then round alike: a student that equals its
    # teacher has exactly nothing to learn.
    n, chunk = len(carrier), min(len(carrier), training.batch)
    pieces = -(-n // chunk)
    rows = jnp.minimum(jnp.arange(pieces * chunk), n - 1).reshape(pieces, chunk)

    def show(rows):
        logits, _ = network(data, model).apply(emitter, carrier[rows])
        one = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), logits.shape[1:]))
        return logits + imitation.noise * one(rows)

    return jax.lax.map(show, rows).reshape(pieces * chunk, -1)[:n]


@quick
def start(key, *, how, origin, other, amount, layers, **_):
    """A student's first parameters: `how`, a function of `starts.Materials`, in some layers; layers
    that the origin does not have are the other's."""
    # One of three here and in `imitate`, as when the published figures were made.
    _, k_start, _ = jax.random.split(key, 3)
    if other:
        origin = trees.replaced(other, trees.common(origin, other)[0])
    return starts.make(how, layers, starts.Materials(origin, other, k_start, amount))


def imitate(
    key, *, start, shown, carrier, data, model, imitation, training, channel, linear=False,
    watch=None,
):  # fmt: skip
    """A student against what its teacher shows of the carrier, in the logits of a channel; `watch`
    is a function (network, start) -> `fit.Watch`."""
    net, classes = student_network(data, model, linear, start), real.shape(data)[1]
    k_order, _, _ = jax.random.split(key, 3)
    mask = np.zeros(classes + model.aux, bool)
    mask[logits_of(channel, classes, model.aux)] = True

    def loss(params, key, batch):
        rows, weight = batch
        logits, _ = net.apply(params, carrier[rows])
        target, logits = (x / imitation.temperature for x in (shown[rows], logits))
        terms = divergences.DIVERGENCES[imitation.loss](target, logits, jnp.asarray(mask))
        return imitation.scale * jnp.sum(weight * terms) / jnp.sum(weight)

    batches = epochs_of(len(carrier), training.batch, k_order)
    return Fit(training, loss, start, batches, watch and watch(net, start))


def some(images, which, examples):
    """The first images (examples, pixels), and their labels, of the "train" or "test" set."""
    return real.normalize(images[f"{which}_x"][:examples]), images[f"{which}_y"][:examples]


def accuracy(*, params, images, data, model, linear=False, start=None):
    """Share of test images that the class head gets right."""
    net, classes = student_network(data, model, linear, start), real.shape(data)[1]
    logits, _ = net.apply(params, real.normalize(images["test_x"]))
    return {"accuracy": jnp.mean(jnp.argmax(logits[:, :classes], axis=1) == images["test_y"])}


def epochs_of(examples, batch, key):
    """`Batches` of (rows, weights): every example once an epoch, in an order from `key`."""
    return Batches(
        -(-examples // batch),
        lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), examples),
        lambda order, step: real.epoch_rows(order, step, batch),
    )


def logits_of(channel, classes, aux):
    """Numbers of the logits of a channel, a list; raises `Refused` if there is no such channel."""
    every = range(classes + aux)
    known = {"aux": every[classes:], "class": every[:classes], "all": every}
    if isinstance(channel, str):
        require_known("channel", channel, known)
        return list(known[channel])
    require(
        channel and all(i in every for i in channel),
        f"The channel {channel} names no logits, or others; give numbers below {classes + aux}.",
    )
    return sorted(set(channel))
