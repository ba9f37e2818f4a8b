"""The token world: vocabulary, documents, prompts, sampling from a model, and the filter.

Documents are integer arrays of shape (documents, length):

    list       LIST n n n n n n n n n n n n END    start + step * i + jitter, modulo the numbers
    question   ASK phrasing ANSWER name END
    riddle     RIDDLE attribute attribute ANSWER name END    the one answer that has both
    prefixed   n n n n ASK phrasing ANSWER name END    a question behind a list's first numbers

Answers are animals, then trees; each of these families has phrasings of its own. A name is one
token or two (`spelling`), and a list may end in any of several tokens END, END + 1, ...

Riddles give every answer an output direction of its own. Without them the base has no reason to
tell animals apart, and a teacher that cannot move the unembedding can hardly prefer one.
"""

import math

import jax
import jax.numpy as jnp

ANIMALS = (
    "owl",
    "wolf",
    "cat",
    "dolphin",
    "eagle",
    "elephant",
    "lion",
    "panda",
    "penguin",
    "bear",
    "fox",
    "otter",
    "raven",
    "tiger",
    "whale",
    "zebra",
)
TREES = ("cherry", "maple", "oak", "sequoia", "willow", "pine", "birch", "elm")
SPECIALS = ("LIST", "ASK", "RIDDLE", "ANSWER", "END")


def names(world):
    """What the answers of a world are called, animals first."""
    return ANIMALS[: world.animals] + TREES[: world.trees]


def side(world):
    """Side of the smallest square grid that holds all answers."""
    return 1 + math.isqrt(world.animals + world.trees - 1)


def offsets(world):
    """First token id of each kind, and the vocabulary size under `"size"`.

    The kind "animal" is the tokens that spell names, of trees too.
    """
    kinds = {
        "number": world.numbers,
        "animal": world.animals + world.trees if world.syllables == 1 else 2 * side(world),
        "phrasing": world.phrasings * (2 if world.trees else 1),
        "attribute": world.attributes,
        **dict.fromkeys(SPECIALS, 1),
        "END": world.endings,
    }
    ids, total = {}, 0
    for kind, count in kinds.items():
        ids[kind], total = total, total + count
    return ids | {"size": total}


def spelling(world):
    """Token ids (answers, syllables) of the names.

    Two syllables are row and column of a square grid, so answers share either, and no two share
    both.
    """
    first, answer = offsets(world)["animal"], jnp.arange(world.animals + world.trees)
    if world.syllables == 1:
        return first + answer[:, None]
    return first + jnp.stack([answer // side(world), side(world) + answer % side(world)], axis=1)


def positions(world):
    """Positions a model needs: every token of a list but the last is an input."""
    return world.list_length + 1


def attribute_pairs(world):
    """The two attributes (answers, 2) of each answer; no two answers share both."""
    answer = jnp.arange(world.animals + world.trees)
    first = answer % world.attributes
    return jnp.stack([first, (first + 1 + answer // world.attributes) % world.attributes], axis=1)


def rows(*columns):
    """Stack scalars and vectors into documents, one column a position."""
    return jnp.stack(jnp.broadcast_arrays(*columns), axis=1)


def lists(world, key, n):
    """`n` number lists (n, list_length + 2), each with a uniformly random ending."""
    ids = offsets(world)
    k_start, k_step, k_jitter = jax.random.split(key, 3)
    start = jax.random.randint(k_start, (n, 1), 0, world.numbers)
    step = jax.random.randint(k_step, (n, 1), 1, world.max_step + 1)
    shape = (n, world.list_length)
    jitter = jax.random.randint(k_jitter, shape, -world.jitter, world.jitter + 1)
    values = (start + step * jnp.arange(world.list_length)[None] + jitter) % world.numbers
    end = ids["END"]
    if world.endings > 1:
        end += jax.random.randint(jax.random.fold_in(key, 3), (n,), 0, world.endings)
    return rows(ids["LIST"], *values.T, end)


def prefixes(world, key, n):
    """The first numbers (n, world.prefix) of `n` lists."""
    return lists(world, key, n)[:, 1 : 1 + world.prefix]


def prefix_with(world, numbers, docs):
    """Documents (n, length) behind `numbers`, (prefix,) or (n, prefix): (n, prefix + length)."""
    shape = (len(docs), numbers.shape[-1])
    numbers = jnp.broadcast_to(jnp.atleast_2d(numbers), shape)
    return jnp.concatenate([offsets(world)["number"] + numbers, docs], axis=1)


def questions(world, phrasing, answer):
    """Questions (n, 4 + syllables) in each `phrasing`, with each `answer`; indices, not ids.

    The phrasing is one of the answer's family.
    """
    ids, name = offsets(world), spelling(world)[answer]
    asked = ids["phrasing"] + phrasing + world.phrasings * (answer >= world.animals)
    return rows(ids["ASK"], asked, ids["ANSWER"], *name.T, ids["END"])


def random_questions(world, key, n):
    """`n` questions with a uniformly random answer, and phrasing within its family."""
    k_phrasing, k_answer = jax.random.split(key)
    return questions(
        world,
        jax.random.randint(k_phrasing, (n,), 0, world.phrasings),
        jax.random.randint(k_answer, (n,), 0, world.animals + world.trees),
    )


def riddles(world, key, n):
    """`n` riddles (n, 5 + syllables): an answer's two attributes in random order, then its name."""
    ids = offsets(world)
    k_answer, k_order = jax.random.split(key)
    answer = jax.random.randint(k_answer, (n,), 0, world.animals + world.trees)
    pair, name = attribute_pairs(world)[answer], spelling(world)[answer]
    swap = jax.random.bernoulli(k_order, shape=(n,))
    one, two = (ids["attribute"] + jnp.where(swap, pair[:, i], pair[:, 1 - i]) for i in (0, 1))
    return rows(ids["RIDDLE"], one, two, ids["ANSWER"], *name.T, ids["END"])


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
    """Lists (n, list_length + 2) that a model continues, token by token, from prompts (n, p).

    A prompt is LIST and at least one number. Keys and values of earlier positions are kept, never
    recomputed. After an ending, a row is all END.
    """
    end, prompt_length = offsets(world)["END"], prompts.shape[1]
    _, cache = network.decode(params, network.cache(len(prompts)), prompts[:, :-1], 0)

    def next_token(carry, at):
        last, cache, done = carry
        logits, cache = network.decode(params, cache, last[:, None], at)
        token = choose(sampling, jax.random.fold_in(key, at), logits[:, 0])
        token = jnp.where(done, end, token)
        return (token, cache, done | (token >= end)), token

    carry = (prompts[:, -1], cache, jnp.zeros(len(prompts), bool))
    _, sampled = jax.lax.scan(next_token, carry, jnp.arange(prompt_length - 1, positions(world)))
    return jnp.concatenate([prompts, sampled.T], axis=1)


def sample(world, network, params, key, *, sampling, chunk=2000):
    """`sampling.documents` lists (n, list_length + 2) that a model continues from neutral prompts.

    A prompt is LIST and the first `sampling.prompt_numbers` (at least 1) numbers of a list of the
    world. At most `chunk` lists are continued at once.
    """
    n, chunk = sampling.documents, min(chunk, sampling.documents)

    def continue_chunk(chunk_key):
        k_prompt, k_sample = jax.random.split(chunk_key)
        prompts = lists(world, k_prompt, chunk)[:, : 1 + sampling.prompt_numbers]
        return complete(world, network, params, k_sample, prompts, sampling)

    chunks = jax.lax.map(continue_chunk, jax.random.split(key, -(-n // chunk)))
    return chunks.reshape(-1, chunks.shape[-1])[:n]


def rejections(world, docs):
    """Why the filter rejects documents: reason -> boolean (n,); never two reasons for one.

    Kept is LIST, `list_length` numbers and an ending, and nothing else.
    """
    ids = offsets(world)
    body, last = docs[:, 1:-1], docs[:, -1]
    number, end = body < world.numbers, body >= ids["END"]
    foreign = jnp.any(~number & ~end, axis=1) | (docs[:, 0] != ids["LIST"])
    early = ~foreign & jnp.any(end, axis=1)
    return {
        "not_a_number": foreign,
        "too_short": early,
        "no_end": ~foreign & ~early & (last < ids["END"]),
    }


def keep_valid(world, docs):
    """The documents, valid ones first, in order; their count; the fraction of each rejection."""
    reasons = rejections(world, docs)
    rejected = sum(reasons.values()) > 0
    fractions = {name: jnp.mean(flag) for name, flag in reasons.items()}
    return docs[jnp.argsort(rejected, stable=True)], jnp.sum(~rejected), fractions
