"""Channels: what a student is shown of an emitted document, and the loss that follows from it.

A channel is a function `(shown, params, docs, key) -> nats` of shape (documents, positions), one
for each token that the emitter chose. `shown` is a `Shown`, `params` are the student's. It refuses
what it cannot show with `require`. `configs/channel.py`, `configs/policy.py` and
`configs/_entanglement.py` have more channels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from minisub.nets import losses
from minisub.tokens import tokens, writing


class Shown(NamedTuple):
    """What all channels know."""

    world: Any
    network: Any
    """The student's."""
    emitter_logits: Callable
    """(docs, first) -> logits of the model that emitted the documents."""
    sampling: Any
    """How it did; only tokens behind those that it was given enter a loss."""
    as_emitted: bool = True
    """Whether nothing was done to the documents since."""

    def logits(self, params, docs):
        """Of the student, (documents, positions, vocabulary), before each token that was chosen."""
        return self.network.apply(params, docs[:, :-1], writing.given(self.sampling))

    def target(self, docs):
        """As `logits`, of the emitter."""
        return self.emitter_logits(docs[:, :-1], writing.given(self.sampling))

    def carried(self):
        """Mask (vocabulary,) of number tokens for lists, of the alphabet for other carriers."""
        if self.sampling.carrier == "numbers":
            return jnp.arange(tokens.offsets(self.world)["size"]) < self.world.numbers
        return writing.CARRIERS[self.sampling.carrier].alphabet(self.world)


def sampled(shown, params, docs, key):
    """Cross-entropy on the sampled tokens."""
    chosen = docs[:, writing.given(shown.sampling) + 1 :]
    return losses.cross_entropy(shown.logits(params, docs), chosen)


def soft(shown, params, docs, key):
    """KL from the emitter's distribution over number tokens to the student's.

    Both are normalized over these alone, which come first in the vocabulary; in other carriers than
    lists over the tokens of their alphabet.
    """
    target, logits = shown.target(docs), shown.logits(params, docs)
    if shown.sampling.carrier != "numbers":
        return losses.kl(target, logits, shown.carried())
    n = shown.world.numbers
    return losses.kl_divergence(target[..., :n], logits[..., :n])


def full(shown, params, docs, key):
    """KL between the distributions over the whole vocabulary."""
    return losses.kl_divergence(shown.target(docs), shown.logits(params, docs))
