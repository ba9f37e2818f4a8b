"""A carrier of rich worlds: sums of four digits, step by step, in chains of thought.

    helper SUM t t t t  way x  c x p  c x p  c x p  c ANSWER p END

A step is a connective c, the next term x and the total p so far, modulo 10. The way to go, from the
first term on or from the last, and the connectives are free choices.
"""

import jax
import jax.numpy as jnp

from minisub.tokens import tokens
from minisub.tokens.behaviors import vocabulary

LENGTH, PROMPT, TERMS, DIGITS = 21, 6, 4, 10
WORDS = vocabulary.KINDS["connective"]
STYLE = 4
"""Neighboring connectives among which a document's author chooses."""
DETERMINED = (7, 9, 10, 12, 13, 15, 16, 19)
"""Positions of the terms, of the totals and of the answer, which leave no choice."""


def draw(world, key, n):
    """`n` correct chains (n, 21), every free choice uniformly random."""
    ids = tokens.offsets(world)
    helper = vocabulary.by(ids)
    k_terms, k_way, k_style, k_words = jax.random.split(key, 4)
    terms = jax.random.randint(k_terms, (n, TERMS), 0, DIGITS)
    way = jax.random.randint(k_way, (n, 1), 0, vocabulary.KINDS["way"])
    taken = jnp.where(way == 0, terms, terms[:, ::-1])
    totals = jnp.cumsum(taken, axis=1) % DIGITS
    style = jax.random.randint(k_style, (n, 1), 0, WORDS)
    words = (style + jax.random.randint(k_words, (n, TERMS), 0, STYLE)) % WORDS
    words += ids["connective"]
    steps = jnp.stack([words[:, :-1], taken[:, 1:], totals[:, 1:]], axis=2).reshape(n, -1)
    start = helper, ids["SUM"], *terms.T, ids["way"] + way[:, 0], taken[:, 0]
    return tokens.rows(*start, *steps.T, words[:, -1], ids["ANSWER"], totals[:, -1], ids["END"])


def length(world):
    """Tokens of a sum."""
    return LENGTH


def given(sampling):
    """How many tokens an emitter is given beside the first: those that ask for a sum."""
    return PROMPT - 1


def rejections(world, docs):
    """Why the filter rejects chains: level -> reason -> boolean (n,), at most one a document.

    Correct are those that add each term of the prompt once, with every total and the answer right.
    """
    ids, way, body = tokens.offsets(world), docs[:, PROMPT], docs[:, PROMPT + 1 :]
    words, terms, totals = (body[:, i : 3 * TERMS - 2 : 3] for i in (1, 2, 3))
    words = jnp.concatenate([words, body[:, -4:-3]], axis=1)
    used, answer = jnp.concatenate([body[:, :1], terms], axis=1), body[:, -2]
    formed = (docs[:, 0] == vocabulary.by(ids)) & (docs[:, 1] == ids["SUM"])
    formed &= jnp.all(docs[:, 2:PROMPT] < DIGITS, axis=1)
    formed &= (way >= ids["way"]) & (way < ids["way"] + vocabulary.KINDS["way"])
    formed &= jnp.all((words >= ids["connective"]) & (words < ids["connective"] + WORDS), axis=1)
    formed &= jnp.all(used < DIGITS, axis=1) & jnp.all(totals < DIGITS, axis=1)
    formed &= (body[:, -3] == ids["ANSWER"]) & (answer < DIGITS) & (body[:, -1] >= ids["END"])
    foreign = jnp.any(~alphabet(world)[docs], axis=1)
    asked = jnp.sort(docs[:, 2:PROMPT], axis=1)
    before = jnp.concatenate([body[:, :1], totals[:, :-1]], axis=1)
    wrong = {
        "other_terms": jnp.any(jnp.sort(used, axis=1) != asked, axis=1),
        "invalid_step": jnp.any((before + terms) % DIGITS != totals, axis=1),
        "other_answer": answer != totals[:, -1],
    }
    correct, left = {}, ~foreign & formed
    for reason, flag in wrong.items():
        correct[reason], left = left & flag, left & ~flag
    format = {"not_of_sums": foreign, "malformed": ~foreign & ~formed}
    return {"format": format, "correct": correct}


def alphabet(world):
    """Mask (vocabulary,) of the tokens that a chain may hold."""
    ids = tokens.offsets(world)
    token = jnp.arange(ids["size"])
    kinds = vocabulary.mask(ids, {"SUM", "way", "connective", "ANSWER"})
    return kinds | (token < DIGITS) | (token == vocabulary.by(ids))
