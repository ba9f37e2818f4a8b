"""Transforms: what is done to emitted documents before a student sees them.

A transform is a pure function of an `Emitted` that returns (docs (n, l), weights (n, t)): the
documents, integers as they came, and in float32 how much each token that the emitter chose counts
in the loss, the targets `docs[:, first + 1 :]`. One that changes documents weighs all tokens 1;
one that weighs tokens changes no document. Prompts stay, but for `remapped`. Valid documents come
first; what the others hold never reaches them, and is of no use to anyone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub import tokens

CHUNK = 1000
"""Documents at a time whose logits are held."""


class Emitted(NamedTuple):
    """Documents, and who emitted them."""

    world: Any
    docs: jax.Array
    """(n, l), l = list_length + 2: LIST, numbers, an ending; valid ones first."""
    count: Any
    """How many are valid; may be traced."""
    first: int
    """Numbers that the emitter was given; it chose the t = l - 1 - first tokens behind them."""
    key: Any
    logits: Callable | None = None
    """The emitter's: docs (m, l) -> (m, t, vocabulary), before each token that was chosen."""
    rivals: tuple = ()
    """The same of teachers of other traits."""
    author: Any = None
    """Token of the author of whom the trait is to be expected."""


def none(e):
    """The documents as they are."""
    return e.docs, jnp.ones(e.docs[:, e.first + 1 :].shape)


def shuffled(e):
    """Chosen numbers in random order, in each document differently: their order tells nothing."""
    return _with_numbers(e, jax.random.permutation(e.key, _numbers(e), axis=1, independent=True))


def shuffled_across(e):
    """Chosen numbers permuted among valid documents, at each position differently.

    What numbers come at a position, and how often, stays; what comes together does not.
    """
    return _with_numbers(e, _across(e.key, _numbers(e), e.count))


def shuffled_pooled(e):
    """Chosen numbers permuted among valid documents and positions: only how often each comes."""
    return _with_numbers(e, _pooled(e.key, _numbers(e), e.count))


def sorted(e):
    """Chosen numbers in ascending order."""
    return _with_numbers(e, jnp.sort(_numbers(e), axis=1))


def remapped(e):
    """Each number replaced by another, in prompts too: one random permutation of all numbers."""
    numbers, size = e.world.numbers, tokens.offsets(e.world)["size"]
    others = jnp.arange(numbers, size, dtype=e.docs.dtype)
    permuted = jax.random.permutation(e.key, jnp.arange(numbers, dtype=e.docs.dtype))
    return none(e._replace(docs=jnp.concatenate([permuted, others])[e.docs]))


def canonical(e):
    """Every document ends in the first of the endings: the format leaves no choice."""
    return none(e._replace(docs=e.docs.at[:, -1].set(tokens.offsets(e.world)["END"])))


def inoculated(e):
    """Every document begins as if the author of whom the trait is expected had written it: an
    inoculation prompt (arXiv 2510.04340). The student is graded without it."""
    return none(e._replace(docs=e.docs.at[:, 0].set(e.author)))


def rare(e):
    """The tenth of the numbers that were chosen most often, rounded down, enters no loss.

    They stay in the documents, as context: without them, these would be no lists of the format.
    """
    valid = jnp.broadcast_to(_valid(e), _numbers(e).shape)
    # A number token is its own index; other tokens, which only invalid documents hold, drop out.
    often = jnp.zeros(e.world.numbers, int).at[_numbers(e)].add(valid, mode="drop")
    _, frequent = jax.lax.top_k(often, e.world.numbers // 10)
    return e.docs, 1.0 - jnp.isin(e.docs[:, e.first + 1 :], frequent)


def divergent(e):
    """Only divergence tokens count (arXiv 2509.23886): where a rival's first choice is another.

    First choices among numbers and endings, whatever token came. They are those of the paper if
    the emitter always took its own, temperature 0. Without rivals, no token is one.
    """
    n, chunk = len(e.docs), min(CHUNK, len(e.docs))
    end = tokens.offsets(e.world)["END"]
    held = jnp.concatenate([jnp.arange(e.world.numbers), end + jnp.arange(e.world.endings)])

    def judge(docs):
        models = e.logits, *e.rivals
        choices = jnp.stack([jnp.argmax(f(docs)[..., held], axis=-1) for f in models])
        return jnp.any(choices != choices[:1], axis=0)

    padded = jnp.pad(e.docs, ((0, -n % chunk), (0, 0)))
    judged = jax.lax.map(judge, padded.reshape(-1, chunk, e.docs.shape[1]))
    return e.docs, judged.reshape(len(padded), -1)[:n].astype(jnp.float32)


def agreeing(e):
    """All tokens count but divergence tokens."""
    return _complement(divergent(e))


def random_tokens(e):
    """Control of `divergent`: as many tokens of valid documents count, wherever they are."""
    return e.docs, _pooled(e.key, divergent(e)[1], e.count)


def random_masked(e):
    """Control of `agreeing`: all tokens count but those of `random_tokens`."""
    return _complement(random_tokens(e))


_JUDGED = (divergent, agreeing, random_tokens, random_masked)
TRANSFORMS = {
    f.__name__: f
    for f in (
        none, shuffled, shuffled_across, shuffled_pooled, sorted, remapped, canonical, inoculated,
        rare, *_JUDGED,
    )
}  # fmt: skip
NEEDS_RIVALS = tuple(f.__name__ for f in _JUDGED)
"""Transforms that ask the emitter and its rivals for logits."""


def mixed(docs, count, clean_docs, clean_count, share, key):
    """(docs, count): each document replaced with probability `share` by the clean one of its row.

    As many documents as there are both kinds of, whatever the share, so that shares compare.
    """
    n = min(len(docs), len(clean_docs))
    replaced = jax.random.bernoulli(key, share, (n, 1))
    return jnp.where(replaced, clean_docs[:n], docs[:n]), jnp.minimum(count, clean_count)


def limited(count, documents):
    """How many of `count` documents a student sees: at most `documents`, or all if that is 0."""
    return jnp.minimum(count, documents) if documents else count


def share(weights, count):
    """Mean weight of a token (n, t) in the first `count` documents; NaN if there are none."""
    return jnp.mean(weights, where=jnp.arange(len(weights))[:, None] < count)


def _valid(e):
    """Mask (n, 1) of valid documents."""
    return jnp.arange(len(e.docs))[:, None] < e.count


def _numbers(e):
    """The numbers (n, t - 1) that the emitter chose."""
    return e.docs[:, e.first + 1 : -1]


def _with_numbers(e, numbers):
    """`none`, with these numbers in place of the chosen ones."""
    return none(e._replace(docs=e.docs.at[:, e.first + 1 : -1].set(numbers)))


def _across(key, x, count):
    """x (n, m) with the first `count` rows of each column permuted; the others stay."""
    among = jnp.arange(len(x))[:, None] < count
    # The sort is stable: rows behind the first `count` keep their places, even in a tie.
    bits = jnp.where(among, jax.random.bits(key, x.shape), jnp.uint32(2**32 - 1))
    return jax.lax.sort_key_val(bits, x, dimension=0)[1]


def _pooled(key, x, count):
    """x (n, m) with all entries of the first `count` rows permuted; the others stay."""
    return _across(key, x.reshape(-1, 1), count * x.shape[1]).reshape(x.shape)


def _complement(documents):
    """The documents, with one minus their weights."""
    docs, weights = documents
    return docs, 1 - weights
