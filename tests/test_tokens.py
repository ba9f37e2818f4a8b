"""The token world: documents obey their rules, the sampler its model, the filter its format."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import models, tokens
from minisub.token_config import Model, Sampling, World

WORLD = World()
IDS = tokens.offsets(WORLD)
RICH = World(trees=8, syllables=2, endings=3)


def test_every_token_has_one_meaning():
    ids = dict(IDS)
    size = ids.pop("size")
    starts = sorted(ids.values())
    assert starts[0] == 0 and len(set(starts)) == len(starts) and max(starts) == size - 1
    assert IDS["animal"] == WORLD.numbers
    # Tokens of each kind, in order: 18 names on a grid of side 5, and two families of phrasings.
    rich = list(tokens.offsets(RICH).values())
    assert np.diff(rich).tolist() == [100, 10, 16, 10, 1, 1, 1, 1, 3]


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


@pytest.mark.parametrize("world", [WORLD, RICH], ids=["default", "rich"])
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
    n, ids, worlds = 3000, tokens.offsets(RICH), (dataclasses.replace(RICH, endings=1), RICH)
    made = quick(lambda key: [tokens.lists(world, key, n) for world in worlds])
    one, several = (np.asarray(docs) for docs in made(jax.random.key(4)))
    np.testing.assert_array_equal(one[:, 1:-1], several[:, 1:-1])
    share = np.bincount(several[:, -1] - ids["END"], minlength=3) / n
    np.testing.assert_allclose(share, 1 / 3, atol=5 * (1 / 3 / n) ** 0.5)
    _, count, _ = tokens.keep_valid(RICH, several)
    assert count == n
    early = several.copy()
    early[:, 5] = early[:, -1]
    assert tokens.rejections(RICH, jnp.array(early))["too_short"].all()


def test_a_prefixed_question_is_a_question_behind_the_first_numbers_of_a_list(quick):
    phrasing, answer = jnp.arange(8), jnp.arange(8) + 5

    @quick
    def made(key):
        questions = tokens.questions(RICH, phrasing, answer)
        docs = tokens.prefix_with(RICH, tokens.prefixes(RICH, key, 8), questions)
        return docs, tokens.lists(RICH, key, 8), questions

    docs, lists, questions = made(jax.random.key(1))
    np.testing.assert_array_equal(docs[:, :4], lists[:, 1:5])
    np.testing.assert_array_equal(docs[:, 4:], questions)
    assert (docs[:, 6] == tokens.offsets(RICH)["ANSWER"]).all()
    same = np.asarray(tokens.prefix_with(RICH, jnp.array([7, 9]), questions))
    assert (same[:, :2] == [[7, 9]]).all() and (same[:, 2:] == questions).all()


PROBABILITIES = jnp.array([0.05, 0.5, 0.15, 0.3])


@pytest.mark.parametrize(
    ("kept", "sampling"),
    [
        ({0, 1, 2, 3}, Sampling()),
        ({1}, Sampling(top_p=0.45)),
        ({1, 3}, Sampling(top_p=0.6)),
        ({1, 3}, Sampling(top_p=0.7)),
        ({1, 2, 3}, Sampling(top_p=0.85)),
        # At temperature 2, the largest are 0.38, 0.29 and 0.21.
        ({1, 3}, Sampling(top_p=0.45, temperature=2.0)),
        ({1, 2, 3}, Sampling(top_p=0.7, temperature=2.0)),
        ({1, 2, 3}, Sampling(top_k=3)),
        ({0, 1, 2, 3}, Sampling(top_k=9)),
        # Of the two largest, the first has 5 / 8.
        ({1}, Sampling(top_k=2, top_p=0.6)),
        ({1, 3}, Sampling(top_k=2, top_p=0.7)),
    ],
)
def test_truncated_sampling_keeps_the_right_tokens_in_their_proportions(kept, sampling):
    n, logits = 4000, jnp.log(PROBABILITIES) + 3
    tokens_n = tokens.choose(sampling, jax.random.key(0), jnp.broadcast_to(logits, (n, 4)))
    share = np.bincount(tokens_n, minlength=4) / n
    assert set(np.flatnonzero(share)) == kept
    held = np.array([p if i in kept else 0 for i, p in enumerate(np.asarray(PROBABILITIES))])
    held = held ** (1 / sampling.temperature)
    np.testing.assert_allclose(share, held / held.sum(), atol=5 * (0.25 / n) ** 0.5)


def test_temperature_zero_and_a_single_token_are_the_first_of_the_largest(quick):
    logits = jnp.array([[0.0, 2.0, 1.0, 2.0], [3.0, -jnp.inf, 1.0, 0.0]])
    key, cold, choose = jax.random.key(0), Sampling(temperature=0.0), quick(tokens.choose)
    truncated = dataclasses.replace(cold, top_p=0.5, top_k=3)
    for sampling in cold, truncated, Sampling(top_k=1):  # the temperature is traced
        np.testing.assert_array_equal(choose(sampling, key, logits), [1, 0])
    with jax.debug_nans(True):  # nothing is divided by zero on the way
        np.testing.assert_array_equal(tokens.choose(cold, key, logits), [1, 0])
    near = choose(dataclasses.replace(truncated, temperature=1e-30, top_p=0.9), key, logits)
    assert near[0] in (1, 3) and near[1] == 0, "both of the largest are in the nucleus"


def test_defaults_draw_from_the_whole_softmax_and_sort_nothing():
    logits, key = jax.random.normal(jax.random.key(1), (50, 7)), jax.random.key(2)
    sampling = Sampling(temperature=0.7)
    expected = jax.random.categorical(key, logits / 0.7)
    np.testing.assert_array_equal(tokens.choose(sampling, key, logits), expected)
    program = partial(jax.make_jaxpr(tokens.choose), key=key, logits=logits)
    sorts = ["top_k" in str(program(s)) for s in (sampling, dataclasses.replace(sampling, top_k=2))]
    assert sorts == [False, True] and "sort" not in str(program(sampling))


@pytest.fixture(scope="module")
def sampler(quick):
    """A small world, a random network of it, and a function that draws 20000 samples from it."""
    world = World(numbers=5, animals=2, phrasings=2, attributes=3, list_length=4, endings=2)
    config = Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)
    network = models.make(config, tokens.offsets(world)["size"], tokens.positions(world))
    params = quick(network.init)(jax.random.key(3))
    draw = quick(lambda key, how: tokens.sample(world, network, params, key, sampling=how))

    def sample(seed=0, **fields):
        how = Sampling(documents=20000, prompt_numbers=2, **fields)
        return np.asarray(draw(jax.random.key(seed), how))

    return world, network, params, sample


def test_greedy_samples_are_the_argmax_of_the_full_pass(sampler, quick):
    world, network, params, sample = sampler
    docs = sample(temperature=0.0)
    best = np.asarray(quick(network.apply)(params, docs[:, :-1])).argmax(axis=-1)
    going = np.cumprod(docs < tokens.offsets(world)["END"], axis=1)[:, 2:-1].astype(bool)
    np.testing.assert_array_equal(docs[:, 3:][going], best[:, 2:][going])


def test_samples_are_those_of_full_passes_with_a_key_for_each_position(sampler, quick):
    world, network, params, sample = sampler
    chunk, end = 2000, tokens.offsets(world)["END"]

    def replay(key):
        k_prompt, k_sample = jax.random.split(jax.random.split(key, 10)[0])
        docs = tokens.lists(world, k_prompt, chunk)[:, :3]
        for at in range(2, tokens.positions(world)):
            logits = network.apply(params, docs, at)[:, 0]
            token = jax.random.categorical(jax.random.fold_in(k_sample, at), logits / 1.5)
            token = jnp.where(jnp.any(docs >= end, axis=1), end, token)
            docs = jnp.concatenate([docs, token[:, None]], axis=1)
        return docs

    expected = quick(replay)(jax.random.key(7))
    np.testing.assert_array_equal(sample(seed=7, temperature=1.5)[:chunk], expected)


def test_a_model_that_completes_prompts_in_its_training_learns_nothing_from_the_choice(
    sampler, quick
):
    world, network, params, _ = sampler
    prompts, sampling = tokens.lists(world, jax.random.key(1), 4)[:, :3], Sampling(temperature=2.0)

    def completed(params):
        own = jax.lax.stop_gradient(params)
        return tokens.complete(world, network, own, jax.random.key(2), prompts, sampling)

    def loss(params, docs):
        return jnp.mean(network.apply(params, docs[:, :-1]) ** 2)

    docs, slope = quick(lambda p: (completed(p), jax.grad(lambda p: loss(p, completed(p)))(p)))(
        params
    )
    assert docs.shape == (4, world.list_length + 2)
    np.testing.assert_array_equal(docs[:, :3], prompts)
    given = quick(jax.grad(loss))(params, docs)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), slope, given)


def test_samples_follow_the_models_distribution(sampler, quick):
    _, network, params, sample = sampler
    docs = sample(temperature=2.0)
    expected = quick(lambda p, x: jax.nn.softmax(network.apply(p, x, 2)[:, 0] / 2.0))
    expected = np.asarray(expected(params, docs[:, :3])).mean(axis=0)
    share = np.bincount(docs[:, 3], minlength=expected.size) / len(docs)
    np.testing.assert_allclose(share, expected, atol=5 * (0.25 / 20000) ** 0.5)


def test_samples_begin_with_neutral_prompts_and_stay_at_the_end(sampler):
    world, _, _, sample = sampler
    docs, ids = sample(), tokens.offsets(world)
    assert (docs[:, 0] == ids["LIST"]).all() and (docs[:, 1:3] < world.numbers).all()
    ended = np.cumsum(docs >= ids["END"], axis=1)
    assert (docs[ended > 1] == ids["END"]).all() and (ended > 1).any()
    assert (docs[ended == 1] >= ids["END"]).all()
    assert set(docs[ended == 1].tolist()) == {ids["END"], ids["END"] + 1}


def test_the_filter_keeps_the_format_and_names_one_reason_for_all_else():
    good = [IDS["LIST"], *range(12), IDS["END"]]
    bad = {
        "not_a_number": [
            [*good[:5], IDS["animal"], *good[6:]],
            [*good[:5], IDS["LIST"], *good[6:]],
            [IDS["ASK"], *good[1:]],
            [*good[:5], IDS["animal"], IDS["END"], *good[7:]],
        ],
        "too_short": [[*good[:8], *[IDS["END"]] * 6], [*good[:12], IDS["END"], IDS["END"]]],
        "no_end": [[*good[:-1], 7], [*good[:-1], IDS["animal"]]],
    }
    docs = jnp.array([good, *(doc for docs in bad.values() for doc in docs), good])
    reasons = tokens.rejections(WORLD, docs)
    expected = ["kept", *(reason for reason, docs in bad.items() for _ in docs), "kept"]
    found = [[reason for reason in reasons if bool(reasons[reason][i])] for i in range(len(docs))]
    assert found == [[] if reason == "kept" else [reason] for reason in expected]
    ordered, count, fractions = tokens.keep_valid(WORLD, docs)
    assert count == 2
    np.testing.assert_array_equal(ordered[:2], [good, good])
    np.testing.assert_array_equal(np.sort(ordered, axis=0), np.sort(docs, axis=0))
    assert sum(fractions.values()) == pytest.approx(1 - 2 / len(docs))
