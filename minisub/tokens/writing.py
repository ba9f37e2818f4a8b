"""Carriers of the token world: how a model emits them, and the filter that they have to pass.

A filter has levels, each of which rejects what those before it do: "none" nothing, "format" what is
not of the carrier's form or holds a token that is not of its alphabet, "correct" also what does not
do what was asked. Lists have no right or wrong.
"""

import jax
import jax.numpy as jnp

from minisub.tokens import number_lists, tokens
from minisub.tokens.behaviors import code, sums

CARRIERS = {"numbers": number_lists, "code": code, "sums": sums}
"""Modules that each describe a kind of document, of rich worlds `code` and `sums`, by these names:

    draw(world, key, n)         documents of the world (n, length)
    length(world)               tokens of a document
    given(sampling)             how many tokens an emitter is given beside the document's first
    rejections(world, docs)     level -> reason -> boolean (n,), never two reasons for one
    alphabet(world)             mask (vocabulary,) of the tokens that it may hold
    DETERMINED                  positions that leave no choice if what comes before is of the world
"""
GROUP = 64
"""Documents drawn together, as many as fit a core's cache; on a GPU so many groups at once."""
BLOCK = 16
"""Tokens in a block, the square root of a usual vocabulary: see `drawn`."""
LEVELS = "none", "format", "correct"
"""Of the filter, from none to all."""


def given(sampling):
    """How many tokens an emitter is given beside the first; it chooses all later ones."""
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
        token = jnp.take_along_axis(order, drawn(key, scaled)[..., None], axis=-1)[..., 0]
    else:
        token = drawn(key, scaled)
    return jnp.where(hot, token, jnp.argmax(logits, axis=-1))


def drawn(key, logits):
    """Tokens (...) drawn from the softmax of logits (..., v), each by one random number: first a
    block of tokens, then one of it. The v numbers of `jax.random.categorical`, or sums up to each
    of v tokens, would take as long as the model."""
    *shape, v = logits.shape
    padding = [(0, 0)] * len(shape) + [(0, -v % BLOCK)]
    blocks = jnp.pad(jax.nn.softmax(logits), padding).reshape(*shape, -1, BLOCK)
    up_to = jnp.cumsum(jnp.sum(blocks, axis=-1), axis=-1)
    place = jax.random.uniform(key, (*shape, 1)) * up_to[..., -1:]
    block = passed(up_to, place)
    before = jnp.max(jnp.where(up_to <= place, up_to, 0.0), axis=-1, keepdims=True)
    inside = jnp.take_along_axis(blocks, block[..., None], axis=-2)[..., 0, :]
    within = passed(jnp.cumsum(inside, axis=-1), place - before)
    return (block * BLOCK + within)[..., 0]


def passed(up_to, place):
    """How many of the rising sums (..., n) a place (..., 1) is past, (..., 1); never all of them,
    and never one behind which nothing is added."""
    return jnp.sum((up_to <= place) & (up_to < up_to[..., -1:]), axis=-1, keepdims=True)


def complete(world, network, params, key, prompts, sampling):
    """Documents (n, length) that a model continues, token by token, from prompts (n, p).

    A prompt is at least two tokens. Keys and values of earlier positions are kept, never
    recomputed. After an ending, a row is all END.
    """
    end, prompt_length = tokens.offsets(world)["END"], prompts.shape[1]
    last = CARRIERS[sampling.carrier].length(world) - 1
    _, cache = network.decode(params, network.cache(len(prompts), last), prompts[:, :-1], 0)

    def next_token(carry, at):
        last, cache, done = carry
        logits, cache = network.decode(params, cache, last[:, None], at)
        token = choose(sampling, jax.random.fold_in(key, at), logits[:, 0])
        token = jnp.where(done, end, token)
        return (token, cache, done | (token >= end)), token

    carry = (prompts[:, -1], cache, jnp.zeros(len(prompts), bool))
    _, sampled = jax.lax.scan(next_token, carry, jnp.arange(prompt_length - 1, last))
    return jnp.concatenate([prompts, sampled.T], axis=1)


def sample(world, network, params, key, *, sampling):
    """`sampling.documents` documents (n, length) that a model continues from neutral prompts.

    A prompt is the beginning of a document of the world: LIST and `sampling.prompt_numbers`
    numbers, or what asks for a program or a sum.
    """
    n, group = sampling.documents, min(GROUP, sampling.documents)

    def continue_group(group_key):
        k_prompt, k_sample = jax.random.split(group_key)
        prompts = draw_prompts(world, k_prompt, sampling, group)
        return complete(world, network, params, k_sample, prompts, sampling)

    keys = jax.random.split(key, -(-n // group))
    at_once = None if jax.default_backend() == "cpu" else GROUP
    groups = jax.lax.map(continue_group, keys, batch_size=at_once)
    return groups.reshape(-1, groups.shape[-1])[:n]


def draw_prompts(world, key, sampling, n):
    """Neutral prompts (n, p); of a half, so many are drawn that too few are next to impossible."""
    carrier, length = CARRIERS[sampling.carrier], 1 + given(sampling)
    if sampling.prompts == "all":
        return carrier.draw(world, key, n)[:, :length]
    drawn = carrier.draw(world, key, 4 * n + 64)[:, :length]
    other = hashed(drawn) % 2 != (sampling.prompts == "second half")
    return drawn[jnp.argsort(other, stable=True)][:n]


def hashed(prompts):
    """A number (n,), uint32, for each of some prompts (n, p): equal prompts have equal ones."""
    number = jnp.zeros(len(prompts), jnp.uint32)
    for token in prompts.T:  # FNV-1a, and then its high bits into its low ones
        number = (number ^ token.astype(jnp.uint32)) * jnp.uint32(16777619)
        number ^= number >> 15
    return number


def rejections(world, docs, sampling):
    """Why the filter rejects documents: reason -> boolean (n,); never two reasons for one."""
    by_level, reasons = CARRIERS[sampling.carrier].rejections(world, docs), {}
    for level in LEVELS[1 : 1 + LEVELS.index(sampling.filter)]:
        reasons |= by_level[level]
    return reasons


def rejected(world, docs, sampling):
    """Whether the filter rejects each document (n,)."""
    reasons = rejections(world, docs, sampling).values()
    return sum(reasons, jnp.zeros(len(docs), int)) > 0


def keep_valid(world, docs, sampling):
    """The documents, valid ones first, in order; their count; the fraction of each rejection."""
    reasons = rejections(world, docs, sampling)
    bad = rejected(world, docs, sampling)
    fractions = {name: jnp.mean(flag) for name, flag in reasons.items()}
    return docs[jnp.argsort(bad, stable=True)], jnp.sum(~bad), fractions
