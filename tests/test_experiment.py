"""A repeat: pure, paired, and with every stream of randomness on its own."""

import dataclasses

import jax
import numpy as np
import pytest

import minisub
from minisub import experiment, tasks
from minisub.config import Arm


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


def test_repeats_differ_and_adding_one_changes_no_other(tiny, records):
    rates = np.asarray(records["base"]["trait_rate"])
    assert rates[0] != rates[1]
    keys = experiment.repeat_keys(0, 3)
    equal(jax.random.key_data(keys[:2]), jax.random.key_data(experiment.repeat_keys(0, 2)))


def test_run_works_under_jit_and_vmap_over_keys_and_over_configurations(tiny, records):
    """vmap differs from one at a time by rounding, which training amplifies, samples may flip."""
    keys = experiment.repeat_keys(0, 2)
    two = dataclasses.replace(tiny.student, learning_rate=np.array([1e-3, 2e-3]))
    rates = dataclasses.replace(tiny, student=two, arms=tiny.arms[3:])
    axes = jax.tree.map(lambda x: 0 if np.ndim(x) else None, rates)
    vmapped = jax.jit(jax.vmap(jax.vmap(minisub.run, (None, 0)), (axes, None)))(rates, keys)
    for arm, atol in ("base", 2e-3), ("teacher", 2e-3), ("soft", 5e-2):
        first, second = np.asarray(vmapped[arm]["trait_rate"])
        np.testing.assert_allclose(first, records[arm]["trait_rate"], atol=atol)
        assert (first != second).all() == (arm == "soft"), "only students see the learning rate"


def test_arms_of_a_repeat_are_paired(tiny):
    chain = {p.name: p for p in experiment.phases(tiny)}
    students = [chain[f"student/{arm.name}"] for arm in tiny.arms]
    assert len({p.key for p in students}) == 1, "students see the same draws in the same order"
    assert chain["base/first"].key == chain["base/second"].key
    streams = [p.key for p in chain.values() if p.kind in ("initialize", "emit")]
    assert len(set(streams)) == len(streams) == 4, "origins and samplers have streams of their own"


def test_a_phase_reads_nothing_but_what_it_declares(tiny):
    """So that a sweep may reuse every phase whose declaration it leaves alone."""
    longer = dataclasses.replace(tiny, student=minisub.Training(steps=9, batch=8))
    for one, other in zip(experiment.phases(tiny), experiment.phases(longer), strict=True):
        assert (one == other) == (one.kind != "distill")


def test_a_teacher_without_training_has_no_trait_to_pass(tiny):
    """Zero teacher steps: teacher and base are one model, so nothing tells their students apart."""
    arms = (Arm(name="shared", channel="soft"), Arm(name="control", source="base", channel="soft"))
    still = dataclasses.replace(tiny, teacher=minisub.Training(steps=0), arms=arms)
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
    params = tasks.network(emit.settings).init(jax.random.key(0))
    emitted = tasks.begin("emit", "", emit.settings, {"emitter": params}, jax.random.key(1))
    docs = np.asarray(emitted["docs"])
    assert docs.min() >= 0 and docs.max() > 2**15
