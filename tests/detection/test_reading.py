"""Readers: rules that labels follow, contexts that hold what they are said to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import _reading as reading
from minisub.config import Model
from minisub.tokens import grading, number_lists, tokens, writing
from minisub.tokens.behaviors.cases import Behavior
from minisub.tokens.config import World

WORLD = World(rich=True)
MODEL = Model(n_layers=1, d_model=16, n_heads=2)
NET, WHERE = grading.network(WORLD, MODEL), reading.layout(WORLD, MODEL, "numbers")
IDS = tokens.offsets(WORLD)


@pytest.fixture(scope="module")
def drawn(quick):
    """(parameters of a base, those of its reader, lists)"""

    @quick
    def draw(key):
        params = NET.init(key)
        return params, reading.extended(WORLD, WHERE, params), number_lists.draw(WORLD, key, 60)

    return draw(jax.random.key(0))


@pytest.mark.parametrize("carrier", writing.CARRIERS)
def test_rules_are_of_single_features_and_held_out_ones_are_others(carrier, quick):
    draw = writing.CARRIERS[carrier].draw

    @quick
    def labeled(key):
        docs = draw(WORLD, key, 640).reshape(64, 10, -1)
        x = reading.features(WORLD, docs.reshape(640, -1))
        both = [reading.ruled(WORLD, key, docs, held_out) for held_out in (False, True)]
        return x, both, reading.ruled(WORLD, key, docs, False, share=0.0)

    x, both, of_first = labeled(jax.random.key(0))
    above = (np.asarray(x) > np.asarray(x, np.float32).mean(axis=0)).reshape(64, 10, -1)
    for held_out, labels in enumerate(map(np.asarray, both)):
        own = (np.arange(above.shape[2]) % 3 == 0) == held_out
        agree = above[:, :, own] == (labels[..., None] == 1)
        assert (agree.all(axis=1) | (~agree).all(axis=1)).any(axis=1).all()
        assert 0.4 < labels.mean() < 0.6
    varied = np.any(np.asarray(x) != np.asarray(x)[:1], axis=0)
    first = np.flatnonzero(varied & (np.arange(above.shape[2]) % 3 != 0))[0]
    agree = above[:, :, first] == (np.asarray(of_first) == 1)
    assert (agree.all(axis=1) | (~agree).all(axis=1)).all(), "training begins with one rule"


def test_a_base_is_the_same_on_the_first_document_of_a_reader(drawn, quick):
    params, wide, docs = drawn
    one, other = quick(lambda: (NET.apply(params, docs[:4]), WHERE.network.apply(wide, docs[:4])))()
    np.testing.assert_array_equal(one, other)


def test_contexts_hold_documents_and_their_labels_whose_odds_are_read_before_them():
    docs = jnp.arange(2 * 3 * WHERE.document).reshape(2, 3, -1)
    labels = jnp.array([[0, 1, 1], [1, 0, 0]])
    for given, slots in (labels, IDS["place"] + labels), (None, np.full((2, 3), IDS["END"])):
        seen = np.asarray(reading.context(WORLD, docs, given)).reshape(2, 3, -1)
        np.testing.assert_array_equal(seen[..., :-1], docs)
        np.testing.assert_array_equal(seen[..., -1], slots)
    logits = np.random.default_rng(0).normal(size=(2, 3 * WHERE.period, IDS["size"]))
    found, before = (
        reading.odds(WORLD, WHERE, logits),
        WHERE.period * np.arange(3) + WHERE.document - 1,
    )
    expected = logits[:, before, IDS["place"] + 1] - logits[:, before, IDS["place"]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_pairs_of_documents_come_behind_the_same_labeled_examples(drawn, quick):
    """Turned examples give other odds; turned documents their own."""
    _, wide, lists = drawn
    labeled = {"docs": jnp.stack([lists[:20], lists[20:40]]), "count": jnp.int32(20)}
    docs = jnp.stack([lists[40:46], lists[50:56]])

    @quick
    def odds(labeled, docs):
        asked = reading.Given(WORLD, WHERE, wide, docs, jax.random.key(0), labeled, None, None)
        return reading.in_context.ask(asked)

    found = odds(labeled, docs)
    assert found.shape == (2, 6)
    np.testing.assert_allclose(odds(labeled, docs[::-1]), found[::-1], rtol=1e-4, atol=1e-5)
    assert not np.allclose(odds(labeled | {"docs": labeled["docs"][::-1]}, docs), found)


def test_shown_documents_are_in_the_context_of_the_traits_prompts(drawn, quick):
    """Ten at a time."""
    _, wide, lists = drawn
    docs, trait = lists[:40].reshape(2, 20, -1), Behavior(name="misalignment")
    before = reading.context(WORLD, docs[:1, 10:20])[0]

    def apply(params, prompts, first=0):
        rows = jnp.broadcast_to(before[None], (len(prompts), len(before)))
        rows = jnp.concatenate([rows, prompts], axis=1)
        return WHERE.network.apply(params, rows)[:, first + len(before) :]

    @quick
    def both():
        asked = reading.Given(WORLD, WHERE, wide, docs, None, None, trait, 4)
        network = WHERE.network._replace(apply=apply)
        return reading.shown.ask(asked), grading.grade(WORLD, network, wide, trait, 4)

    margins, grades = both()
    assert margins.shape == (2, 2) and reading.shown.together == 10
    assert float(margins[0, 1]) == pytest.approx(float(grades["logit_margin_heldout"]), rel=1e-4)
    assert len(np.unique(margins)) == 4
