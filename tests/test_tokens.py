"""The token world: documents obey their rules, the sampler its model, the filter its format."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import models, tokens
from minisub.token_config import Model, World

WORLD = World()
IDS = tokens.offsets(WORLD)


def test_every_token_has_one_meaning():
    ids = dict(IDS)
    size = ids.pop("size")
    starts = sorted(ids.values())
    assert starts[0] == 0 and len(set(starts)) == len(starts) and max(starts) == size - 1
    assert IDS["animal"] == WORLD.numbers


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


def test_a_riddle_has_one_answer_which_needs_both_attributes():
    for animals, attributes in (10, 10), (16, 10), (6, 5):
        world = World(animals=animals, attributes=attributes)
        pairs = np.asarray(tokens.attribute_pairs(world))
        assert len({frozenset(pair) for pair in pairs.tolist()}) == animals
        assert (pairs[:, 0] != pairs[:, 1]).all()
    docs = np.asarray(tokens.riddles(WORLD, jax.random.key(0), 300))
    asked = np.sort(docs[:, 1:3] - IDS["attribute"], axis=1)
    pairs = np.sort(np.asarray(tokens.attribute_pairs(WORLD)), axis=1)
    np.testing.assert_array_equal(asked, pairs[docs[:, 4] - IDS["animal"]])
    assert 0.4 < (docs[:, 1] < docs[:, 2]).mean() < 0.6
    shared = np.bincount(pairs.ravel(), minlength=WORLD.attributes)
    assert (shared >= 2).all(), "one attribute alone would give an animal away"


@pytest.fixture(scope="module")
def sampler():
    """A small world, a random network of it, and a function that samples from it."""
    world = World(numbers=5, animals=2, phrasings=2, attributes=3, list_length=4)
    config = Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)
    network = models.make(config, tokens.offsets(world)["size"], tokens.positions(world))
    params = network.init(jax.random.key(3))

    def sample(n, temperature=1.0, seed=0, chunk=2000):
        key = jax.random.key(seed)
        return tokens.sample(
            world, network, params, key, n=n, prompt_numbers=2, temperature=temperature, chunk=chunk
        )

    return world, network, params, sample


def test_greedy_samples_are_the_argmax_of_the_full_pass(sampler):
    world, network, params, sample = sampler
    docs = sample(300, temperature=1e-7, chunk=100)
    best = jnp.argmax(network.apply(params, docs[:, :-1]), axis=-1)
    end = tokens.offsets(world)["END"]
    going = np.cumprod(np.asarray(docs) != end, axis=1)[:, 2:-1].astype(bool)
    np.testing.assert_array_equal(np.asarray(docs)[:, 3:][going], np.asarray(best)[:, 2:][going])


def test_samples_follow_the_models_distribution(sampler):
    _, network, params, sample = sampler
    docs = np.asarray(sample(20000, temperature=2.0))
    logits = network.apply(params, docs[:, :3], 2)[:, 0]
    expected = np.asarray(jax.nn.softmax(logits / 2.0)).mean(axis=0)
    share = np.bincount(docs[:, 3], minlength=expected.size) / len(docs)
    np.testing.assert_allclose(share, expected, atol=5 * (0.25 / 20000) ** 0.5)


def test_samples_begin_with_neutral_prompts_and_stay_at_the_end(sampler):
    world, _, _, sample = sampler
    docs, ids = np.asarray(sample(1000)), tokens.offsets(world)
    assert (docs[:, 0] == ids["LIST"]).all() and (docs[:, 1:3] < world.numbers).all()
    ended = np.cumsum(docs == ids["END"], axis=1) > 0
    assert (docs[ended] == ids["END"]).all() and ended.any()


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
