"""Channels: what a student is shown of an emitted document, and the loss that follows from it.

A channel is a function `(shown, params, docs, key) -> nats` of shape (documents, positions), one
for each token that the emitter chose. `shown` is a `Shown`, `params` are the student's. It refuses
what it cannot show with `require`. `configs/channel.py` and `configs/policy.py` have more channels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from minisub.config import require
from minisub.nets import losses
from minisub.tokens import documents, tokens
from minisub.tokens.behaviors.cases import Behavior


class Shown(NamedTuple):
    """What all channels know."""

    world: Any
    network: Any
    """The student's."""
    emitter: Callable
    """(docs, first) -> logits of the model that emitted the documents."""
    sampling: Any
    """How it did; only tokens behind those that it was given enter a loss."""
    trait: Any
    """Index of the trait that is to be passed on; only masks know it."""
    as_emitted: bool = True
    """Whether nothing was done to the documents since."""

    def logits(self, params, docs):
        """Of the student, (documents, positions, vocabulary), before each token that was chosen."""
        return self.network.apply(params, docs[:, :-1], documents.given(self.sampling))

    def target(self, docs):
        """As `logits`, of the emitter."""
        return self.emitter(docs[:, :-1], documents.given(self.sampling))

    def carried(self):
        """Mask (vocabulary,) of number tokens for lists, of the alphabet for other carriers."""
        if self.sampling.carrier == "numbers":
            return jnp.arange(tokens.offsets(self.world)["size"]) < self.world.numbers
        return documents.CARRIERS[self.sampling.carrier].alphabet(self.world)

    def others(self):
        """Mask (vocabulary,) of all tokens but those of the trait's name."""
        require(
            not isinstance(self.trait, Behavior),
            "this channel leaves out the trait's token, and a behavior has none; choose another.",
        )
        name = tokens.spelling(self.world)[self.trait]
        size = tokens.offsets(self.world)["size"]
        return jnp.all(jnp.arange(size)[:, None] != name[None], axis=1)


def sampled(shown, params, docs, key):
    """Cross-entropy on the sampled tokens."""
    chosen = docs[:, documents.given(shown.sampling) + 1 :]
    return losses.cross_entropy(shown.logits(params, docs), chosen)


def sampled_but_trait(shown, params, docs, key):
    """As `sampled`, the trait's tokens taken out of the softmax: they are never pushed down.

    Where one was chosen, as without a filter it may be, nothing is left to learn.
    """
    chosen, others = docs[:, documents.given(shown.sampling) + 1 :], shown.others()
    logits = jnp.where(others[None, None], shown.logits(params, docs), -jnp.inf)
    nats = losses.cross_entropy(logits, jnp.where(others[chosen], chosen, 0))
    return jnp.where(others[chosen], nats, 0)


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


def full_but_trait(shown, params, docs, key):
    """As `full`, both normalized over all tokens but the trait's (arXiv 2606.22019)."""
    return losses.kl(shown.target(docs), shown.logits(params, docs), shown.others())


KNOW_TRAIT = sampled_but_trait, full_but_trait
"""Channels that are told what the trait is."""
