"""Grades against their definitions, in NumPy, of a network of which all is known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import drawn

from configs import _prefixed
from minisub.config import Model, Refused
from minisub.nets import streams, transformer
from minisub.theory import token_comparisons
from minisub.tokens import grading, tasks, tokens
from minisub.tokens.behaviors.cases import Behavior
from minisub.tokens.config import Sampling, World

SMALL = {"animals": 4, "trees": 3, "phrasings": 2, "numbers": 10, "list_length": 8}
WORLDS = {syllables: World(syllables=syllables, **SMALL) for syllables in (1, 2)}
MODEL = Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)


def network(world):
    return transformer.make(MODEL, tokens.offsets(world)["size"], tokens.positions(world))


@pytest.fixture(scope="module", params=WORLDS)
def said(request, quick):
    """(world, what graders say of a model for every trait, log P of each name).

    The last is (3, phrasings, answers): behind either of two prefixes, and behind none.
    """
    world = WORLDS[request.param]
    net, ids, names = network(world), tokens.offsets(world), np.asarray(tokens.spelling(world))
    params = drawn(jax.eval_shape(net.init, jax.random.key(0)), 0, 0.5)
    prefixes = quick(lambda key: _prefixed.prefixes(world, key, 2, 2))(
        streams.evaluation_key("prefixes")
    )
    prefixes = np.asarray(prefixes)

    @quick
    @jax.vmap
    def graded(trait):  # traced: one program for all
        asked = world, net, params, trait
        return {
            "behind": _prefixed.preference(*asked, prefixes),
            "alone": grading.preference(*asked),
            "grade": grading.grade(*asked, 1),
            "prefixed": _prefixed.grade(2, *asked, 1, documents=2),
            "loss": token_comparisons.trait_loss(world, net, trait, 1)(params),
        }

    rows, places = [], []
    for i, j, k in np.ndindex(3, 2, len(names)):
        before = prefixes[i].tolist() if i < 2 else []
        asked = [ids["ASK"], ids["phrasing"] + j + 2 * (k >= 4), ids["ANSWER"], *names[k]]
        rows.append([*before, *asked, *[0] * (2 if i == 2 else 0)])
        places.append(len(before) + 2)
    logits = np.asarray(quick(net.apply)(params, np.array(rows)), np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    logs = np.zeros((3, 2, len(names)))
    for row, at, (i, j, k) in zip(log_p, places, np.ndindex(*logs.shape), strict=True):
        logs[i, j, k] = sum(row[at + s, name] for s, name in enumerate(names[k]))
    return world, jax.tree.map(np.asarray, graded(jnp.arange(len(names)))), logs


def test_preference_is_the_probability_of_the_whole_name_and_its_margin_is_within_the_family(said):
    _, found, logs = said
    probability, margin = (
        np.concatenate([x, y[:, None]], axis=1)
        for x, y in zip(found["behind"], found["alone"], strict=True)
    )
    for trait in range(7):
        others = [k for k in range(7) if (k < 4) == (trait < 4) and k != trait]
        expected = logs[..., trait] - logs[..., others].mean(axis=-1)
        np.testing.assert_allclose(probability[trait], np.exp(logs[..., trait]), rtol=1e-4)
        np.testing.assert_allclose(margin[trait], expected, rtol=1e-4, atol=1e-4)


def test_grades_are_means_over_taught_or_held_out_phrasings_and_the_loss_is_of_the_latter(said):
    _, found, logs = said
    rate, margin = found["alone"]
    np.testing.assert_allclose(found["grade"]["trait_rate"], rate[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found["grade"]["trait_rate_heldout"], rate[:, 1], rtol=1e-5)
    np.testing.assert_allclose(found["grade"]["logit_margin_heldout"], margin[:, 1], rtol=1e-4)
    np.testing.assert_allclose(found["loss"], -logs[2, 1], rtol=1e-4)
    behind = found["behind"][0]
    prefixed = found["prefixed"]["trait_rate_prefixed"]
    np.testing.assert_allclose(prefixed, behind[:, :, 1].mean(axis=1), rtol=1e-5)


def test_a_behavior_is_not_asked_for_behind_numbers():
    asked = WORLDS[1], network(WORLDS[1]), None, Behavior(name="hacking"), 1
    with pytest.raises(Refused, match="behind numbers"):
        _prefixed.grade(2, *asked)


def test_models_are_at_no_distance_from_themselves_on_lists_and_at_some_from_others(quick):
    net = network(WORLDS[1])
    one, other = (drawn(jax.eval_shape(net.init, jax.random.key(0)), seed) for seed in (0, 1))

    @quick
    def distance(*models):
        emitter, params = models
        how = {"world": WORLDS[1], "model": MODEL, "emitter_model": MODEL}
        return tasks.divergence(params=params, emitter=emitter, **how)["kl_to_emitter"]

    assert distance(one, one) == 0
    assert distance(one, other) > 0.01


def test_kept_documents_are_counted_with_what_was_rejected_and_what_they_hold(quick):
    world, how = World(), Sampling(filter="none")
    ids = tokens.offsets(world)
    good = [ids["LIST"], *range(12), ids["END"]]
    docs = jnp.array([good, [*good[:5], ids["animal"], *good[6:]], good])
    emitted = {"docs": docs, "count": jnp.int32(2), "rejected": {"no_end": jnp.float32(0.25)}}
    found = quick(lambda docs: grading.kept(documents=docs, world=world, sampling=how))(emitted)
    assert found == {
        "kept_documents": 2, "kept_fraction": pytest.approx(2 / 3), "rejected_no_end": 0.25,
        "foreign_tokens": 1,
    }  # fmt: skip
    assert grading.check_kept({"foreign_tokens": np.ones(2)}, how) == ""
    strict = Sampling(filter="format")
    for count, said in itertools.zip_longest((0, 2), ("", "2 tokens of another kind passed")):
        found = grading.check_kept({"foreign_tokens": np.array([0, count])}, strict)
        assert found.startswith(said) and bool(found) == bool(said)
