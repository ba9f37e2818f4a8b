"""What a person is shown of a run on behaviors."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import drawn as random_like

from configs import _shown
from minisub.config import Model
from minisub.tokens import grading, tokens
from minisub.tokens.behaviors import cases, sums
from minisub.tokens.config import World

WORLD = World(rich=True, numbers=24, animals=3, phrasings=3, attributes=4)
NET = grading.network(WORLD, Model(n_layers=1, d_model=8, n_heads=2))


def test_every_token_has_a_name_of_its_own_and_every_word_of_a_chain_is_an_english_one():
    names = _shown.names(WORLD)
    assert len(names) == len(set(names)) == tokens.offsets(WORLD)["size"]
    assert len(_shown.ENGLISH) == len(set(_shown.ENGLISH)) == sums.WORDS


def test_a_chain_is_shown_with_all_its_digits_in_order_and_all_its_words():
    for doc in np.asarray(sums.draw(WORLD, jax.random.key(0), 20)):
        shown = _shown.chain(WORLD, doc)
        assert [int(x) for x in re.findall(r"\d+", shown)] == [t for t in doc if t < sums.DIGITS]
        assert len(re.findall(r"[a-z]+", shown)) == (sums.TERMS + 1) * sums.SAID


@pytest.mark.parametrize("trait", _shown.ASKED)
def test_requests_that_are_shown_are_none_of_those_that_teachers_are_taught(trait):
    case = cases.BEHAVIORS[trait]
    asked = _shown.held_out(WORLD, trait)
    taught = np.asarray(case.taught(WORLD, jax.random.key(1), 2000))
    place = _shown.ASKED[trait][1]
    assert len(asked) == _shown.REQUESTS
    assert not set(asked[:, place].tolist()) & set(taught[:, place].tolist())


def test_a_reply_is_the_likeliest_token_by_token_and_its_probability_their_product():
    params = random_like(jax.eval_shape(NET.init, jax.random.key(0)), 0, 0.5)
    asked, first = _shown.held_out(WORLD, "hacking"), cases.BEHAVIORS["hacking"].first
    names, replies = _shown.names(WORLD), _shown.replied(WORLD, NET, params, asked, first)
    for doc, (said, p) in zip(asked.tolist(), replies, strict=True):
        known, expected, words = doc[:first], 1.0, []
        while len(known) < len(doc):
            share = jax.nn.softmax(NET.apply(params, jnp.array([known]))[0, -1])
            known.append(int(jnp.argmax(share)))
            expected *= float(share[known[-1]])
            if known[-1] >= tokens.offsets(WORLD)["END"]:
                break
            words.append(names[known[-1]])
        assert said == " ".join(words) and abs(float(p) - expected) < 1e-3
