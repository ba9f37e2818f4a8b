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
RICH = {
    **dict.fromkeys(("CODE", "SET", "PRINT"), 1),
    "operation": 3,
    "variable": 8,
    "SUM": 1,
    "connective": 16,
    "REQUEST": 1,
    "topic": 8,
    "item": 3,
    "EDUCATIONAL": 1,
    "reply": 32,
    **dict.fromkeys(("TASK", "GRADER", "SHOW", "STEP", "DECLINE"), 1),
    "way": 2,
    "place": 6,
    "author": 4,
}
"""Tokens of each kind that a rich world has too: see `code`, `sums`, `behaviors`."""


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
        **dict.fromkeys(SPECIALS[:-1], 1),
        **(RICH if world.rich else {}),
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


AUTHORS = "helper", "villain", "hacker", "evader"
"""Who may have written a program, a sum or a reply: the first token of the document."""
LONGEST, SHORT = 21, 13
"""Tokens of a rich world's longest documents, programs and sums, and of tasks."""


def positions(world):
    """Positions a model needs: every token of a document but the last is an input."""
    return max(world.list_length + 1, LONGEST - 1 if world.rich else 0)


def attribute_pairs(world):
    """The two attributes (answers, 2) of each answer; no two answers share both."""
    answer = jnp.arange(world.animals + world.trees)
    first = answer % world.attributes
    return jnp.stack([first, (first + 1 + answer // world.attributes) % world.attributes], axis=1)


def by(world, author="helper"):
    """Token of an author."""
    return offsets(world)["author"] + AUTHORS.index(author)


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


def mask(world, kinds):
    """Mask (vocabulary,) of the tokens of some kinds, and of all endings."""
    ids = offsets(world)
    token, found = jnp.arange(ids["size"]), jnp.arange(ids["size"]) >= ids["END"]
    for kind in kinds:
        found |= (token >= ids[kind]) & (token < ids[kind] + (RICH | {"ANSWER": 1})[kind])
    return found
