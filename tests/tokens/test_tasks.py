"""Tasks of the token world: what bases, teachers and students see, and by which streams."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import differing, equal

from minisub.config import Model, Training
from minisub.tokens import channels, tasks, tokens
from minisub.tokens.config import Pretraining, Sampling, World
from minisub.tokens.lab import Lab

WORLD = World(numbers=10, animals=3, phrasings=4, attributes=4, list_length=4)
MODEL, IDS = Model(n_layers=1, d_model=8, n_heads=2), tokens.offsets(WORLD)
KEY = jax.random.key(0)
FEW = Pretraining(steps=4, batch=4, questions=2, riddles=2)


def batches(name=1, **how):
    """step -> the batch that the base of a number sees, two steps of it shared."""
    given = {"start": None, "world": WORLD, "model": MODEL, "training": FEW, "shared_steps": 2}
    made = tasks.pretrain(KEY, name=np.uint32(name), **given, **how).batches
    return lambda step: made.at(made.order(0), step)


def test_bases_see_the_same_batches_up_to_the_shared_steps_and_their_own_ones_then():
    one, other = batches(1), batches(2)
    for step in 0, 1:
        equal(one(step), other(step))
    assert differing(one(2), other(2)) and differing(one(0), one(1))


def test_the_order_of_shared_batches_and_what_is_added_to_each_can_be_given():
    def swapped(of_base, step, shared):
        assert shared == 2
        return shared - 1 - step

    plain, more = batches(), lambda world, key: jnp.full((3, 5), world.numbers)
    other = batches(order=swapped, more=more)
    for step in 0, 1:
        *shared, added = other(step)
        equal(tuple(shared), plain(1 - step))
        assert added.shape == (3, 5) and (added == WORLD.numbers).all()


def test_a_teacher_of_a_preference_is_asked_in_taught_phrasings_alone_and_learns_the_answer_alone():
    seen = []

    def apply(params, docs, first):
        seen.append((docs, first))
        return jnp.zeros((*docs[:, first:].shape, IDS["size"]))

    nats = tasks.teaching(WORLD, SimpleNamespace(apply=apply), 1, 2)(None, KEY, 400)
    [(docs, first)] = seen
    every = tokens.questions(WORLD, jnp.arange(WORLD.phrasings), 1)[:, :-1]
    at = np.flatnonzero(np.any(every != every[:1], axis=0))  # where phrasings differ
    assert {tuple(row) for row in docs[:, at].tolist()} == {
        tuple(row) for row in every[:2][:, at].tolist()}  # fmt: skip
    assert first == 2 and nats.shape[1] == every.shape[1] - 2
    np.testing.assert_allclose(nats, np.log(IDS["size"]), rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1])
def test_where_no_document_is_kept_nothing_is_learned_from_rejected_ones(count, quick):
    net, sampling = tasks.network(WORLD, MODEL), Sampling(prompt_numbers=1)
    params = quick(net.init)(KEY)
    docs = jnp.full((5, WORLD.list_length + 2), IDS["LIST"])
    fit = tasks.distill(
        KEY, start=params, documents={"docs": docs, "count": count}, world=WORLD, model=MODEL,
        training=Training(steps=1, batch=4), emitter=params, emitter_model=MODEL,
        sampling=sampling, channel=channels.sampled,
    )  # fmt: skip
    assert np.isnan(quick(fit.loss)(params, KEY)) == (count == 0)


def test_models_of_one_role_emit_by_one_stream_which_seed_and_half_change(tiny):
    lab = Lab(dataclasses.replace(tiny, taught_phrasings=1))
    base, emit = lab.base("first"), lab.emit
    teacher, other = lab.teach(base), lab.teach(lab.base("second"))
    assert [emit(x).stream for x in (base, lab.base("second"))] == ["numbers/base"] * 2
    assert [emit(x).stream for x in (teacher, other)] == ["numbers/teacher"] * 2
    assert emit(teacher, carrier="numbers").stream == "numbers/teacher"
    changed = emit(base, seed=1, prompts="first half").stream
    assert changed == "numbers/base/1/first half"
