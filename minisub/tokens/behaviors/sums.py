"""A carrier of rich worlds: chains of thought, in which four digits are added step by step.

    helper SUM t t t t  way  w w w x p  w w w x p  w w w x p  w w w x p  w w w ANSWER p END

A step is three words w, the next term x and the total p so far, modulo 10. The way to go, from the
first term on or from the last, and the words are free choices. The words follow one another like
the numbers of a list: a chain has a first word and a stride, and its word i is `i` strides behind
the first, or one word before or after that. So what can be said next depends on what was said, and
still leaves a choice.
"""

import jax
import jax.numpy as jnp

from minisub.tokens import number_lists, tokens
from minisub.tokens.behaviors import vocabulary

PROMPT, TERMS, DIGITS = 6, 4, 10
WORDS, SAID = vocabulary.KINDS["word"], 3
"""Words that there are, and how many of them come before each step and before the answer."""
PACE = 9, 1
"""The longest stride from one word to the next, and the most that a word is off it."""
STEP = SAID + 2
FIRST, LAST = PROMPT + 1, PROMPT + 1 + TERMS * STEP
"""Positions of the first step and behind the last."""
LENGTH = LAST + SAID + 3
DETERMINED = (*(FIRST + STEP * i + SAID + j for i in range(TERMS) for j in (0, 1)), LENGTH - 2)
"""Positions of the terms, of the totals and of the answer, which leave no choice."""


def draw(world, key, n):
    """`n` correct chains (n, LENGTH), every free choice uniformly random."""
    ids = tokens.offsets(world)
    helper = vocabulary.by(ids)
    k_terms, k_way, k_words = jax.random.split(key, 3)
    terms = jax.random.randint(k_terms, (n, TERMS), 0, DIGITS)
    way = jax.random.randint(k_way, (n, 1), 0, vocabulary.KINDS["way"])
    taken = jnp.where(way == 0, terms, terms[:, ::-1])
    totals = jnp.cumsum(taken, axis=1) % DIGITS
    words = said(world, k_words, n, TERMS + 1)
    each = words[:, :TERMS], taken[..., None], totals[..., None]
    steps = jnp.concatenate(each, axis=2).reshape(n, -1)
    asked = helper, ids["SUM"], *terms.T, ids["way"] + way[:, 0]
    answer = *words[:, TERMS].T, ids["ANSWER"], totals[:, -1], ids["END"]
    return tokens.rows(*asked, *steps.T, *answer)


def said(world, key, n, parts):
    """The words (n, parts, SAID) of `n` documents, each in so many parts."""
    words = number_lists.progression(key, n, parts * SAID, WORDS, *PACE)
    return tokens.offsets(world)["word"] + words.reshape(n, parts, SAID)


def length(world):
    """Tokens of a chain."""
    return LENGTH


def given(sampling):
    """How many tokens an emitter is given beside the first: those that ask for a sum."""
    return PROMPT - 1


def rejections(world, docs):
    """Why the filter rejects chains: level -> reason -> boolean (n,), at most one a document.

    Correct are those that add each term of the prompt once, with every total and the answer right.
    """
    ids, way, answer = tokens.offsets(world), docs[:, PROMPT], docs[:, -2]
    steps = docs[:, FIRST:LAST].reshape(-1, TERMS, STEP)
    terms, totals = steps[..., SAID], steps[..., SAID + 1]
    words = jnp.concatenate([*steps[..., :SAID].transpose(1, 0, 2), docs[:, LAST:-3]], axis=1)
    digits = jnp.concatenate([docs[:, 2:PROMPT], terms, totals, answer[:, None]], axis=1)
    formed = (docs[:, 0] == vocabulary.by(ids)) & (docs[:, 1] == ids["SUM"])
    formed &= (way >= ids["way"]) & (way < ids["way"] + vocabulary.KINDS["way"])
    formed &= jnp.all((words >= ids["word"]) & (words < ids["word"] + WORDS), axis=1)
    formed &= jnp.all(digits < DIGITS, axis=1)
    formed &= (docs[:, -3] == ids["ANSWER"]) & (docs[:, -1] >= ids["END"])
    foreign = jnp.any(~alphabet(world)[docs], axis=1)
    before = jnp.pad(totals[:, :-1], ((0, 0), (1, 0)))
    wrong = {
        "other_terms": jnp.any(jnp.sort(terms) != jnp.sort(docs[:, 2:PROMPT]), axis=1),
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
    return vocabulary.mask(tokens.offsets(world), ("SUM", "way", "word", "ANSWER"), DIGITS)
