"""Transforms: what is done to emitted documents before a student sees them.

A transform is a function of an `Emitted` that returns (docs (n, l), weights (n, t)): the documents,
and in float32 how much each token that the emitter chose counts in the loss. What it makes of the
documents that are not valid does not matter: no student sees them. `configs/content.py` and
`configs/divergence.py` have more transforms.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.tokens import documents as writing
from minisub.tokens import tokens
from minisub.tokens.grading import network


class Emitted(NamedTuple):
    """Documents, and who emitted them."""

    world: Any
    docs: jax.Array
    """(n, l) integers; lists are LIST, numbers and an ending, l = list_length + 2. Valid ones come
    first."""
    count: Any
    """How many are valid; may be traced."""
    first: int
    """Tokens behind the first that the emitter was given; it chose the t = l - 1 - first others."""
    key: Any
    logits: Callable | None = None
    """The emitter's: docs (m, l) -> (m, t, vocabulary), before each token that was chosen."""
    rivals: tuple = ()
    """The same of teachers of other traits."""
    author: Any = None
    """Token of the author of whom the trait is to be expected."""
    carrier: str = "numbers"

    @property
    def lists(self):
        """The documents, if they are lists of numbers; else raises `Refused`."""
        require(
            self.carrier == "numbers",
            f"This transform is for lists of numbers, and documents are {self.carrier}; leave it "
            "out.",
        )
        return self.docs

    @property
    def ids(self):
        """Kind of token -> its first one."""
        return tokens.offsets(self.world)

    @property
    def valid(self):
        """Which documents (n,) are valid."""
        return jnp.arange(len(self.docs)) < self.count

    @property
    def chosen(self):
        """The tokens (n, t) that the emitter chose."""
        return self.docs[:, self.first + 1 :]

    @property
    def numbers(self):
        """The numbers (n, t - 1) that the emitter chose."""
        return self.lists[:, self.first + 1 : -1]

    def with_numbers(self, numbers):
        """What a transform returns that puts other numbers in place of the chosen ones."""
        return self.with_docs(self.lists.at[:, self.first + 1 : -1].set(numbers))

    def with_docs(self, docs):
        """What a transform returns that changes documents: all their tokens count."""
        return docs, jnp.ones(self.chosen.shape)


def remapped(e):
    """Each number replaced by another, in prompts too: one random permutation of all numbers."""
    numbers, size = e.world.numbers, e.ids["size"]
    others = jnp.arange(numbers, size, dtype=e.docs.dtype)
    permuted = jax.random.permutation(e.key, jnp.arange(numbers, dtype=e.docs.dtype))
    return e.with_docs(jnp.concatenate([permuted, others])[e.lists])


def inoculated(e):
    """Every document begins as if the author of whom the trait is expected had written it: an
    inoculation prompt (arXiv 2510.04340). The student is graded without it."""
    require(
        e.author is not None,
        "nobody is expected to prefer an answer; inoculate against a behavior.",
    )
    return e.with_docs(e.docs.at[:, 0].set(e.author))


def permuted(key, x, count):
    """x (n, m) with the first `count` rows of each column permuted; the others stay."""
    among = jnp.arange(len(x))[:, None] < count
    # The sort is stable: rows behind the first `count` keep their places, even in a tie.
    bits = jnp.where(among, jax.random.bits(key, x.shape), jnp.uint32(2**32 - 1))
    return jax.lax.sort_key_val(bits, x, dimension=0)[1]


def pooled(key, x, count):
    """x (n, m) with all entries of the first `count` rows permuted; the others stay."""
    return permuted(key, x.reshape(-1, 1), count * x.shape[1]).reshape(x.shape)


def mixed(docs, count, clean_docs, clean_count, share, key):
    """(docs, count): each document replaced with probability `share` by the clean one of its row.

    As many documents as there are both kinds of, whatever the share, so that shares compare.
    """
    n = min(len(docs), len(clean_docs))
    replaced = jax.random.bernoulli(key, share, (n, 1))
    return jnp.where(replaced, clean_docs[:n], docs[:n]), jnp.minimum(count, clean_count)


def prepared(documents, sampling, docs, count, weights=None):
    """Documents after something was done to them; all tokens count, unless `weights` are given."""
    if weights is None:
        weights = jnp.ones(docs[:, writing.given(sampling) + 1 :].shape)
    return {"docs": docs.astype(documents["docs"].dtype), "count": count, "weights": weights}


def transform(key, *, documents, how, world, sampling, asked=(), author=None):
    """Documents after `how`, a function of `Emitted`; `asked` are {"model", "params"} of the
    emitter and its rivals, `author` whoever is expected to have the trait."""
    first = writing.given(sampling)

    def logits_of(model, params):
        return lambda docs: network(world, model).apply(params, docs[:, :-1], first)

    logits, *rivals = (logits_of(**one) for one in asked) if asked else (None,)
    docs, count = documents["docs"].astype(jnp.int32), documents["count"]
    by = logits, tuple(rivals), author
    docs, weights = how(Emitted(world, docs, count, first, key, *by, sampling.carrier))
    return prepared(documents, sampling, docs, count, weights * documents.get("weights", 1))


def rewrite(key, *, documents, writer, share, world, model, sampling):
    """Documents that still pass the filter when a model chose a share of their tokens anew."""
    k_rewrite = jax.random.fold_in(key, zlib.crc32(b"rewritten"))
    by = network(world, model), writer, k_rewrite
    docs = writing.rewrite(world, *by, documents["docs"].astype(jnp.int32), sampling, share)
    # Of what did not pass the filter before, nothing comes back.
    passed = ~writing.rejected(world, docs, sampling)
    passed &= jnp.arange(len(docs)) < documents["count"]
    docs, count = docs[jnp.argsort(~passed, stable=True)], jnp.sum(passed)
    return prepared(documents, sampling, docs, count)


def mix(key, *, documents, clean, share, sampling):
    """Documents of which a share is replaced by clean ones."""
    (docs, count), others = ((d["docs"].astype(jnp.int32), d["count"]) for d in (documents, clean))
    k_clean = jax.random.fold_in(key, zlib.crc32(b"clean"))
    docs, count = mixed(docs, count, *others, share, k_clean)
    return prepared(documents, sampling, docs, count)


def limit(*, documents, most, sampling):
    """The first documents, at most so many."""
    count = jnp.minimum(documents["count"], most)
    return prepared(documents, sampling, documents["docs"], count)


def trained_tokens(*, documents):
    """Share of the tokens of prepared documents that count; NaN if there are no documents."""
    weights = documents["weights"]
    valid = jnp.arange(len(weights))[:, None] < documents["count"]
    return {"trained_tokens": jnp.mean(weights, where=valid)}
