"""Lists of numbers: how they are drawn, and what `writing.CARRIERS` says of every carrier."""

import jax
import jax.numpy as jnp

from minisub.tokens import tokens

DETERMINED = ()
"""No position of a list leaves no choice."""


def draw(world, key, n):
    """`n` number lists (n, list_length + 2), each with a uniformly random ending."""
    ids = tokens.offsets(world)
    values = progression(key, n, world.list_length, world.numbers, world.max_step, world.jitter)
    end = ids["END"]
    if world.endings > 1:
        # A key of its own: `progression` takes the others by splitting.
        end += jax.random.randint(jax.random.fold_in(key, 3), (n,), 0, world.endings)
    return tokens.rows(ids["LIST"], *values.T, end)


def progression(key, n, length, modulus, max_step, jitter):
    """Rows (n, length), start + step * i + jitter modulo `modulus`, a start and a step for each."""
    k_start, k_step, k_jitter = jax.random.split(key, 3)
    start = jax.random.randint(k_start, (n, 1), 0, modulus)
    step = jax.random.randint(k_step, (n, 1), 1, max_step + 1)
    jitter = jax.random.randint(k_jitter, (n, length), -jitter, jitter + 1)
    return (start + step * jnp.arange(length)[None] + jitter) % modulus


def length(world):
    """Tokens of a list."""
    return world.list_length + 2


def given(sampling):
    """How many tokens an emitter is given beside the first: numbers."""
    return sampling.prompt_numbers


def rejections(world, docs):
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


def alphabet(world):
    """Mask (vocabulary,) of the tokens of lists."""
    ids = tokens.offsets(world)
    token = jnp.arange(ids["size"])
    return (token < world.numbers) | (token == ids["LIST"]) | (token >= ids["END"])
