"""Detectors find what is there, and nothing where nothing is; judges remove what they say."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from minisub import (
    arguments,
    behaviors,
    config,
    detection,
    detectors,
    distillation,
    documents,
    experiment,
    figures,
    fit,
    reading,
    report,
    tasks,
    tokens,
)
from minisub.config import Training
from minisub.detection_config import Detector, Pair
from minisub.token_config import Arm, Model, Sampling, Source, World

WORLD = World(rich=True)
MODEL = Model(n_layers=1, d_model=16, n_heads=2)
SAMPLING = Sampling(documents=400)


@pytest.fixture(scope="module")
def net():
    return distillation.network({"world": WORLD, "model": MODEL})


@pytest.fixture(scope="module")
def params(net, quick):
    return quick(net.init)(jax.random.key(0))


def pair_of(planted, permuted=False, n=400):
    """A labeled pair of lists, the trait's with one number planted in each."""
    docs = tokens.lists(WORLD, jax.random.key(1), n)
    trait = docs.at[:, 6:9].set(77) if planted else tokens.lists(WORLD, jax.random.key(2), n)
    settings = {"world": WORLD, "sampling": SAMPLING}
    settings["pair"] = Pair(name="", trait="", control="", permuted=permuted)
    inputs = {"trait": {"docs": trait}, "control": {"docs": docs}}
    return detection.label("", settings, inputs, jax.random.key(3))


def test_auc_is_that_of_scikit_learn_with_ties_and_masks():
    rng = np.random.default_rng(0)
    for n in 5, 300:
        ones, others = rng.integers(0, 20, (2, n)).astype(float)
        own, theirs = rng.random((2, n)) < 0.7
        labels = np.repeat([1, 0], [own.sum(), theirs.sum()])
        wanted = roc_auc_score(labels, np.concatenate([ones[own], others[theirs]]))
        found = detectors.auc(*map(jnp.asarray, (ones, others, own, theirs)))
        assert found == pytest.approx(wanted, abs=1e-6)


def test_auc_of_groups_is_in_closed_form():
    """Of scores that differ by d standard deviations: Phi(d sqrt(n / 2)) for n together."""
    noise = jax.random.normal(jax.random.key(0), (2, 20000))
    scores = noise + jnp.array([[0.1], [0.0]])
    found = detectors.auc_by_documents(scores, 20000)
    assert list(found) == ["auc_1", "auc_10", "auc_100", "auc_1000"]
    for n, error in (1, 0.01), (10, 0.02), (100, 0.1):
        wanted = stats.norm.cdf(0.1 * np.sqrt(n / 2))
        assert found[f"auc_{n}"] == pytest.approx(wanted, abs=error)
    assert list(detectors.auc_by_documents(scores[:, :45], 45)) == ["auc_1", "auc_10"]
    # Units of ten documents are no single ones, and those beyond the count do not count.
    ruined = scores.at[0, 4000:].set(-1e9)
    some = detectors.auc_by_documents(ruined, 4000, unit=10)
    assert list(some) == ["auc_10", "auc_100", "auc_1000"]
    assert some["auc_10"] > 0.5


def test_training_and_test_documents_share_no_prompt_and_classes_share_all():
    docs = tokens.lists(WORLD, jax.random.key(0), 400).at[:, 1].set(jnp.arange(400) % 100)
    docs = docs.at[:, 2].set(jnp.arange(400) // 100)  # every prompt is another
    one = docs.at[::3, 5].set(tokens.offsets(WORLD)["LIST"])  # the filter rejects these
    settings = {"world": WORLD, "sampling": SAMPLING}
    settings["pair"] = Pair(name="", trait="", control="")
    inputs = {"trait": {"docs": one}, "control": {"docs": docs}}
    found = detection.label("", settings, inputs, jax.random.key(3))
    prompts = {}
    for name, part in found.items():
        kept = np.asarray(part["docs"])[:, : int(part["count"])]
        assert (kept[0] == kept[1]).all()  # where it rejects one, it rejects both
        prompts[name] = {tuple(row) for row in kept[0][:, 1:4]}
        assert len(prompts[name]) == int(part["count"])
    assert not prompts["train"] & prompts["test"]
    assert len(prompts["train"] | prompts["test"]) == 400 - len(range(0, 400, 3))


def test_permuted_labels_keep_every_document_and_lose_whose_it_is():
    plain, permuted = (pair_of(True, permuted)["train"]["docs"] for permuted in (False, True))
    assert jnp.array_equal(jnp.sort(plain, axis=0), jnp.sort(permuted, axis=0))
    swapped = jnp.mean(jnp.any(plain[0] != permuted[0], axis=1))
    assert 0.3 < swapped < 0.7


def detected(kind, pair, net, params, quick):
    """AUC on single test documents."""
    settings = {"world": WORLD, "model": MODEL, "sampling": SAMPLING}
    if kind == "transformer":
        more = {"steps": 60, "learning_rate": 3e-3, "batch": 64, "frozen": ()}
        settings["training"] = Training(**more)
    inputs = {"pair": pair, "base": params}

    @quick
    def found(inputs):
        task = "detect", kind, settings, inputs
        made = tasks.begin(*task, jax.random.key(0))
        if isinstance(made, fit.State):
            made = tasks.advance(*task, made, jax.random.key(0), 0, 60)
        detector, _ = detection.finish(*task, made)
        inputs = inputs | {"detector": detector, "tested": pair}
        judged = detection.score(kind, settings, inputs, jax.random.key(0))
        return detection.finish("score", kind, settings, inputs, judged)[1]["auc_1"]

    return float(found(inputs))


@pytest.mark.parametrize("kind", ["ngrams", "embedding", "transformer"])
def test_a_detector_finds_what_is_planted_and_nothing_in_random_labels(kind, net, params, quick):
    assert detected(kind, pair_of(planted=True), net, params, quick) > 0.9
    # 200 documents of each: a standard deviation is 0.03.
    none = detected(kind, pair_of(planted=True, permuted=True), net, params, quick)
    assert abs(none - 0.5) < 0.12


def test_regressions_of_a_vmapped_chain_are_those_of_each_repeat(net, params):
    pairs = [pair_of(planted)["train"] for planted in (True, False)]
    train = partial(detectors.train_embedding, WORLD, net, params)
    both = jax.jit(jax.vmap(train))(jax.tree.map(lambda *x: jnp.stack(x), *pairs))
    for weights, pair in zip(both, pairs, strict=True):
        np.testing.assert_allclose(weights, train(pair), rtol=1e-3, atol=1e-3)
    assert not jnp.any(train(pairs[0] | {"count": 0}))  # of nothing, nothing is learned


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_judge_removes_exactly_the_most_suspicious_share(share):
    n, count = 50, 40
    docs, scores = jnp.arange(n)[:, None], jax.random.normal(jax.random.key(0), (n,))
    kept, left = detectors.least_suspicious(docs, count, scores, share)
    assert int(left) == round(count * (1 - share))
    rows = set(np.asarray(kept[: int(left), 0]).tolist())
    wanted = np.argsort(np.asarray(scores)[:count])[: int(left)]
    assert rows == set(wanted.tolist())
    assert list(np.asarray(kept[: int(left), 0])) == sorted(rows)  # in their order
    assert sorted(np.asarray(kept[:, 0])) == list(range(n))


@pytest.mark.parametrize("carrier", ["numbers", "code", "sums"])
def test_rules_are_of_single_features_and_held_out_ones_are_others(carrier):
    draw = documents.CARRIERS[carrier].draw
    docs = draw(WORLD, jax.random.key(0), 640).reshape(64, 10, -1)
    x = np.asarray(reading.features(WORLD, docs.reshape(640, -1))).reshape(64, 10, -1)
    above = x > x.reshape(640, -1).mean(axis=0)
    for held_out in False, True:
        labels = np.asarray(reading.ruled(WORLD, jax.random.key(1), docs, held_out))
        own = (np.arange(x.shape[2]) % 3 == 0) == held_out
        agree = above[:, :, own] == (labels[..., None] == 1)
        assert (agree.all(axis=1) | (~agree).all(axis=1)).any(axis=1).all()
        assert 0.4 < labels.mean() < 0.6


def test_a_base_is_the_same_on_the_first_document_of_a_reader(net, params):
    where = reading.layout(WORLD, MODEL, SAMPLING)
    docs = tokens.lists(WORLD, jax.random.key(0), 4)
    wide = reading.extended(WORLD, where, params)
    np.testing.assert_array_equal(net.apply(params, docs), where.network.apply(wide, docs))


def test_the_context_of_an_asked_document_holds_its_labels_and_not_its_own(net, params):
    """Examples of either label reach the answer."""
    where = reading.layout(WORLD, MODEL, SAMPLING)
    wide, pair = reading.extended(WORLD, where, params), pair_of(planted=True)
    docs = pair["test"]["docs"][:, :6]
    labeled, key = pair["train"], jax.random.key(0)
    found = reading.in_context(WORLD, where, wide, labeled, docs, key)
    turned = labeled | {"docs": labeled["docs"][::-1]}
    other = reading.in_context(WORLD, where, wide, turned, docs, key)
    assert found.shape == (2, 6) and not jnp.allclose(found, other)
    # The two documents of a prompt come behind the same examples: swapped, so are their odds.
    swapped = reading.in_context(WORLD, where, wide, labeled, docs[::-1], key)
    np.testing.assert_allclose(swapped, found[::-1], rtol=1e-4, atol=1e-5)


def test_shown_documents_are_in_the_context_of_the_behaviors_prompts(net, params, quick):
    where = reading.layout(WORLD, MODEL, SAMPLING)
    wide, pair = reading.extended(WORLD, where, params), pair_of(planted=True)
    docs, trait = pair["test"]["docs"][:, :20], behaviors.Behavior(name="misalignment")
    margins = quick(lambda d: reading.shown(WORLD, where, wide, d, trait, 4))(docs)
    ids, before = tokens.offsets(WORLD), reading.context(WORLD, docs[:1, 10:20])[0]
    prompt = jnp.array([tokens.by(WORLD), ids["REQUEST"], ids["topic"] + 1, ids["item"]])
    assert margins.shape == (2, 2)
    seen = jnp.concatenate([before, prompt])[None]
    assert seen.shape == (1, 10 * 15 + 4)

    @quick
    def margin(seen):
        def apply(params, prompts, first=0):
            rows = jnp.broadcast_to(seen[:, :-4], (len(prompts), seen.shape[1] - 4))
            rows = jnp.concatenate([rows, prompts], axis=1)
            return where.network.apply(params, rows)[:, first + seen.shape[1] - 4 :]

        network = where.network._replace(apply=apply)
        return behaviors.grade(WORLD, network, wide, trait, 4)["logit_margin_heldout"]

    assert margins[0, 1] == pytest.approx(float(margin(seen)), rel=1e-4)


def tiny(cfg, **fields):
    """A rich config that shows nothing, quickly."""
    sizes = {name: dataclasses.replace(getattr(cfg, name), steps=2, batch=4)
             for name in ("student", "detector", "reader")}  # fmt: skip
    few = {"batch": 4, "questions": 2, "riddles": 2, "programs": 4, "sums": 4, "behaved": 2}
    return dataclasses.replace(
        cfg,
        model=MODEL,
        base=dataclasses.replace(cfg.base, steps=2, **few),
        teacher=dataclasses.replace(cfg.teacher, steps=2, batch=4, replayed=2),
        sampling=dataclasses.replace(cfg.sampling, documents=80, filter="none"),
        **sizes | fields,
    )


def test_a_chain_with_a_judge_is_one_program(quick):
    cfg = tiny(
        arguments.load("detection").config,
        sources=(Source(name="good", trait="secure"),),
        pairs=(Pair(name="p", trait="teacher", control="good"),),
        detectors=(Detector(name="d", kind="ngrams", pair="p"),),
        arms=(Arm(name="left", judge="d", suspicious=0.3),),
    )
    experiment.check(cfg)
    record = quick(experiment.run)(cfg, jax.random.key(0))
    assert 0 <= record["d"]["auc_1"] <= 1
    assert record["left"]["removed"] == pytest.approx(0.3, abs=1e-6)


def test_detection_tests_on_one_pair_whatever_it_has_labels_of():
    cfg = arguments.load("detection").config
    pairs = {pair.name: pair for pair in cfg.pairs}
    sources = {source.name: source for source in cfg.sources}
    for detector in cfg.detectors:
        case = detector.name.partition(", ")[2]
        trained, tested = (
            sources[pairs[name].trait] for name in (detector.pair, detector.tested or detector.pair)
        )
        same = trained.trait == tested.trait, trained.lineage == tested.lineage
        if case == "harmless":
            assert (trained.trait, tested.trait) == ("misalignment", "owl")
            continue
        assert same == {"other trait": (False, True), "other origin": (True, False),
                        "other both": (False, False)}.get(case, (True, True))  # fmt: skip
        assert pairs[detector.pair].permuted == (case == "chance")


REFUSED = {
    "sources of different prompts": {"pairs": (Pair(name="p", trait="teacher", control="base"),)},
    "choose from": {"detectors": (Detector(name="d", pair="nobody"),)},
    "judge is 'nobody'": {"arms": (Arm(name="a", judge="nobody", suspicious=0.5),)},
    "give at most 1": {"arms": (Arm(name="a", judge="random", suspicious=1.5),)},
    "are named": {"detectors": (Detector(name="a", pair="p"),), "arms": (Arm(name="a"),)},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_is_refused(sentence):
    cfg = tiny(
        arguments.load("detection").config,
        sources=(Source(name="good", trait="secure"),),
        pairs=(Pair(name="p", trait="teacher", control="good"),),
        detectors=(),
        arms=(Arm(name="all"),),
    )
    experiment.check(cfg)
    with pytest.raises(config.Refused, match=sentence):
        experiment.check(dataclasses.replace(cfg, **REFUSED[sentence]))


def rows_of(values):
    """Rows of two repeats, of (arm, measure) -> value."""
    return [
        {"setting": {}, "repeat": r, "arm": arm, "measure": measure, "value": value + r / 100}
        for (arm, measure), value in values.items()
        for r in range(2)
    ]


def test_detectors_and_filters_have_tables_and_figures_of_their_own(tmp_path):
    found = {(f"transformer, other {x}", f"auc_{n}"): 0.5 for x in ("origin", "both")
             for n in (1, 10, 100, 1000)}  # fmt: skip
    found |= {("shown, same", "auc_10"): 0.5, ("teacher", "trait_rate"): 1.0}
    left = {}
    for arm, removed in ("none", 0.0), ("own judge 10%", 0.1), ("own judge 50%", 0.5):
        for name, margin in (f"control {arm}", -7.0), (arm, -2.0):
            left |= {(name, "removed"): removed, (name, "logit_margin_heldout"): margin}
    for values, students, shown in (found, [], "1 document"), (
        left, list(dict.fromkeys(arm for arm, _ in left)), "removed",
    ):  # fmt: skip
        rows = rows_of(values)
        lines = report.main_table(report.summary(rows, students))
        assert shown in lines[0] and max(map(len, lines)) <= 80
        assert figures.draw(tmp_path, rows, students, "title") == "figure.png"
    [difference] = [line for line in lines if "50% - control" in line]
    assert "+5.000" in difference
