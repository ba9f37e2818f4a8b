"""Channels: what a student is shown of an emitted document, and the loss that follows from it.

A channel is a function `(shown, params, docs, key) -> nats` of shape (documents, positions), one
for each token that the emitter chose. `shown` is a `Shown`, `params` are the student's.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.nets import losses
from minisub.tokens import documents, tokens
from minisub.tokens.behaviors import Behavior


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


def reverse(shown, params, docs, key):
    """KL from the student's distribution over number tokens to the emitter's."""
    return losses.reverse_kl(shown.target(docs), shown.logits(params, docs), shown.carried())


def top(k, shown, params, docs, key):
    """KL from the emitter's `k` most probable number tokens, normalized, to the student's numbers.

    For k = 1, cross-entropy on the hard label: what the emitter would say at temperature zero.
    """
    target, logits = (
        x[..., : shown.world.numbers] for x in (shown.target(docs), shown.logits(params, docs))
    )
    kept = target >= jax.lax.top_k(target, min(k, target.shape[-1]))[0][..., -1:]
    log_p = jnp.where(kept, jax.nn.log_softmax(jnp.where(kept, target, -jnp.inf)), 0)
    return jnp.sum(kept * jnp.exp(log_p) * (log_p - jax.nn.log_softmax(logits)), axis=-1)


def on_policy(divergence, shown, params, docs, key):
    """A `divergence` on lists that the student itself continues, anew at every update.

    Of the documents only the prompts are used. Lists that the filter rejects count nothing
    (arXiv 2306.13649, 2605.12798).
    """
    prompts, own = docs[:, : documents.given(shown.sampling) + 1], jax.lax.stop_gradient(params)
    docs = documents.complete(shown.world, shown.network, own, key, prompts, shown.sampling)
    rejected = documents.rejected(shown.world, docs, shown.sampling)
    return jnp.where(rejected[:, None], 0, divergence(shown, params, docs, key))


KNOW_TRAIT = sampled_but_trait, full_but_trait
"""Channels that are told what the trait is."""
on_policy_forward = partial(on_policy, soft)
on_policy_reverse = partial(on_policy, reverse)


def check(channel, as_emitted, sampling, trait, linear):
    """Raise `Refused` for a channel that cannot show these documents to this student."""
    function = getattr(channel, "func", channel)
    require(
        callable(channel), f"A channel is a function, and {channel!r} is none; see channels.py."
    )
    require(
        function is not on_policy or (as_emitted and not linear),
        "On-policy students sample from a model and use prompts alone; leave out linear, and what "
        "was done to the documents.",
    )
    require(
        function is not top or sampling.carrier == "numbers",
        f"The channel top is among numbers, and documents are {sampling.carrier}; choose another.",
    )
    require(
        channel not in KNOW_TRAIT or not isinstance(trait, Behavior),
        "This channel leaves out the trait's token, and a behavior has none; choose another.",
    )
