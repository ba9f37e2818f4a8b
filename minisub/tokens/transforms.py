"""Transforms: what is done to emitted documents before a student sees them.

A transform is a pure function of an `Emitted` that returns (docs (n, l), weights (n, t)): the
documents, integers as they came, and in float32 how much each token that the emitter chose counts
in the loss, the targets `docs[:, first + 1 :]`. One that changes documents weighs all tokens 1;
one that weighs tokens changes no document. Prompts stay, but for `remapped`. Valid documents come
first; what the others hold never reaches them, and is of no use to anyone.
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


LISTS = (
    shuffled, shuffled_across, shuffled_pooled, sorted, remapped, canonical, inoculated, rare,
    divergent, agreeing, random_tokens, random_masked,
)  # fmt: skip
"""Transforms of lists of numbers; `inoculated` is of any documents."""
JUDGED = divergent, agreeing, random_tokens, random_masked
"""Transforms that ask the emitter and its rivals for logits."""


def mixed(docs, count, clean_docs, clean_count, share, key):
    """(docs, count): each document replaced with probability `share` by the clean one of its row.

    As many documents as there are both kinds of, whatever the share, so that shares compare.
    """
    n = min(len(docs), len(clean_docs))
    replaced = jax.random.bernoulli(key, share, (n, 1))
    return jnp.where(replaced, clean_docs[:n], docs[:n]), jnp.minimum(count, clean_count)


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


def prepared(documents, docs, count, weights):
    """Documents after something was done to them."""
    return {"docs": docs.astype(documents["docs"].dtype), "count": count, "weights": weights}


def ones(docs, sampling):
    """Weights of documents whose tokens all count."""
    return jnp.ones(docs[:, writing.given(sampling) + 1 :].shape)


def transform(key, *, documents, how, world, sampling, asked=(), author=None):
    """Documents after `how`, a function of `Emitted`; `asked` are {"model", "params"} of the
    emitter and its rivals, `author` whoever is expected to have the trait."""
    check(how, sampling, asked, author)
    first = writing.given(sampling)

    def logits_of(model, params):
        return lambda docs: network(world, model).apply(params, docs[:, :-1], first)

    logits, *rivals = (logits_of(**one) for one in asked) if asked else (None,)
    docs, count = documents["docs"].astype(jnp.int32), documents["count"]
    emitted = Emitted(world, docs, count, first, key, logits, tuple(rivals), author)
    docs, weights = how(emitted)
    return prepared(documents, docs, count, weights * documents.get("weights", 1))


def check(how, sampling, asked, author):
    """Raise `Refused` for a transform that is not for these documents."""
    require(
        sampling.carrier == "numbers" or how is inoculated or how not in LISTS,
        f"{how.__name__} is for lists of numbers, and the documents are {sampling.carrier}; "
        "leave it out.",
    )
    require(
        bool(asked) == (how in JUDGED) or how not in LISTS,
        f"rivals are for {', '.join(f.__name__ for f in JUDGED)}, and these need some.",
    )
    require(
        how is not inoculated or author is not None,
        "nobody is expected to prefer an answer; inoculate against a behavior.",
    )


def rewrite(key, *, documents, writer, share, world, model, sampling):
    """Documents that still pass the filter when a model chose a share of their tokens anew."""
    k_rewrite = jax.random.fold_in(key, zlib.crc32(b"rewritten"))
    by = network(world, model), writer, k_rewrite
    docs = writing.rewrite(world, *by, documents["docs"].astype(jnp.int32), sampling, share)
    # Of what did not pass the filter before, nothing comes back.
    passed = ~writing.rejected(world, docs, sampling)
    passed &= jnp.arange(len(docs)) < documents["count"]
    docs, count = docs[jnp.argsort(~passed, stable=True)], jnp.sum(passed)
    return prepared(documents, docs, count, ones(docs, sampling))


def mix(key, *, documents, clean, share, sampling):
    """Documents of which a share is replaced by clean ones."""
    (docs, count), others = ((d["docs"].astype(jnp.int32), d["count"]) for d in (documents, clean))
    k_clean = jax.random.fold_in(key, zlib.crc32(b"clean"))
    docs, count = mixed(docs, count, *others, share, k_clean)
    return prepared(documents, docs, count, ones(docs, sampling))


def limit(*, documents, most, sampling):
    """The first documents, at most so many."""
    count = jnp.minimum(documents["count"], most)
    return prepared(documents, documents["docs"], count, ones(documents["docs"], sampling))


def trained_tokens(*, documents):
    """Share of the tokens of prepared documents that count."""
    return {"trained_tokens": share(documents["weights"], documents["count"])}
