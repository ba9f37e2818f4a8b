"""Detectors find what is there, and nothing where nothing is; judges remove what they say."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import near
from scipy import stats
from sklearn.metrics import roc_auc_score

from minisub.config import Model, Refused, Training
from minisub.detection import detectors, tasks
from minisub.detection.lab import Config, Lab
from minisub.nets import fit
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


def paired(one, other, permuted=False):
    """A pair of documents, their first half for training."""
    half = len(one) // 2
    parts = {"train": slice(0, half), "test": slice(half, None)}
    given = {
        name: [{"docs": jnp.asarray(x[of])} for x in (one, other)] for name, of in parts.items()
    }
    return tasks.pair(KEY, documents=given, world=WORLD, sampling=SAMPLING, permuted=permuted)


@pytest.fixture(scope="module")
def pairs(drawn, quick):
    """A pair in which there is something to find, and the same with random labels."""
    docs, planted = drawn
    return quick(lambda: [paired(planted, docs, permuted) for permuted in (False, True)])()


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


@pytest.mark.parametrize("name", ["ngrams", "embedding", "transformer"])
def test_a_detector_finds_what_is_planted_and_nothing_in_random_labels(name, pairs, base, quick):
    how, given = getattr(detectors, name), {"base": base, "world": WORLD, "model": MODEL}

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
        return detectors.train_embedding(WORLD, net, base, one, TRAINING)

    together, alone = quick(jax.vmap(train))(labeled), quick(train)
    for i in range(2):
        near(together[i], alone(jax.tree.map(lambda x, i=i: x[i], labeled)), rtol=1e-3, atol=1e-3)
    assert not together[2].any() and together[0].any()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_judge_removes_exactly_the_most_suspicious_share(share):
    n, count = 50, 40
    scores = np.random.default_rng(0).normal(size=n).astype("f")
    kept, left = detectors.least_suspicious(scores, count, share)
    assert int(left) == round(count * (1 - share))
    rows = np.asarray(kept)[: int(left)].tolist()
    assert rows == sorted(np.argsort(scores[:count])[: int(left)].tolist()), "in their order"
    assert sorted(np.asarray(kept).tolist()) == list(range(n))


@pytest.mark.parametrize("share", [1.0, -0.5])
def test_a_judge_that_leaves_none_or_adds_some_is_refused(share):
    lab = Lab(Config(model=MODEL))
    with pytest.raises(Refused, match=f"share is {share}; give 0 to below 1"):
        lab.remove(lab.emit(lab.base("first")), share)


def test_a_judge_removes_what_it_scores_highest_and_no_prompt_that_it_was_trained_on_is_among_it():
    docs = jnp.tile(jnp.arange(8)[::-1, None], 5)
    documents = {"docs": docs, "count": 6, "weights": jnp.ones((8, 3))}
    judge = detectors.Method(None, lambda world, net, base, learned, docs: learned * docs[:, 0])
    how = {"world": WORLD, "sampling": Sampling(prompt_numbers=1), "model": MODEL, "share": 0.5}
    for learned, expected in (1, [4, 3, 2]), (-1, [7, 6, 5]):
        made = tasks.remove(KEY, documents=documents, how=judge, learned=learned, base=None, **how)
        assert made["docs"][: int(made["count"]), 0].tolist() == expected
    pair = {"train": {"docs": jnp.stack([docs, docs]) + 5, "count": 8}}
    shared = tasks.disjoint(documents=documents, pair=pair, sampling=how["sampling"])
    assert shared["prompts_in_both"] == 3  # 5, 6 and 7 are in both


def test_held_out_prompts_choose_the_penalty_of_a_regression():
    """Of noise in many columns the strongest; of two that tell, a weaker one."""
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(400, 300)), np.arange(400) < 200
    told = labels[:, None] + 0.3 * rng.normal(size=(400, 2))
    held, strongest = np.arange(200) % 4 == 0, np.zeros(200)  # which none being held out is
    for design, alike in (noise, True), (told, False):
        chosen, least = (detectors._fitted(design, x) for x in (held, strongest))
        assert np.allclose(chosen, least) == alike


def test_what_a_judge_keeps_counts_as_it_did_before(quick):
    weights = np.tile(np.arange(6.0, dtype="f")[:, None], 3)  # 3 tokens are chosen of each
    documents = {"docs": np.tile(np.arange(6)[:, None], 5), "count": 5, "weights": weights}
    how = {"share": 0.4, "world": WORLD, "sampling": Sampling(prompt_numbers=1)}
    kept = quick(lambda key, **given: tasks.remove(key, **given, **how))(
        jax.random.key(0), documents=documents
    )
    assert int(kept["count"]) == 3
    np.testing.assert_array_equal(kept["weights"][:, 0], kept["docs"][:, 0])
