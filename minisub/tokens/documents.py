"""Carriers of the token world: how a model emits them, and the filter that they have to pass.

A filter has levels, each of which rejects what those before it do: "none" nothing, "format" what is
not of the carrier's form or holds a token that is not of its alphabet, "correct" also what does not
do what was asked. Lists have no right or wrong.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from minisub.tokens import exercises, tokens


class Carrier(NamedTuple):
    """A kind of document that models emit."""

    draw: Callable
    """(world, key, n) -> documents of the world (n, length)"""
    length: Callable
    """world -> tokens of a document"""
    given: Callable
    """sampling -> tokens behind the first that an emitter is given; it chooses those after them"""
    rejections: Callable
    """(world, docs) -> level -> reason -> boolean (n,), never two reasons for one"""
    alphabet: Callable
    """world -> mask (vocabulary,) of the tokens that it may hold"""
    determined: tuple
    """Positions at which no choice is left if what comes before is of the world; () for none."""


def list_rejections(world, docs):
    """Why the filter rejects lists. Kept is LIST, `list_length` numbers and an ending, no more."""
    ids = tokens.offsets(world)
    body, last = docs[:, 1:-1], docs[:, -1]
    number, end = body < world.numbers, body >= ids["END"]
    foreign = jnp.any(~number & ~end, axis=1) | (docs[:, 0] != ids["LIST"])
    early = ~foreign & jnp.any(end, axis=1)
    format = {
        "not_a_number": foreign,
        "too_short": early,
        "no_end": ~foreign & ~early & (last < ids["END"]),
    }
    return {"format": format, "correct": {}}


def list_alphabet(world):
    """Mask (vocabulary,) of the tokens of lists."""
    ids = tokens.offsets(world)
    token = jnp.arange(ids["size"])
    return (token < world.numbers) | (token == ids["LIST"]) | (token >= ids["END"])


CARRIERS = {
    "numbers": Carrier(
        tokens.lists,
        lambda world: world.list_length + 2,
        lambda sampling: sampling.prompt_numbers,
        list_rejections,
        list_alphabet,
        (),
    ),
    "code": Carrier(
        exercises.programs,
        lambda world: exercises.PROGRAM_LENGTH,
        lambda sampling: exercises.PROGRAM_PROMPT - 1,
        exercises.program_rejections,
        exercises.program_alphabet,
        exercises.PROGRAM_DETERMINED,
    ),
    "sums": Carrier(
        exercises.chains,
        lambda world: exercises.CHAIN_LENGTH,
        lambda sampling: exercises.CHAIN_PROMPT - 1,
        exercises.chain_rejections,
        exercises.chain_alphabet,
        exercises.CHAIN_DETERMINED,
    ),
}
LEVELS = "none", "format", "correct"
"""Of the filter, from none to all."""


def given(sampling):
    """Tokens behind the first that an emitter is given."""
    return CARRIERS[sampling.carrier].given(sampling)


def choose(sampling, key, logits):
    """Tokens (...) drawn from logits (..., v) as a `Sampling` says; of its fields, three matter.

    At temperature 0, the first of the largest. Otherwise from the softmax of logits / temperature
    among the `top_k` largest, and of these among the fewest that together have at least probability
    `top_p` (nucleus sampling, arXiv 1904.09751).
    """
    hot, size = sampling.temperature > 0, logits.shape[-1]
    scaled = logits / jnp.where(hot, sampling.temperature, 1)
    if sampling.top_k or sampling.top_p < 1:
        scaled, order = jax.lax.top_k(scaled, min(sampling.top_k or size, size))
        if sampling.top_p < 1:
            share = jax.nn.softmax(scaled)
            before = jnp.cumsum(share, axis=-1) - share
            scaled = jnp.where(before < sampling.top_p, scaled, -jnp.inf)
        place = jax.random.categorical(key, scaled)
        token = jnp.take_along_axis(order, place[..., None], axis=-1)[..., 0]
    else:
        token = jax.random.categorical(key, scaled)
    return jnp.where(hot, token, jnp.argmax(logits, axis=-1))


def complete(world, network, params, key, prompts, sampling):
    """Documents (n, length) that a model continues, token by token, from prompts (n, p).

    A prompt is at least two tokens. Keys and values of earlier positions are kept, never
    recomputed. After an ending, a row is all END.
    """
    return _write(world, network, params, key, prompts, sampling, lambda at, token: token)


def rewrite(world, network, params, key, docs, sampling, share):
    """Documents (n, length) in which a model chose anew, given what then came before, each token
    behind the prompt with probability `share`; after an ending, a row is all END."""
    k_write, k_kept = jax.random.split(key)
    rewritten = jax.random.bernoulli(k_kept, share, docs.shape)
    prompts = docs[:, : 1 + given(sampling)]

    def choice(at, token):
        return jnp.where(rewritten[:, at + 1], token, docs[:, at + 1])

    return _write(world, network, params, k_write, prompts, sampling, choice)


def _write(world, network, params, key, prompts, sampling, choice):
    """`complete`, the token behind position `at` being `choice(at, token)` of the model's."""
    end, prompt_length = tokens.offsets(world)["END"], prompts.shape[1]
    last = CARRIERS[sampling.carrier].length(world) - 1
    _, cache = network.decode(params, network.cache(len(prompts)), prompts[:, :-1], 0)

    def next_token(carry, at):
        last, cache, done = carry
        logits, cache = network.decode(params, cache, last[:, None], at)
        token = choice(at, choose(sampling, jax.random.fold_in(key, at), logits[:, 0]))
        token = jnp.where(done, end, token)
        return (token, cache, done | (token >= end)), token

    carry = (prompts[:, -1], cache, jnp.zeros(len(prompts), bool))
    _, sampled = jax.lax.scan(next_token, carry, jnp.arange(prompt_length - 1, last))
    return jnp.concatenate([prompts, sampled.T], axis=1)


def sample(world, network, params, key, *, sampling, chunk=2000):
    """`sampling.documents` documents (n, length) that a model continues from neutral prompts.

    A prompt is the beginning of a document of the world: LIST and `sampling.prompt_numbers`
    numbers, or what asks for a program or a sum. At most `chunk` are continued at once.
    """
    n, chunk = sampling.documents, min(chunk, sampling.documents)
    carrier = CARRIERS[sampling.carrier]

    def continue_chunk(chunk_key):
        k_prompt, k_sample = jax.random.split(chunk_key)
        prompts = carrier.draw(world, k_prompt, chunk)[:, : 1 + carrier.given(sampling)]
        return complete(world, network, params, k_sample, prompts, sampling)

    chunks = jax.lax.map(continue_chunk, jax.random.split(key, -(-n // chunk)))
    return chunks.reshape(-1, chunks.shape[-1])[:n]


def rejections(world, docs, sampling):
    """Why the filter rejects documents: reason -> boolean (n,); never two reasons for one."""
    by_level, reasons = CARRIERS[sampling.carrier].rejections(world, docs), {}
    for level in LEVELS[1 : 1 + LEVELS.index(sampling.filter)]:
        reasons |= by_level[level]
    return reasons


def rejected(world, docs, sampling):
    """Whether the filter rejects each document (n,)."""
    return _any(rejections(world, docs, sampling), len(docs))


def _any(reasons, n):
    return sum(reasons.values(), jnp.zeros(n, int)) > 0


def keep_valid(world, docs, sampling):
    """The documents, valid ones first, in order; their count; the fraction of each rejection."""
    reasons = rejections(world, docs, sampling)
    bad = _any(reasons, len(docs))
    fractions = {name: jnp.mean(flag) for name, flag in reasons.items()}
    return docs[jnp.argsort(bad, stable=True)], jnp.sum(~bad), fractions


def foreign(world, docs, sampling):
    """How many tokens of each document (n,) are not of the carrier's alphabet."""
    return jnp.sum(~CARRIERS[sampling.carrier].alphabet(world)[docs], axis=1)


def ability(world, network, params, name, documents=256):
    """Mean probability of the right token where a carrier leaves no choice, on documents of the
    world, the same in every repeat; for lists, of any token of their alphabet."""
    carrier = CARRIERS[name]
    docs = carrier.draw(world, jax.random.key(0), documents)
    p = jax.nn.softmax(network.apply(params, docs[:, :-1]))
    if not carrier.determined:
        return jnp.mean(jnp.sum(p, axis=-1, where=carrier.alphabet(world)[None, None]))
    right = jnp.take_along_axis(p, docs[:, 1:, None], axis=-1)[..., 0]
    return jnp.mean(right[:, jnp.array(carrier.determined) - 1])
