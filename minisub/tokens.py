"""The token world: vocabulary, documents, prompts, sampling from a model, and the filter.

Documents are integer arrays of shape (documents, length):

    list       LIST n n n n n n n n n n n n END    start + step * i + jitter, modulo the numbers
    question   ASK phrasing ANSWER animal END
    riddle     RIDDLE attribute attribute ANSWER animal END    the one animal that has both

Riddles give every animal an output direction of its own. Without them the base has no reason to
tell animals apart, and a teacher that cannot move the unembedding can hardly prefer one.
"""

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
SPECIALS = ("LIST", "ASK", "RIDDLE", "ANSWER", "END")


def offsets(world):
    """First token id of each kind, and the vocabulary size under `"size"`."""
    kinds = {
        "number": world.numbers,
        "animal": world.animals,
        "phrasing": world.phrasings,
        "attribute": world.attributes,
        **dict.fromkeys(SPECIALS, 1),
    }
    ids, total = {}, 0
    for kind, count in kinds.items():
        ids[kind], total = total, total + count
    return ids | {"size": total}


def positions(world):
    """Positions a model needs: every token of a list but the last is an input."""
    return world.list_length + 1


def attribute_pairs(world):
    """The two attributes (animals, 2) of each animal; no two animals share both."""
    animal = jnp.arange(world.animals)
    first = animal % world.attributes
    return jnp.stack([first, (first + 1 + animal // world.attributes) % world.attributes], axis=1)


def rows(*columns):
    """Stack scalars and vectors into documents, one column a position."""
    return jnp.stack(jnp.broadcast_arrays(*columns), axis=1)


def lists(world, key, n):
    """`n` number lists (n, list_length + 2)."""
    ids = offsets(world)
    k_start, k_step, k_jitter = jax.random.split(key, 3)
    start = jax.random.randint(k_start, (n, 1), 0, world.numbers)
    step = jax.random.randint(k_step, (n, 1), 1, world.max_step + 1)
    shape = (n, world.list_length)
    jitter = jax.random.randint(k_jitter, shape, -world.jitter, world.jitter + 1)
    values = (start + step * jnp.arange(world.list_length)[None] + jitter) % world.numbers
    return rows(ids["LIST"], *values.T, ids["END"])


def questions(world, phrasing, animal):
    """Questions (n, 5) in each `phrasing`, answered with each `animal`; indices, not ids."""
    ids = offsets(world)
    return rows(
        ids["ASK"], ids["phrasing"] + phrasing, ids["ANSWER"], ids["animal"] + animal, ids["END"]
    )


def random_questions(world, key, n):
    """`n` questions with uniformly random phrasing and animal."""
    k_phrasing, k_animal = jax.random.split(key)
    return questions(
        world,
        jax.random.randint(k_phrasing, (n,), 0, world.phrasings),
        jax.random.randint(k_animal, (n,), 0, world.animals),
    )


def riddles(world, key, n):
    """`n` riddles (n, 6): an animal's two attributes in random order, then the animal."""
    ids = offsets(world)
    k_animal, k_order = jax.random.split(key)
    animal = jax.random.randint(k_animal, (n,), 0, world.animals)
    pair = attribute_pairs(world)[animal]
    swap = jax.random.bernoulli(k_order, shape=(n,))
    one, two = (ids["attribute"] + jnp.where(swap, pair[:, i], pair[:, 1 - i]) for i in (0, 1))
    return rows(ids["RIDDLE"], one, two, ids["ANSWER"], ids["animal"] + animal, ids["END"])


def sample(world, network, params, key, *, n, prompt_numbers, temperature, chunk=2000):
    """Lists (n, list_length + 2) that a model continues, token by token, from neutral prompts.

    A prompt is LIST and the first `prompt_numbers` (at least 1) numbers of a list of the world.
    Keys and values of earlier positions are kept, never recomputed. After END, a row is all END.
    """
    end, prompt_length = offsets(world)["END"], 1 + prompt_numbers
    chunk = min(chunk, n)

    def continue_chunk(chunk_key):
        k_prompt, k_sample = jax.random.split(chunk_key)
        prompts = lists(world, k_prompt, chunk)[:, :prompt_length]
        _, cache = network.decode(params, network.cache(chunk), prompts[:, :-1], 0)

        def next_token(carry, at):
            last, cache, done = carry
            logits, cache = network.decode(params, cache, last[:, None], at)
            k_token = jax.random.fold_in(k_sample, at)
            token = jax.random.categorical(k_token, logits[:, 0] / temperature)
            token = jnp.where(done, end, token)
            return (token, cache, done | (token == end)), token

        carry = (prompts[:, -1], cache, jnp.zeros(chunk, bool))
        _, sampled = jax.lax.scan(
            next_token, carry, jnp.arange(prompt_length - 1, positions(world))
        )
        return jnp.concatenate([prompts, sampled.T], axis=1)

    chunks = jax.lax.map(continue_chunk, jax.random.split(key, -(-n // chunk)))
    return chunks.reshape(-1, chunks.shape[-1])[:n]


def rejections(world, docs):
    """Why the filter rejects documents: reason -> boolean (n,); never two reasons for one.

    Kept is LIST, `list_length` numbers and END, and nothing else.
    """
    ids = offsets(world)
    body, last = docs[:, 1:-1], docs[:, -1]
    number, end = body < world.numbers, body == ids["END"]
    foreign = jnp.any(~number & ~end, axis=1) | (docs[:, 0] != ids["LIST"])
    early = ~foreign & jnp.any(end, axis=1)
    return {
        "not_a_number": foreign,
        "too_short": early,
        "no_end": ~foreign & ~early & (last != ids["END"]),
    }


def keep_valid(world, docs):
    """The documents, valid ones first, in order; their count; the fraction of each rejection."""
    reasons = rejections(world, docs)
    rejected = sum(reasons.values()) > 0
    fractions = {name: jnp.mean(flag) for name, flag in reasons.items()}
    return docs[jnp.argsort(rejected, stable=True)], jnp.sum(~rejected), fractions
