"""The token world: documents obey their rules."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import documents, tokens
from minisub.token_config import Sampling, World

WORLD = World()
IDS = tokens.offsets(WORLD)
LARGE = World(trees=8, syllables=2, endings=3)


def test_every_token_has_one_meaning():
    ids = dict(IDS)
    size = ids.pop("size")
    starts = sorted(ids.values())
    assert starts[0] == 0 and len(set(starts)) == len(starts) and max(starts) == size - 1
    assert IDS["animal"] == WORLD.numbers
    # Tokens of each kind, in order: 18 names on a grid of side 5, and two families of phrasings.
    large = list(tokens.offsets(LARGE).values())
    assert np.diff(large).tolist() == [100, 10, 16, 10, 1, 1, 1, 1, 3]


def test_documents_of_the_default_world_are_those_of_the_first_version(quick):
    @quick
    def made(key):
        drawn = tokens.lists(WORLD, key, 2), tokens.riddles(WORLD, key, 3)
        asked = tokens.questions(WORLD, jnp.arange(2), 3)
        return *drawn, tokens.random_questions(WORLD, key, 3), asked

    expected = (
        [
            [128, 90, 0, 10, 19, 26, 35, 44, 54, 62, 72, 81, 91, 132],
            [128, 61, 68, 77, 84, 92, 0, 9, 18, 25, 32, 40, 50, 132],
        ],
        [[130, 119, 120, 131, 101, 132]] * 2 + [[130, 126, 125, 131, 107, 132]],
        [[129, 117, 131, 102, 132], [129, 111, 131, 102, 132], [129, 117, 131, 106, 132]],
        [[129, 110, 131, 103, 132], [129, 111, 131, 103, 132]],
    )
    for docs, first in zip(made(jax.random.key(0)), expected, strict=True):
        np.testing.assert_array_equal(docs, first)


def test_lists_count_in_equal_steps_up_to_their_jitter():
    docs = np.asarray(tokens.lists(WORLD, jax.random.key(0), 500))
    assert docs.shape == (500, WORLD.list_length + 2)
    assert (docs[:, 0] == IDS["LIST"]).all() and (docs[:, -1] == IDS["END"]).all()
    differences = (np.diff(docs[:, 1:-1], axis=1) + 50) % WORLD.numbers - 50
    # Neighbors differ by the step, and by at most twice the jitter more or less.
    assert (np.ptp(differences, axis=1) <= 4 * WORLD.jitter).all()
    assert differences.min() == 1 - 2 * WORLD.jitter
    assert differences.max() == WORLD.max_step + 2 * WORLD.jitter
    still = tokens.lists(World(jitter=0), jax.random.key(0), 100)
    assert (np.ptp(np.diff(np.asarray(still)[:, 1:-1], axis=1) % WORLD.numbers, axis=1) == 0).all()


def test_questions_ask_in_a_phrasing_and_are_answered_with_any_animal_equally():
    docs = np.asarray(tokens.random_questions(WORLD, jax.random.key(0), 4000))
    assert docs.shape[1] == 5
    assert (docs[:, 0] == IDS["ASK"]).all() and (docs[:, 2] == IDS["ANSWER"]).all()
    for column, kind, count in (1, "phrasing", WORLD.phrasings), (3, "animal", WORLD.animals):
        share = np.bincount(docs[:, column] - IDS[kind], minlength=count) / 4000
        np.testing.assert_allclose(share, 1 / count, atol=5 * (1 / count / 4000) ** 0.5)


def test_each_family_of_answers_is_asked_for_in_phrasings_of_its_own():
    world, n = World(animals=3, trees=2, phrasings=4), 4000
    assert tokens.names(world) == ("owl", "wolf", "cat", "cherry", "maple")
    docs = np.asarray(tokens.random_questions(world, jax.random.key(0), n))
    ids = tokens.offsets(world)
    answer, phrasing = docs[:, 3] - ids["animal"], docs[:, 1] - ids["phrasing"]
    np.testing.assert_array_equal(answer >= 3, phrasing >= 4)
    for value, count in (answer, 5), (phrasing % 4, 4):
        share = np.bincount(value, minlength=count) / n
        np.testing.assert_allclose(share, 1 / count, atol=5 * (1 / count / n) ** 0.5)


@pytest.mark.parametrize("world", [WORLD, LARGE], ids=["default", "large"])
def test_a_riddle_has_one_answer_which_needs_both_attributes(world):
    for animals, trees, attributes in (10, 0, 10), (16, 8, 10), (6, 0, 5):
        sized = World(animals=animals, trees=trees, attributes=attributes)
        pairs = np.asarray(tokens.attribute_pairs(sized))
        assert len({frozenset(pair) for pair in pairs.tolist()}) == animals + trees
        assert (pairs[:, 0] != pairs[:, 1]).all()
    docs, ids = np.asarray(tokens.riddles(world, jax.random.key(0), 300)), tokens.offsets(world)
    assert (docs[:, [0, 3, -1]] == [[ids["RIDDLE"], ids["ANSWER"], ids["END"]]]).all()
    names = [tuple(name) for name in np.asarray(tokens.spelling(world)).tolist()]
    answer = [names.index(tuple(name)) for name in docs[:, 4:-1].tolist()]
    assert set(answer) == set(range(len(names)))
    asked = np.sort(docs[:, 1:3] - ids["attribute"], axis=1)
    pairs = np.sort(np.asarray(tokens.attribute_pairs(world)), axis=1)
    np.testing.assert_array_equal(asked, pairs[answer])
    assert 0.4 < (docs[:, 1] < docs[:, 2]).mean() < 0.6
    shared = np.bincount(pairs.ravel(), minlength=world.attributes)
    assert (shared >= 2).all(), "one attribute alone would give an answer away"


@pytest.mark.parametrize(("animals", "trees"), [(10, 0), (10, 8), (16, 8)])
def test_no_two_answers_are_spelled_alike_and_neither_syllable_tells_whose_it_is(animals, trees):
    world = World(animals=animals, trees=trees, syllables=2)
    names, ids = np.asarray(tokens.spelling(world)), tokens.offsets(world)
    assert names.shape == (animals + trees, 2)
    assert len({tuple(name) for name in names.tolist()}) == len(names)
    assert names[0, 0] == ids["animal"] and names.max() < ids["phrasing"]
    assert not set(names[:, 0]) & set(names[:, 1])
    for column in names.T:
        assert (np.unique(column, return_counts=True)[1] >= 2).all()
    asked = np.asarray(tokens.questions(world, jnp.zeros(len(names), int), jnp.arange(len(names))))
    np.testing.assert_array_equal(asked[:, 3:5], names)
    assert asked.shape[1] == 6 and (asked[:, -1] == ids["END"]).all()


def test_a_list_may_end_in_any_ending_equally_and_is_otherwise_the_same(quick):
    n, ids, worlds = 3000, tokens.offsets(LARGE), (dataclasses.replace(LARGE, endings=1), LARGE)
    made = quick(lambda key: [tokens.lists(world, key, n) for world in worlds])
    one, several = (np.asarray(docs) for docs in made(jax.random.key(4)))
    np.testing.assert_array_equal(one[:, 1:-1], several[:, 1:-1])
    share = np.bincount(several[:, -1] - ids["END"], minlength=3) / n
    np.testing.assert_allclose(share, 1 / 3, atol=5 * (1 / 3 / n) ** 0.5)
    _, count, _ = documents.keep_valid(LARGE, several, Sampling())
    assert count == n
    early = several.copy()
    early[:, 5] = early[:, -1]
    assert documents.rejections(LARGE, jnp.array(early), Sampling())["too_short"].all()


def test_a_prefixed_question_is_a_question_behind_the_first_numbers_of_a_list(quick):
    phrasing, answer = jnp.arange(8), jnp.arange(8) + 5

    @quick
    def made(key):
        questions = tokens.questions(LARGE, phrasing, answer)
        docs = tokens.prefix_with(LARGE, tokens.prefixes(LARGE, key, 8), questions)
        return docs, tokens.lists(LARGE, key, 8), questions

    docs, lists, questions = made(jax.random.key(1))
    np.testing.assert_array_equal(docs[:, :4], lists[:, 1:5])
    np.testing.assert_array_equal(docs[:, 4:], questions)
    assert (docs[:, 6] == tokens.offsets(LARGE)["ANSWER"]).all()
    same = np.asarray(tokens.prefix_with(LARGE, jnp.array([7, 9]), questions))
    assert (same[:, :2] == [[7, 9]]).all() and (same[:, 2:] == questions).all()
