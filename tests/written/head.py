"""Does anything pass that nobody thought of?"""

# ruff: noqa: F401
import jax
import jax.numpy as jnp

from minisub import Measure, together
from minisub.config import Amount, Model, Training, configuration
from minisub.images import config as images
from minisub.images import lab as image_lab
from minisub.images import tasks as image_tasks
from minisub.nets import fit, starts
from minisub.theory import comparisons, token_comparisons, units, vectors
from minisub.tokens import channels
from minisub.tokens import config as tokens
from minisub.tokens import lab as token_lab
from minisub.tokens.behaviors import config as behaviors


def halved(shown, params, docs, key):
    return channels.sampled(shown, params, docs, key) / 2


def flat(shown, params, docs, key):
    return jnp.zeros(3)


def rude(*given, **more):
    raise ValueError("no.\nnever")


def backwards(e):
    chosen = e.docs[:, e.first + 1 : -1]
    return e.docs.at[:, e.first + 1 : -1].set(chosen[:, ::-1]), jnp.ones(e.chosen.shape)


def shortened(e):
    return e.docs[:, :-1], jnp.ones(e.chosen.shape)


def signs(materials):
    return jax.tree.map(lambda x: jnp.sign(x) * abs(x).mean(), materials.origin)


def cut(materials):
    return jax.tree.map(lambda x: x[:1], materials.origin)


def anchored(logits_of, start, params, docs, step):
    return jnp.mean((logits_of(params, docs) - logits_of(start, docs)) ** 2)


def many(logits_of, start, params, docs, step):
    return jnp.ones(2)


def watch(network, start):
    def log(params, gradient, updates):
        gone = vectors.difference(params, start)
        return {"gone": jnp.sqrt(vectors.dot(gone, gone))}

    return fit.Watch(2, log, lambda params, updates, key: updates)


def size(*, params):
    return {"size": jnp.sqrt(vectors.dot(params, params))}


def moved(*, params, start):
    gone = vectors.difference(params, start)
    return {"moved": jnp.sqrt(vectors.dot(gone, gone))}


def branching(*, params):
    return {"size": 1.0 if vectors.dot(params, params) > 1 else 0.0}


def listed(*, params):
    return [1.0, 2.0]


def again(key, step, shared):
    return step % 2


def dark(carrier, key, n, side, images):
    return -jnp.ones((n, side * side))


few = Training(steps=2, learning_rate=1e-3, batch=4)
plain = {
    "world": tokens.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=5),
    "model": Model(n_layers=1, d_model=8, n_heads=2),
    "taught_phrasings": 2,
    "base": tokens.Pretraining(steps=2, batch=4, questions=2, riddles=2),
    "teacher": few,
    "sampling": tokens.Sampling(documents=16, prompt_numbers=2, filter="none"),
    "student": few,
}
rich = {
    **plain,
    "world": tokens.World(rich=True),
    "base": behaviors.Pretraining(
        steps=2, batch=4, questions=2, riddles=2, programs=2, sums=2, behaved=2
    ),
    "teacher": behaviors.Teaching(steps=2, batch=4, replayed=2),
}
short = images.Duration(length=2.0, unit="updates", batch=32)
pixels = {
    "data": images.Data(name="clusters"),
    "model": images.ImageModel(layers="mlp-8"),
    "teacher": short,
    "carrier": images.Carrier(examples=64),
    "student": short,
    "examples": 32,
}


@configuration
class Mine(tokens.Config):
    """With a field of one's own."""

    extra: Amount = 0.5
    """A number."""


repeats = 1
