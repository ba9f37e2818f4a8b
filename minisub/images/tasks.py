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
from minisub.images import classifiers, pictures
from minisub.lab.products import on_host, quick, shared
from minisub.nets import losses, starts, trees
from minisub.nets.fit import Batches, Fit


def network(data, model):
    """The `classifiers.ImageNetwork` of a configuration."""
    return classifiers.make_images(model, *pictures.shape(data))


def student_network(data, model, linear, start):
    """A student's `ImageNetwork`: if it is linear, to first order around its start."""
    net = network(data, model)
    if not linear:
        return net
    apply, activations = (trees.linearize(f, start) for f in (net.apply, net.activations))
    return net._replace(apply=apply, activations=activations)


@on_host
@lru_cache(maxsize=2)
def load(*, data):
    """Real images, as `pictures.load` has them; of the two data sets that were asked for last they
    are kept. They are concrete even if first asked for inside a trace, which they outlive."""
    with jax.ensure_compile_time_eval():
        return {name: jnp.asarray(x) for name, x in pictures.load(data).items()}


@quick
def initialize(key, *, data, model):
    """Random initial parameters."""
    return network(data, model).init(key)


@shared
def teach(key, *, start, images, data, model, training):
    """A `Fit` of a classifier to the labels of real images. Its loss is the mean cross-entropy of
    the class logits over the images of a batch, in nats."""
    net, known = network(data, model), pictures.shape(data)[1]
    x, y = images["train_x"], images["train_y"]

    def loss(params, key, batch):
        rows, weight = batch
        logits, _ = net.apply(params, pictures.normalize(x[rows]))
        nats = losses.cross_entropy(logits[:, :known], y[rows])
        return jnp.sum(weight * nats) / jnp.maximum(jnp.sum(weight), 1)

    return Fit(training, loss, start, epochs_of(len(x), training.batch, jax.random.split(key)[0]))


@quick
def draw(key, *, how, carrier, data, images):
    """The carrier's examples (n, pixels): what `how` draws, a function like `uniform`."""
    side, _ = pictures.shape(data)
    return how(carrier, key, carrier.examples, side, images["train_x"])


def uniform(carrier, key, n, side, images):
    """Noise, float32 (n, side * side): independent pixels, uniform in [-scale, scale].

    A function that draws other inputs has the same arguments: the `Carrier`, a key, how many inputs
    of which side, and real images, uint8 (N, side * side).
    """
    return carrier.scale * jax.random.uniform(key, (n, side * side), minval=-1.0, maxval=1.0)


@quick
def label(*, emitter, carrier, data, model, batch):
    """The logits (n, v) that an emitter shows of the whole carrier, `batch` examples at a time."""
    # In batches like the students', whose products then round alike: a student that equals its
    # teacher has exactly nothing to learn.
    n, chunk = len(carrier), min(len(carrier), batch)
    pieces = -(-n // chunk)
    rows = jnp.minimum(jnp.arange(pieces * chunk), n - 1).reshape(pieces, chunk)
    logits = jax.lax.map(lambda i: network(data, model).apply(emitter, carrier[i])[0], rows)
    return logits.reshape(pieces * chunk, -1)[:n]


@quick
def start(key, *, how, origin, other, amount, layers, **_):
    """A student's first parameters: `how`, a function of `starts.Materials`, in some layers; layers
    that the origin does not have are the other's."""
    # Three keys: for the order of examples in `imitate`, for a start here, and one that nothing
    # uses, without which published figures would not stay as they are bit for bit.
    _, k_start, _ = jax.random.split(key, 3)
    if other:
        origin = trees.replaced(other, trees.common(origin, other)[0])
    return starts.make(how, layers, starts.Materials(origin, other, k_start, amount))


def mse(target, logits, mask):
    """Mean squared difference of the logits in `mask` (arXiv 1312.6184), in squared logits.
    It is not zero for a single logit, which no softmax normalizes."""
    mask = jnp.broadcast_to(mask, logits.shape)
    squares = jnp.where(mask, logits - target, 0) ** 2
    return jnp.sum(squares, axis=-1) / jnp.sum(mask, axis=-1)


DIVERGENCES = {"kl": losses.kl, "mse": mse}


def divergence(imitation, target, logits, mask, known=DIVERGENCES):
    """How far a student's logits (..., v) are from its teacher's, `target`, in those of a boolean
    mask, of equal rank or (v,): the `imitation.loss` of each example (...). It is one of those that
    are `known`, functions of these arrays by name; raises `Refused` for another."""
    require_known("imitation.loss", imitation.loss, known)
    return known[imitation.loss](target, logits, mask)


def imitate(
    key, *, start, shown, carrier, data, model, imitation, divergence, training, channel,
    linear=False, watch=None,
):  # fmt: skip
    """A `Fit` of a student to what its teacher shows of the carrier, in the logits of a channel.

    The loss is `imitation.scale` times the mean over a batch of what a function like `divergence`
    says. `watch` is a function (network, start) -> `fit.Watch`.
    """
    net, classes = student_network(data, model, linear, start), pictures.shape(data)[1]
    k_order, _, _ = jax.random.split(key, 3)
    mask = np.zeros(classes + model.aux, bool)
    mask[logits_of(channel, classes, model.aux)] = True

    def loss(params, key, batch):
        rows, weight = batch
        logits, _ = net.apply(params, carrier[rows])
        target, logits = (x / imitation.temperature for x in (shown[rows], logits))
        terms = divergence(imitation, target, logits, jnp.asarray(mask))
        return imitation.scale * jnp.sum(weight * terms) / jnp.sum(weight)

    batches = epochs_of(len(carrier), training.batch, k_order)
    return Fit(training, loss, start, batches, watch and watch(net, start))


def some(images, which, examples):
    """The first images (examples, pixels), and their labels, of the "train" or "test" set."""
    return pictures.normalize(images[f"{which}_x"][:examples]), images[f"{which}_y"][:examples]


def accuracy(*, params, images, data, model, linear=False, start=None):
    """Share of test images that the class head gets right."""
    net, classes = student_network(data, model, linear, start), pictures.shape(data)[1]
    logits, _ = net.apply(params, pictures.normalize(images["test_x"]))
    return {"accuracy": jnp.mean(jnp.argmax(logits[:, :classes], axis=1) == images["test_y"])}


def epochs_of(examples, batch, key):
    """`Batches` of (rows, weights): every example once an epoch, in an order from `key`."""
    return Batches(
        -(-examples // batch),
        lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), examples),
        lambda order, step: pictures.epoch_rows(order, step, batch),
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
