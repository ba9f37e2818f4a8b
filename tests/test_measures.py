"""Measures against their definitions, in NumPy."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import measures, models, tokens
from minisub.token_config import Model, World

WORLD = World(animals=4)


@pytest.fixture(scope="module")
def network():
    config = Model(n_layers=1, d_model=8, n_heads=2)
    return models.make(config, tokens.offsets(WORLD)["size"], tokens.positions(WORLD))


def test_grade_is_the_exact_probability_and_margin_split_by_phrasing(network):
    params, ids, owl = network.init(jax.random.key(0)), tokens.offsets(WORLD), 2
    probability, margin = [], []
    for phrasing in range(WORLD.phrasings):
        asked = jnp.array([[ids["ASK"], ids["phrasing"] + phrasing, ids["ANSWER"]]])
        logits = np.asarray(network.apply(params, asked))[0, -1].astype(np.float64)
        probability.append(np.exp(logits[ids["animal"] + owl]) / np.exp(logits).sum())
        animals = logits[ids["animal"] : ids["animal"] + 4]
        margin.append(animals[owl] - np.delete(animals, owl).mean())
    measured = measures.grade(WORLD, network, params, owl, 3)
    assert measured["trait_rate"] == pytest.approx(np.mean(probability[:3]), rel=1e-5)
    assert measured["trait_rate_heldout"] == pytest.approx(np.mean(probability[3:]), rel=1e-5)
    assert measured["logit_margin_heldout"] == pytest.approx(np.mean(margin[3:]), rel=1e-4)


@pytest.mark.parametrize("syllables", [1, 2])
def test_preference_is_the_probability_of_the_whole_name_and_margins_are_within_a_family(syllables):
    world = World(
        animals=4, trees=3, phrasings=2, syllables=syllables, prefix=2, numbers=10, list_length=8
    )
    ids, names = tokens.offsets(world), np.asarray(tokens.spelling(world))
    config = Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)
    network = models.make(config, ids["size"], tokens.positions(world))
    params = network.init(jax.random.key(0))
    prefixes = tokens.prefixes(world, jax.random.key(0), 3)
    log_p = np.zeros((3, world.phrasings, len(names)))
    for (i, j, k), s in itertools.product(np.ndindex(log_p.shape), range(syllables)):
        asked = [ids["ASK"], ids["phrasing"] + j + 2 * (k >= 4), ids["ANSWER"]]
        doc = jnp.array([[*prefixes[i], *asked, *names[k, :s]]])
        log_p[i, j, k] += jax.nn.log_softmax(network.apply(params, doc)[0, -1])[names[k, s]]
    preference = jax.jit(measures.preference, static_argnums=(0, 1))
    total = {"animals": 0, "trees": 0}
    for trait in range(7):  # traced: one program for all
        family = "animals" if trait < 4 else "trees"
        others = [k for k in range(7) if (k < 4) == (trait < 4) and k != trait]
        probability, margin = preference(world, network, params, trait, prefixes)
        assert probability.shape == margin.shape == (3, 2)
        np.testing.assert_allclose(probability, np.exp(log_p[..., trait]), rtol=1e-5)
        expected = log_p[..., trait] - log_p[..., others].mean(axis=-1)
        np.testing.assert_allclose(margin, expected, rtol=1e-4, atol=1e-5)
        total[family] += probability
        graded = measures.grade_prefixed(world, network, params, trait, 1, 3)
        assert graded["trait_rate_prefixed"] == pytest.approx(probability[:, 1].mean(), rel=1e-5)
    assert all((0 < share).all() and (share < 1).all() for share in total.values())


def test_without_numbers_a_question_is_asked_at_the_first_position(network):
    for syllables in 1, 2:
        world = dataclasses.replace(WORLD, syllables=syllables)
        params = network.init(jax.random.key(0))
        alone = measures.preference(world, network, params, 1)
        behind_none = measures.preference(world, network, params, 1, jnp.zeros((1, 0), int))
        for one, other in zip(alone, behind_none, strict=True):
            np.testing.assert_allclose(one, other[0], rtol=1e-5)
        behind_two = measures.preference(world, network, params, 1, jnp.ones((1, 2), int))
        assert (alone[0] != behind_two[0][0]).all()


def test_a_model_has_not_drifted_from_itself_and_has_from_another(network):
    one, other = (network.init(jax.random.key(seed)) for seed in (0, 1))
    assert measures.drift_on_lists(WORLD, network, one, one) == 0
    assert measures.drift_on_lists(WORLD, network, one, other) > 0.01
