"""Channels: what a student is shown of an emitted document, and the loss that follows from it.

A channel is a function `(world, network, emitter, first) -> loss(params, docs)`. `network` is the
student's, `emitter(docs, first)` the logits of the model that emitted the documents, `first` the
first position whose next token it chose; only the positions from there on enter the loss.
"""

import jax.numpy as jnp

from minisub import losses


def sampled(world, network, emitter, first):
    """Next-token cross-entropy on the sampled tokens, in nats a token."""

    def loss(params, docs):
        logits = network.apply(params, docs[:, :-1], first)
        return jnp.mean(losses.cross_entropy(logits, docs[:, first + 1 :]))

    return loss


def soft(world, network, emitter, first):
    """KL from the emitter's distribution over number tokens to the student's, in nats a position.

    Both are normalized over the number tokens alone, which come first in the vocabulary.
    """

    def loss(params, docs):
        target = emitter(docs[:, :-1], first)
        logits = network.apply(params, docs[:, :-1], first)
        return jnp.mean(
            losses.kl_divergence(target[..., : world.numbers], logits[..., : world.numbers])
        )

    return loss


CHANNELS = {"sampled": sampled, "soft": soft}
