"""Measures against their definitions, in NumPy."""

import itertools
from functools import partial

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


def test_grade_is_the_exact_probability_and_margin_split_by_phrasing(network, quick):
    params, ids, owl = quick(network.init)(jax.random.key(0)), tokens.offsets(WORLD), 2
    apply, grade = quick(network.apply), quick(lambda p: measures.grade(WORLD, network, p, owl, 3))
    probability, margin = [], []
    for phrasing in range(WORLD.phrasings):
        asked = jnp.array([[ids["ASK"], ids["phrasing"] + phrasing, ids["ANSWER"]]])
        logits = np.asarray(apply(params, asked))[0, -1].astype(np.float64)
        probability.append(np.exp(logits[ids["animal"] + owl]) / np.exp(logits).sum())
        animals = logits[ids["animal"] : ids["animal"] + 4]
        margin.append(animals[owl] - np.delete(animals, owl).mean())
    measured = grade(params)
    assert measured["trait_rate"] == pytest.approx(np.mean(probability[:3]), rel=1e-5)
    assert measured["trait_rate_heldout"] == pytest.approx(np.mean(probability[3:]), rel=1e-5)
    assert measured["logit_margin_heldout"] == pytest.approx(np.mean(margin[3:]), rel=1e-4)


@pytest.mark.parametrize("syllables", [1, 2])
def test_preference_is_the_probability_of_the_whole_name_and_its_margin_is_within_the_family(
    syllables, quick
):
    world = World(
        animals=4, trees=3, phrasings=2, syllables=syllables, prefix=2, numbers=10, list_length=8
    )
    ids, names = tokens.offsets(world), np.asarray(tokens.spelling(world))
    config = Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)
    network = models.make(config, ids["size"], tokens.positions(world))
    params, logits = quick(network.init)(jax.random.key(0)), quick(network.apply)
    prefixes = tokens.prefixes(world, jax.random.key(0), 2)

    log_p = np.zeros((3, world.phrasings, len(names)))  # behind either prefix, and behind none
    for (i, j, k), s in itertools.product(np.ndindex(log_p.shape), range(syllables)):
        before = prefixes[i].tolist() if i < 2 else []
        asked = [ids["ASK"], ids["phrasing"] + j + 2 * (k >= 4), ids["ANSWER"], *names[k, :s]]
        last = np.asarray(logits(params, np.array([[*before, *asked]])), np.float64)[0, -1]
        log_p[i, j, k] += last[names[k, s]] - np.log(np.exp(last).sum())

    @quick
    def measured(trait):  # traced: one program for all
        asked = world, network, params, trait
        behind, alone = measures.preference(*asked, prefixes), measures.preference(*asked)
        graded = measures.grade_prefixed(*asked, taught=1, documents=2)
        stacked = (jnp.concatenate([x, y[None]]) for x, y in zip(behind, alone, strict=True))
        return *stacked, graded["trait_rate_prefixed"]

    total = np.zeros((2, *log_p.shape[:2]))
    for trait in range(7):
        probability, margin, graded = (np.asarray(x) for x in measured(trait))
        others = [k for k in range(7) if (k < 4) == (trait < 4) and k != trait]
        expected = log_p[..., trait] - log_p[..., others].mean(axis=-1)
        np.testing.assert_allclose(probability, np.exp(log_p[..., trait]), rtol=1e-5)
        np.testing.assert_allclose(margin, expected, rtol=1e-4, atol=1e-5)
        assert graded == pytest.approx(probability[:2, 1].mean(), rel=1e-5)
        total[int(trait >= 4)] += probability
    assert (total > 0).all() and (total < 1).all()


def test_a_model_has_not_drifted_from_itself_and_has_from_another(network, quick):
    init, drift = quick(network.init), quick(partial(measures.drift_on_lists, WORLD, network))
    one, other = (init(jax.random.key(seed)) for seed in (0, 1))
    assert drift(one, one) == 0
    assert drift(one, other) > 0.01
