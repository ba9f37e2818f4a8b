"""Detectors find what is there, and nothing where nothing is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import near
from scipy import stats
from sklearn.metrics import roc_auc_score

from configs import _detectors, detection
from minisub import results
from minisub.config import Model, Training
from minisub.detection import detectors, tasks
from minisub.nets import fit
from minisub.results import records
from minisub.tokens import grading, number_lists, tokens, writing
from minisub.tokens.config import Sampling, World

WORLD = World(rich=True)
MODEL = Model(n_layers=1, d_model=16, n_heads=2)
SAMPLING = Sampling(documents=400)
TRAINING = Training(steps=60, learning_rate=3e-3, batch=64, frozen=())
KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def base(quick):
    return quick(grading.network(WORLD, MODEL).init)(jax.random.key(0))


@pytest.fixture(scope="module")
def drawn(quick):
    """Lists, and the same with one number planted in each."""
    docs = np.asarray(quick(lambda key: number_lists.draw(WORLD, key, 400))(jax.random.key(1)))
    planted = docs.copy()
    planted[:, 6:9] = 77
    return docs, planted


def paired(one, other, pair=tasks.pair):
    """A pair of documents, their first half for training."""
    half = len(one) // 2
    parts = {"train": slice(0, half), "test": slice(half, None)}
    given = {
        name: [{"docs": jnp.asarray(x[of])} for x in (one, other)] for name, of in parts.items()
    }
    return pair(KEY, documents=given, world=WORLD, sampling=SAMPLING)


@pytest.fixture(scope="module")
def pairs(drawn, quick):
    """A pair in which there is something to find, and the same with random labels."""
    docs, planted = drawn
    ways = tasks.pair, detection.permuted
    return quick(lambda: [paired(planted, docs, pair) for pair in ways])()


def test_auc_is_that_of_scikit_learn_with_ties_and_masks(quick):
    rng, auc = np.random.default_rng(0), quick(detectors.auc)
    for n in 5, 300:
        ones, others = rng.integers(0, 20, (2, n)).astype("f")
        own, theirs = rng.random((2, n)) < 0.7
        labels = np.repeat([1, 0], [own.sum(), theirs.sum()])
        wanted = roc_auc_score(labels, np.concatenate([ones[own], others[theirs]]))
        assert auc(ones, others, own, theirs) == pytest.approx(wanted, abs=1e-6)


def test_auc_of_groups_is_in_closed_form(quick):
    """Of scores that differ by d standard deviations: Phi(d sqrt(n / 2)) for n together."""
    scores = np.random.default_rng(0).normal([[0.1], [0.0]], size=(2, 20000)).astype("f")
    ruined = scores.copy()
    ruined[0, 4000:] = -1e9
    whole, few, some = quick(
        lambda scores, ruined: (
            detectors.auc_by_documents(scores, 20000),
            detectors.auc_by_documents(scores[:, :45], 45),
            # Units of ten documents are no single ones, and those beyond the count do not count.
            detectors.auc_by_documents(ruined, 4000, unit=10),
        )
    )(scores, ruined)
    assert set(whole) == {"auc_1", "auc_10", "auc_100", "auc_1000"} and set(few) == {
        "auc_1",
        "auc_10",
    }
    for n, error in (1, 0.01), (10, 0.03), (100, 0.1):
        wanted = stats.norm.cdf(0.1 * np.sqrt(n / 2))
        assert whole[f"auc_{n}"] == pytest.approx(wanted, abs=error)
    assert set(some) == {"auc_10", "auc_100", "auc_1000"} and some["auc_10"] > 0.5
    scores[1, 7] = np.nan
    unknown, known = quick(
        lambda x: [detectors.auc_by_documents(y, 2000) for y in (x, jnp.roll(x, -8, axis=1))]
    )(scores)
    assert np.isnan(unknown["auc_1"]) and np.isfinite(known["auc_1"])
    assert np.isnan(  # fewer than four groups of a hundred units
        quick(lambda x: detectors.auc_by_documents(x, 399, unit=10))(ruined)["auc_1000"]
    )


def test_identical_scores_have_an_auc_of_a_half_and_separable_ones_of_one(quick):
    valid = np.ones(50, bool)
    x = np.random.default_rng(0).normal(size=50).astype("f")
    auc = quick(lambda one, other: detectors.auc(one, other, valid, valid))
    assert auc(x, x) == 0.5 and auc(np.zeros(50, "f"), np.zeros(50, "f")) == 0.5
    assert auc(x + 10, x) == 1 and auc(x - 10, x) == 0


def test_a_pair_keeps_a_prompt_if_the_filter_keeps_both_its_documents(drawn, quick):
    docs = drawn[0]
    one = docs.copy()
    one[::3, 5] = tokens.offsets(WORLD)["LIST"]  # the filter rejects these
    counts = []
    for part in quick(lambda: paired(one, docs))().values():
        kept = np.asarray(part["docs"])[:, : int(part["count"])]
        np.testing.assert_array_equal(kept[0], kept[1])
        counts.append(len(kept[0]))
    assert sum(counts) == 400 - len(range(0, 400, 3))


@pytest.mark.parametrize("carrier", ["numbers", "code", "sums"])
def test_the_halves_of_all_prompts_are_disjoint_by_value_and_even(carrier, quick):
    sampling = Sampling(carrier=carrier, documents=2000)
    halves = []
    for i, half in enumerate(("first half", "second half")):
        of_half = dataclasses.replace(sampling, prompts=half)
        draw = quick(lambda key, s=of_half: writing.draw_prompts(WORLD, key, s, 2000))
        halves.append(np.asarray(draw(jax.random.key(i))))
    one, other = ({tuple(row) for row in prompts} for prompts in halves)
    assert not one & other and 0.8 < len(one) / len(other) < 1.25
    common = quick(lambda a, b: tasks.common_prompts((a, len(a)), (b, len(b))))
    assert common(*halves) == 0
    assert common(halves[0], np.concatenate([halves[1][3:], halves[0][:3]])) == sum(
        tuple(row) in {tuple(x) for x in halves[0][:3]} for row in halves[0]
    )


def test_a_prompt_that_is_trained_on_and_judged_stops_the_run(drawn, quick):
    docs = drawn[0].copy()
    docs[200:203, 1:4] = docs[:3, 1:4]
    measured = quick(lambda: tasks.kept_pairs(pair=paired(docs, docs), sampling=SAMPLING))()
    among = {tuple(row) for row in docs[:200, 1:4]}
    wanted = sum(tuple(row) in among for row in docs[200:, 1:4])
    assert measured["prompts_in_both"] == wanted >= 3
    assert "trained on and judged" in tasks.check_disjoint(measured)
    assert tasks.check_disjoint({"prompts_in_both": np.zeros(2)}) == ""


def test_permuted_labels_keep_every_document_and_lose_whose_it_is(pairs):
    plain, permuted = (np.asarray(pair["train"]["docs"]) for pair in pairs)
    np.testing.assert_array_equal(np.sort(plain, axis=0), np.sort(permuted, axis=0))
    assert 0.3 < np.any(plain[0] != permuted[0], axis=1).mean() < 0.7


@pytest.mark.parametrize("name", detection.DETECTORS)
def test_a_detector_finds_what_is_planted_and_nothing_in_random_labels(name, pairs, base, quick):
    how, given = detection.DETECTORS[name], {"base": base, "world": WORLD, "model": MODEL}

    @quick
    def found(pair):
        given_pair = {"pair": pair, "sampling": SAMPLING}
        made = tasks.detect(KEY, how=how, training=TRAINING, **given_pair, **given)
        if isinstance(made, fit.Fit):
            state = fit.begin(TRAINING, made.start)
            state = fit.advance(TRAINING, made.loss, state, KEY, 0, 60)
            made = {"params": fit.params(state)}
        scores = tasks.score(how=how, learned=made["params"], tested=pair, **given)
        return tasks.auc(scores=scores, together=1)["auc_1"]

    planted, random = map(found, pairs)
    # 200 documents of each: a standard deviation is 0.03.
    assert planted > 0.9 and abs(random - 0.5) < 0.12


def test_regressions_of_repeats_side_by_side_are_those_of_each_and_of_nothing_nothing(
    pairs, base, quick
):
    net = grading.network(WORLD, MODEL)
    labeled = [pair["train"] for pair in pairs] + [pairs[0]["train"] | {"count": jnp.int32(0)}]
    labeled = [part | {"held_out": jnp.arange(200) % 4 == 0} for part in labeled]
    labeled = jax.tree.map(lambda *x: jnp.stack(x), *labeled)

    def train(one):
        return _detectors.train_embedding(WORLD, net, base, one, TRAINING)

    together, alone = quick(jax.vmap(train))(labeled), quick(train)
    for i in range(2):
        near(together[i], alone(jax.tree.map(lambda x, i=i: x[i], labeled)), rtol=1e-3, atol=1e-3)
    assert not together[2].any() and together[0].any()


def test_held_out_prompts_choose_the_penalty_of_a_regression():
    """Of noise in many columns the strongest; of two that tell, a weaker one."""
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(400, 300)), np.arange(400) < 200
    told = labels[:, None] + 0.3 * rng.normal(size=(400, 2))
    held, strongest = np.arange(200) % 4 == 0, np.zeros(200)  # which none being held out is
    for design, alike in (noise, True), (told, False):
        chosen, least = (_detectors._fitted(design, x) for x in (held, strongest))
        assert np.allclose(chosen, least) == alike


def test_the_page_of_a_run_shows_auc_by_documents_in_place_of_arms(tmp_path):
    measured = {
        "base": ("trait_rate_heldout", "ability/sums"),
        "ngrams, same": ("auc_1", "auc_10"),
        "ngrams, chance": ("auc_1", "auc_10"),
        "shown, same": ("auc_10",),
    }
    rows = [
        {"setting": {}, "repeat": i, "arm": arm, "measure": measure, "value": 0.5 + 0.1 * i}
        for arm, measures in measured.items()
        for measure in measures
        for i in (0, 1)
    ]
    experiment, pages = {"title": "detection", "claim": "A claim.", "command": "train.py"}, []
    for name, own in {"plain": None, "own": lambda *of: detection.sections(*of, None)}.items():
        (tmp_path / name).mkdir()
        lines = results.write(tmp_path / name, rows, experiment, sections=own)
        assert lines[-1].endswith("report.md, figure.png") and "| ngrams, same" in "".join(lines)
        pages.append((tmp_path / name / "report.md").read_text())
    assert pages[0] == pages[1] and "ability/sums 0.55" in pages[1]
    table = records.frame(rows)
    [section] = detection.sections(table, [], None)
    axes = section.draw[0](*section.draw[1:]).axes
    assert [axis.get_title() for axis in axes] == ["ngrams", "shown"]
    assert axes[0].get_legend_handles_labels()[1] == ["same", "chance"]
    assert axes[0].get_xlabel() == "documents" and axes[0].get_xscale() == "log"
    # What was swept has the figure that all sweeps have, and what has no AUC that of other runs.
    swept = records.frame([row | {"setting": {"teacher.steps": 5}} for row in rows])
    assert detection.sections(swept, [], None) == []
    assert detection.sections(table[table["arm"] == "base"], [], None) == []
