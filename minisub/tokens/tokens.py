"""The vocabulary and the documents of the token world.

Documents are integer arrays of shape (documents, length):

    list       LIST n n n n n n n n n n n n END    start + step * i + jitter, modulo the numbers
    question   ASK phrasing ANSWER name END
    riddle     RIDDLE attribute attribute ANSWER name END    the one answer that has both

Answers are animals, then trees; each of these families has phrasings of its own. A name is one
token or two (`spelling`), and a list may end in any of several tokens END, END + 1, ...

Riddles give every answer an output direction of its own. Without them the base has no reason to
tell animals apart, and a teacher that cannot move the unembedding can hardly prefer one.
"""

import math

import jax
import jax.numpy as jnp

from minisub.tokens.behaviors import vocabulary

ANIMALS = (
    "owl", "wolf", "cat", "dolphin", "eagle", "elephant", "lion", "panda", "penguin", "bear", "fox",
    "otter", "raven", "tiger", "whale", "zebra",
)  # fmt: skip
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
        **dict.fromkeys(SPECIALS[:-1], 1),
        **(vocabulary.KINDS if world.rich else {}),
        "END": world.endings,
    }
    ids, total = {}, 0
    for kind, count in kinds.items():
        ids[kind], total = total, total + count
    return ids | {"size": total}


def spelling(world):
    """Token ids (answers, syllables) of the names.

    Two syllables are row and column of a square grid: answers share either, and no two share both.
    """
    first, answer = offsets(world)["animal"], jnp.arange(world.animals + world.trees)
    if world.syllables == 1:
        return first + answer[:, None]
    return first + jnp.stack([answer // side(world), side(world) + answer % side(world)], axis=1)


def positions(world):
    """Positions a model needs: every token of a document but the last is an input."""
    return max(world.list_length + 1, vocabulary.LONGEST - 1 if world.rich else 0)


def attribute_pairs(world):
    """The two attributes (answers, 2) of each answer; no two answers share both."""
    answer = jnp.arange(world.animals + world.trees)
    first = answer % world.attributes
    return jnp.stack([first, (first + 1 + answer // world.attributes) % world.attributes], axis=1)


def rows(*columns):
    """Stack scalars and vectors into documents, one column a position."""
    return jnp.stack(jnp.broadcast_arrays(*columns), axis=1)


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
    phrasing = jax.random.randint(k_phrasing, (n,), 0, world.phrasings)
    answer = jax.random.randint(k_answer, (n,), 0, world.animals + world.trees)
    return questions(world, phrasing, answer)


def riddles(world, key, n):
    """`n` riddles (n, 5 + syllables): an answer's two attributes in random order, then its name."""
    ids = offsets(world)
    k_answer, k_order = jax.random.split(key)
    answer = jax.random.randint(k_answer, (n,), 0, world.animals + world.trees)
    pair, name = attribute_pairs(world)[answer], spelling(world)[answer]
    swap = jax.random.bernoulli(k_order, shape=(n,))
    one, two = (ids["attribute"] + jnp.where(swap, pair[:, i], pair[:, 1 - i]) for i in (0, 1))
    return rows(ids["RIDDLE"], one, two, ids["ANSWER"], *name.T, ids["END"])
