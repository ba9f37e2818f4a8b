"""Measures against their definitions, in NumPy."""

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


def test_a_model_has_not_drifted_from_itself_and_has_from_another(network):
    one, other = (network.init(jax.random.key(seed)) for seed in (0, 1))
    assert measures.drift_on_lists(WORLD, network, one, one) == 0
    assert measures.drift_on_lists(WORLD, network, one, other) > 0.01
