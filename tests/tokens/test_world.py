"""The token world: documents obey their rules."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import _prefixed
from minisub.config import Refused, check
from minisub.tokens import config, number_lists, tokens
from minisub.tokens.config import World

WORLD = World()
LARGE = World(trees=8, syllables=2, endings=3)
FAMILIES = World(animals=3, trees=2, phrasings=4)
WORLDS = {"default": WORLD, "large": LARGE, "families": FAMILIES}
IDS = {name: tokens.offsets(world) for name, world in WORLDS.items()}
N = 3000


@pytest.fixture(scope="module")
def drawn(quick):
    """world -> kind -> documents, drawn with one key in one program."""

    def every(world, key):
        return {
            "lists": number_lists.draw(world, key, N),
            "riddles": tokens.riddles(world, key, N),
            "questions": tokens.random_questions(world, key, N),
            "prefixes": _prefixed.prefixes(world, key, N, 4),
        }

    @quick
    def draw(key):
        made = {name: every(world, key) for name, world in WORLDS.items()}
        still = dataclasses.replace(WORLD, jitter=0)
        small = number_lists.draw(WORLD, key, 2), tokens.riddles(WORLD, key, 3)
        return made | {
            "still": number_lists.draw(still, key, 100),
            "one ending": number_lists.draw(dataclasses.replace(LARGE, endings=1), key, N),
            "first version": (*small, tokens.random_questions(WORLD, key, 3)),
        }

    return jax.tree.map(np.asarray, draw(jax.random.key(0)))


def test_every_token_has_one_meaning():
    for ids in IDS.values():
        starts = [first for kind, first in ids.items() if kind != "size"]
        assert starts[0] == 0 and (np.diff(starts) > 0).all() and starts[-1] < ids["size"]
    # Tokens of each kind, in order: 18 names on a grid of side 5, and two families of phrasings.
    assert np.diff(list(IDS["large"].values())).tolist() == [100, 10, 16, 10, 1, 1, 1, 1, 3]
    assert tokens.names(FAMILIES) == ("owl", "wolf", "cat", "cherry", "maple")


def test_documents_of_the_default_world_are_those_of_the_first_version(drawn):
    expected = (
        [
            [128, 90, 0, 10, 19, 26, 35, 44, 54, 62, 72, 81, 91, 132],
            [128, 61, 68, 77, 84, 92, 0, 9, 18, 25, 32, 40, 50, 132],
        ],
        [[130, 119, 120, 131, 101, 132]] * 2 + [[130, 126, 125, 131, 107, 132]],
        [[129, 117, 131, 102, 132], [129, 111, 131, 102, 132], [129, 117, 131, 106, 132]],
    )
    for docs, first in zip(drawn["first version"], expected, strict=True):
        np.testing.assert_array_equal(docs, first)
    asked = tokens.questions(WORLD, jnp.arange(2), 3)
    np.testing.assert_array_equal(asked, [[129, 110, 131, 103, 132], [129, 111, 131, 103, 132]])


def test_lists_count_in_equal_steps_up_to_their_jitter(drawn):
    docs, ids = drawn["default"]["lists"], IDS["default"]
    assert docs.shape == (N, WORLD.list_length + 2)
    assert (docs[:, 0] == ids["LIST"]).all() and (docs[:, -1] == ids["END"]).all()
    differences = (np.diff(docs[:, 1:-1], axis=1) + 50) % WORLD.numbers - 50
    # Neighbors differ by the step, and by at most twice the jitter more or less.
    assert (np.ptp(differences, axis=1) <= 4 * WORLD.jitter).all()
    assert differences.min() == 1 - 2 * WORLD.jitter
    assert differences.max() == WORLD.max_step + 2 * WORLD.jitter
    assert not np.ptp(np.diff(drawn["still"][:, 1:-1], axis=1) % WORLD.numbers, axis=1).any()


def uniform(values, count):
    """Assert that values below `count` come equally often, to five standard deviations."""
    share = np.bincount(values, minlength=count) / len(values)
    np.testing.assert_allclose(share, 1 / count, atol=5 * (1 / count / len(values)) ** 0.5)


def test_a_list_may_end_in_any_ending_equally_and_is_otherwise_the_same(drawn):
    one, several = drawn["one ending"], drawn["large"]["lists"]
    np.testing.assert_array_equal(one[:, 1:-1], several[:, 1:-1])
    uniform(several[:, -1] - IDS["large"]["END"], 3)


def test_any_answer_is_asked_for_equally_in_phrasings_of_its_family(drawn):
    for name in "default", "families":
        world, docs, ids = WORLDS[name], drawn[name]["questions"], IDS[name]
        assert (docs[:, [0, 2, 4]] == [[ids["ASK"], ids["ANSWER"], ids["END"]]]).all()
        answer, phrasing = docs[:, 3] - ids["animal"], docs[:, 1] - ids["phrasing"]
        np.testing.assert_array_equal(answer >= world.animals, phrasing >= world.phrasings)
        uniform(answer, world.animals + world.trees)
        uniform(phrasing % world.phrasings, world.phrasings)


@pytest.mark.parametrize("name", ["default", "large"])
def test_a_riddle_has_one_answer_which_needs_both_attributes(name, drawn):
    world, docs, ids = WORLDS[name], drawn[name]["riddles"], IDS[name]
    assert (docs[:, [0, 3, -1]] == [[ids["RIDDLE"], ids["ANSWER"], ids["END"]]]).all()
    names = [tuple(x) for x in np.asarray(tokens.spelling(world)).tolist()]
    answer = np.array([names.index(tuple(x)) for x in docs[:, 4:-1].tolist()])
    uniform(answer, len(names))
    pairs = np.sort(np.asarray(tokens.attribute_pairs(world)), axis=1)
    asked = docs[:, 1:3] - ids["attribute"]
    np.testing.assert_array_equal(np.sort(asked, axis=1), pairs[answer])
    uniform((asked[:, 0] < asked[:, 1]).astype(int), 2)
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    shared = np.bincount(pairs.ravel(), minlength=world.attributes)
    assert (shared >= 2).all(), "one attribute alone would give an answer away"


def test_pairs_of_attributes_differ_in_every_world_that_is_allowed():
    for animals, trees in (2, 0), (6, 0), (10, 8), (16, 8):
        for attributes in range(3, 12):
            world = World(animals=animals, trees=trees, attributes=attributes)
            try:
                config.check_world(world)
            except Refused:
                continue
            pairs = np.asarray(tokens.attribute_pairs(world)).tolist()
            assert len({frozenset(pair) for pair in pairs}) == animals + trees
            assert all(a != b for a, b in pairs)


@pytest.mark.parametrize(("animals", "trees"), [(10, 0), (10, 8), (16, 8)])
def test_no_two_answers_are_spelled_alike_and_neither_syllable_tells_whose_it_is(animals, trees):
    world = World(animals=animals, trees=trees, syllables=2)
    names, ids = np.asarray(tokens.spelling(world)), tokens.offsets(world)
    assert len({tuple(name) for name in names.tolist()}) == len(names) == animals + trees
    assert names[0, 0] == ids["animal"] and names.max() < ids["phrasing"]
    assert not set(names[:, 0]) & set(names[:, 1])
    for column in names.T:
        assert (np.unique(column, return_counts=True)[1] >= 2).all()
    asked = np.asarray(tokens.questions(world, jnp.zeros(len(names), int), jnp.arange(len(names))))
    np.testing.assert_array_equal(asked[:, 3:5], names)
    assert asked.shape[1] == 6 and (asked[:, -1] == ids["END"]).all()


def test_a_prefixed_question_is_a_question_behind_the_first_numbers_of_a_list(drawn):
    numbers = drawn["large"]["prefixes"]
    np.testing.assert_array_equal(numbers, drawn["large"]["lists"][:, 1:5])
    questions = np.asarray(tokens.questions(LARGE, jnp.arange(8), jnp.arange(8) + 5))
    for before in numbers[:8], numbers[0]:
        docs = np.asarray(_prefixed.prefix_with(jnp.asarray(before), questions))
        np.testing.assert_array_equal(docs[:, 4:], questions)
        np.testing.assert_array_equal(docs[:, :4], np.broadcast_to(before, (8, 4)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"animals": 17}, "at most 16"),
        ({"trees": 1}, "no other to compare"),
        ({"syllables": 3}, "at most 2"),
        ({"attributes": 3}, "raise world.attributes"),
        ({"list_length": 3}, "raise world.list_length"),
    ],
)
def test_a_world_that_cannot_be_is_refused(changes, said):
    config.check_world(WORLD)
    world = dataclasses.replace(WORLD, **changes)
    with pytest.raises(Refused, match=said) as refusal:
        check(world)
        config.check_world(world)
    assert str(refusal.value).endswith(".")
