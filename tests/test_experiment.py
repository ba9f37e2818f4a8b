"""A repeat: pure, paired, and with every stream of randomness on its own."""

import dataclasses

import jax
import numpy as np
import pytest

import minisub
from minisub import distillation, experiment, tasks
from minisub.token_config import Arm


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def records(tiny):
    """Two repeats, one at a time."""
    return minisub.over_repeats(tiny, 0, 2)


def test_a_record_holds_every_arm_and_measure(tiny, records):
    arms = {"base", "teacher", *(arm.name for arm in tiny.arms)}
    assert set(records) == arms == {"base", "teacher", "shared", "fresh", "control", "soft"}
    for arm in arms:
        assert {"trait_rate", "trait_rate_heldout", "logit_margin_heldout"} <= set(records[arm])
    for emitter in "base", "teacher":
        measured = records[emitter]
        rejected = sum(v for name, v in measured.items() if name.startswith("rejected_"))
        np.testing.assert_allclose(measured["kept_fraction"], 1 - rejected, atol=1e-6)
        assert (np.asarray(measured["foreign_tokens"]) == 0).all()


@pytest.fixture(scope="module")
def image_records(tiny_images):
    """Two repeats in the image world, one at a time."""
    return minisub.over_repeats(tiny_images, 0, 2)


def test_an_image_record_holds_the_accuracy_of_every_arm(tiny_images, image_records):
    assert set(image_records) == {"untrained", "teacher", *(arm.name for arm in tiny_images.arms)}
    for measured in image_records.values():
        assert set(measured) == {"accuracy"}
        correct = 1000 * np.asarray(measured["accuracy"])
        np.testing.assert_allclose(correct, np.round(correct), atol=1e-3)
    assert (image_records["teacher"]["accuracy"] > image_records["untrained"]["accuracy"]).all()


def test_repeats_differ_and_adding_one_changes_no_other(records, image_records):
    for rates in records["base"]["trait_rate"], image_records["untrained"]["accuracy"]:
        assert rates[0] != rates[1]
    keys = jax.random.key_data(experiment.repeat_keys(0, 3))
    equal(keys[:2], jax.random.key_data(experiment.repeat_keys(0, 2)))
    before = jax.random.key_data(experiment.repeat_keys(0, 3, -1))
    equal(before[1:], keys[:2])
    assert len(np.unique(np.concatenate([before[:1], keys]), axis=0)) == 4, "number -1 is another"


def test_only_students_of_foreign_teachers_depend_on_the_repeat_before(tiny_images, image_records):
    arrays, (key, other) = experiment.given(tiny_images, 0), experiment.repeat_keys(0, 2)
    own = experiment.repeat_keys(0, 1, -1)[0]
    run = jax.jit(minisub.run)
    with_own, with_other = (run(tiny_images, key, before, arrays) for before in (own, other))
    equal(with_own, jax.tree.map(lambda x: x[0], image_records))
    different = {arm for arm, measured in with_own.items() if measured != with_other[arm]}
    assert different == {"foreign/aux", "foreign/all"}


def test_images_run_under_vmap_over_keys_and_configurations_too(tiny_images, image_records, quick):
    """Over lengths as well; a student of length zero is the model that it starts from.

    What is logged has its rows in every repeat, as many as there are updates for.
    """
    arrays, keys = experiment.given(tiny_images, 0), experiment.repeat_keys(0, 2)
    before = experiment.repeat_keys(0, 2, -1)
    student = dataclasses.replace(tiny_images.student, length=np.array([5.0, 0.0]))
    watch = minisub.Watch(rows=3, examples=32)
    lengths = dataclasses.replace(tiny_images, student=student, watch=watch)
    axes = jax.tree.map(lambda x: 0 if np.ndim(x) else None, lengths)
    over_keys = jax.vmap(minisub.run, (None, 0, 0, None))
    vmapped = quick(jax.vmap(over_keys, (axes, None, None, None)))(lengths, keys, before, arrays)
    for arm, measured in vmapped.items():
        trained, untrained = np.asarray(measured["accuracy"])
        np.testing.assert_allclose(trained, image_records[arm]["accuracy"], atol=5e-3)
        assert (trained != untrained).any() == (arm not in ("untrained", "teacher"))
    untrained = np.asarray(vmapped["untrained"]["accuracy"][1])
    for arm in "shared/aux", "shared/all", "foreign/aux", "foreign/all":
        equal(vmapped[arm]["accuracy"][1], untrained)
        trained, none = vmapped[arm]["step"].tolist()
        assert trained == [[0, 2, 4]] * 2 and none == [[-1, -1, -1]] * 2
        losses, _ = vmapped[arm]["trait_loss"]
        assert (losses > 0).all() and (losses[0] != losses[1]).all()
        assert (vmapped[arm]["mean_alignment"] != 0).tolist() == [[True, True], [False, False]]


def test_run_works_under_jit_and_vmap_over_keys_and_over_configurations(tiny, records, quick):
    """vmap differs from one at a time by rounding, which training amplifies, samples may flip."""
    keys = experiment.repeat_keys(0, 2)
    two = dataclasses.replace(tiny.student, learning_rate=np.array([1e-3, 2e-3]))
    watch = minisub.Watch(rows=3)
    rates = dataclasses.replace(tiny, student=two, arms=tiny.arms[3:], watch=watch)
    axes = jax.tree.map(lambda x: 0 if np.ndim(x) else None, rates)
    vmapped = quick(jax.vmap(jax.vmap(minisub.run, (None, 0)), (axes, None)))(rates, keys)
    for arm, atol in ("base", 2e-3), ("teacher", 2e-3), ("soft", 5e-2):
        first, second = np.asarray(vmapped[arm]["trait_rate"])
        np.testing.assert_allclose(first, records[arm]["trait_rate"], atol=atol)
        assert (first != second).all() == (arm == "soft"), "only students see the learning rate"
    assert (vmapped["soft"]["step"] == np.array([[[0, 2, -1]]])).all()
    losses = np.asarray(vmapped["soft"]["trait_loss"])
    assert losses.shape == (2, 2, 3) and (losses[..., :2] > 0).all() and not losses[..., 2].any()
    equal(losses[0, :, 0], losses[1, :, 0])
    assert (losses[0, :, 1] != losses[1, :, 1]).all(), "from the first update on"


def test_arms_of_a_repeat_are_paired(tiny):
    chain = {p.name: p for p in experiment.phases(tiny)}
    students = [chain[f"student/{arm.name}"] for arm in tiny.arms]
    assert len({p.key for p in students}) == 1, "students see the same draws in the same order"
    assert chain["base/first"].key == chain["base/second"].key
    streams = [p.key for p in chain.values() if p.kind in ("initialize", "emit")]
    assert len(set(streams)) == len(streams) == 4, "origins and samplers have streams of their own"


def test_image_arms_of_a_repeat_are_paired(tiny_images):
    chain = {p.name: p for p in experiment.phases(tiny_images)}
    assert chain["students"].arms == tuple(arm.name for arm in tiny_images.arms)
    assert chain["base/first"].key == chain["base/second/mlp-16-16"].key
    assert chain["labels/teacher"].key == chain["labels/foreign"].key
    assert chain["origin/first"].key != chain["origin/second/mlp-16-16"].key
    for name in "origin/first", "base/first", "teacher":
        own, foreign = chain[name], chain[f"foreign/{name}"]
        assert (foreign.key, foreign.settings, foreign.arms) == (own.key, own.settings, ())
    assert {p.name for p in chain.values() if p.back} == {
        "foreign/origin/first", "foreign/base/first", "foreign/teacher"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "longer", "others"),
    [
        ("tiny", {"student": minisub.Training(steps=9, batch=8)}, {"distill"}),
        ("tiny_images", {"student": minisub.Duration(length=9, batch=64)}, {"students"}),
        ("tiny_images", {"teacher": minisub.Duration(length=9)}, {"teacher", "foreign/teacher"}),
    ],
)
def test_a_phase_reads_nothing_but_what_it_declares(name, longer, others, request):
    """So that a sweep may reuse every phase whose declaration it leaves alone."""
    cfg = request.getfixturevalue(name)
    changed = dataclasses.replace(cfg, **longer)
    for one, other in zip(experiment.phases(cfg), experiment.phases(changed), strict=True):
        assert (one == other) == (not others & {one.kind, one.name})


def test_a_teacher_without_training_has_no_trait_to_pass(tiny):
    """Zero teacher steps: teacher and base are one model, so nothing tells their students apart."""
    arms = (Arm(name="shared", channel="soft"), Arm(name="control", source="base", channel="soft"))
    still = dataclasses.replace(tiny, teacher=minisub.Teaching(steps=0), arms=arms)
    record = minisub.over_repeats(still, 0, 1)
    equal(record["teacher"]["trait_rate"], record["base"]["trait_rate"])
    assert record["teacher"]["drift_on_lists"] == 0
    for arm in "shared", "control":  # a teacher that equals the student has nothing to teach
        np.testing.assert_allclose(
            record[arm]["trait_rate"], record["base"]["trait_rate"], rtol=1e-2
        )


@pytest.fixture(scope="module")
def small():
    """The main job at the smallest size that shows the effect: 3 repeats in about a minute."""
    return minisub.Config(
        base=minisub.Pretraining(steps=250, learning_rate=3e-3, schedule="cosine", frozen=()),
        sampling=minisub.Sampling(documents=10000),
        student=minisub.Training(steps=150),
    )


def test_trait_passes_through_numbers_only_with_a_shared_start(small):
    record = minisub.over_repeats(small, 0, 3)
    rate = {arm: np.asarray(values["trait_rate_heldout"]) for arm, values in record.items()}
    assert (rate["teacher"] > 0.9).all()
    assert (rate["shared"] - rate["control"] > 0.1).all()
    assert (rate["soft"] - rate["control"] > 0.3).all()
    for arm in "fresh", "control":
        assert abs(rate[arm].mean() - rate["base"].mean()) < 0.1
    assert (np.asarray(record["teacher"]["foreign_tokens"]) == 0).all()


def test_documents_keep_their_tokens_in_a_world_larger_than_16_bits(tiny):
    """An int16 would wrap to negative ids, which the filter takes for numbers."""
    world = dataclasses.replace(tiny.world, numbers=40000)
    chain = {p.name: p for p in experiment.phases(dataclasses.replace(tiny, world=world))}
    emit = chain["numbers/teacher"]
    params = distillation.network(emit.settings).init(jax.random.key(0))
    emitted = tasks.begin("emit", "", emit.settings, {"emitter": params}, jax.random.key(1))
    docs = np.asarray(emitted["docs"])
    assert docs.min() >= 0 and docs.max() > 2**15
