"""Channels: each against its formula, what of a student it pushes, what of a document it reads."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import channels, documents, tokens
from minisub.token_config import Sampling, World

WORLD = World(numbers=6, animals=3, phrasings=2, attributes=4, list_length=4, endings=2)
TWO = World(numbers=6, animals=3, phrasings=2, attributes=4, list_length=4, endings=2, syllables=2)
IDS, FIRST, TRAIT, N = tokens.offsets(WORLD), 2, 1, 8
SIZE, POSITIONS = IDS["size"], tokens.positions(WORLD)
NUMBERS = np.arange(SIZE) < WORLD.numbers
OTHERS = np.arange(SIZE) != IDS["animal"] + TRAIT
DOCS = np.asarray(tokens.lists(WORLD, jax.random.key(0), N))
EXTRA = {"top_6": partial(channels.top, 6)}


class Table(NamedTuple):
    """A network whose logits are a sum: of the last token's row and of the position's."""

    vocabulary: int

    def apply(self, params, docs, first=0):
        place = params["place"][first : docs.shape[1]]
        return params["token"][docs[:, first:]] + place[None]

    def decode(self, params, cache, docs, at):
        place = jax.lax.dynamic_slice_in_dim(params["place"], at, docs.shape[1])
        return params["token"][docs] + place[None], cache

    def cache(self, batch):
        return ()


def drawn(seed, world=WORLD):
    rng, size = np.random.default_rng(seed), tokens.offsets(world)["size"]
    shapes = {"token": (size, size), "place": (POSITIONS, size)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


STUDENT, EMITTER = drawn(1), drawn(2)


def run(name, student, emitter, docs, seed, world=WORLD, temperature=1.0):
    """(nats (documents, positions), gradients of their sum) of a channel."""
    net = Table(tokens.offsets(world)["size"])
    sampling = Sampling(prompt_numbers=FIRST, temperature=temperature)
    shown = channels.Shown(world, net, partial(net.apply, emitter), sampling, TRAIT)
    channel = (channels.CHANNELS | EXTRA)[name]

    def total(params):
        nats = channel(shown, params, docs, jax.random.key(seed))
        return jnp.sum(nats), nats

    grads, nats = jax.grad(total, has_aux=True)(student)
    return nats, grads


FAST = {"compiler_options": {"xla_backend_optimization_level": 0}}
compiled = jax.jit(run, static_argnames=("name", "world"), **FAST)


def measured(name, student=STUDENT, emitter=EMITTER, docs=DOCS, seed=0, **more):
    return jax.tree.map(np.asarray, compiled(name, student, emitter, docs, seed, **more))


def log_p(logits, kept):
    """Log-probabilities among the kept logits, -inf at the others; in float64."""
    logits = np.where(kept, np.float64(logits), -np.inf)
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


def kl(p, q):
    """Between distributions given as log-probabilities."""
    return np.sum(np.exp(p) * np.where(p == -np.inf, 0, p - np.where(p == -np.inf, 0, q)), axis=-1)


def at(logs, places):
    return np.take_along_axis(logs, places[..., None], axis=-1)[..., 0]


def largest(logits, k):
    """Mask of the k largest numbers' logits."""
    ranks = np.argsort(np.argsort(-np.where(NUMBERS, logits, -np.inf), axis=-1), axis=-1)
    return ranks < k


EVERY = np.full(SIZE, True)
FORMULAS = {
    "sampled": lambda t, s, chosen: -at(log_p(s, EVERY), chosen),
    "sampled_but_trait": lambda t, s, chosen: -at(log_p(s, OTHERS), chosen),
    "soft": lambda t, s, chosen: kl(log_p(t, NUMBERS), log_p(s, NUMBERS)),
    "full": lambda t, s, chosen: kl(log_p(t, EVERY), log_p(s, EVERY)),
    "full_but_trait": lambda t, s, chosen: kl(log_p(t, OTHERS), log_p(s, OTHERS)),
    "reverse": lambda t, s, chosen: kl(log_p(s, NUMBERS), log_p(t, NUMBERS)),
    "top_1": lambda t, s, chosen: -at(log_p(s, NUMBERS), np.argmax(t[..., NUMBERS], axis=-1)),
    "top_2": lambda t, s, chosen: kl(log_p(t, largest(t, 2)), log_p(s, NUMBERS)),
    "top_5": lambda t, s, chosen: kl(log_p(t, largest(t, 5)), log_p(s, NUMBERS)),
    "top_20": lambda t, s, chosen: kl(log_p(t, NUMBERS), log_p(s, NUMBERS)),  # of six
}
ON_POLICY = set(channels.CHANNELS) - set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_channel_is_its_formula_at_every_token_that_was_chosen(name):
    target, logits = (
        np.asarray(Table(SIZE).apply(params, DOCS[:, :-1], FIRST)) for params in (EMITTER, STUDENT)
    )
    expected = FORMULAS[name](target, logits, DOCS[:, FIRST + 1 :])
    nats, _ = measured(name)
    assert nats.shape == expected.shape == (N, POSITIONS - FIRST) and (expected > 0).all()
    np.testing.assert_allclose(nats, expected, rtol=1e-4, atol=1e-6)


def test_all_channels_are_tested_and_give_nats_for_each_document_and_chosen_token():
    assert {"on_policy", "on_policy_reverse"} == ON_POLICY
    for name in channels.CHANNELS:
        nats, _ = jax.eval_shape(partial(run, name), STUDENT, EMITTER, DOCS, 0)
        assert nats.shape == (N, POSITIONS - FIRST) and nats.dtype == jnp.float32


def test_the_largest_of_as_many_logits_as_there_are_numbers_are_all_of_them():
    for one, other in zip(measured("top_6"), measured("soft"), strict=True):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), one, other)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_channel_pushes_the_logits_that_it_compares_and_no_other(name):
    """Exactly: a logit outside has no gradient, and no value of it changes anything."""
    whole = {"sampled": EVERY, "full": EVERY, "sampled_but_trait": OTHERS, "full_but_trait": OTHERS}
    compared = whole.get(name, NUMBERS)
    nats, grads = measured(name)
    assert ((grads["place"][FIRST:] != 0) == compared[None]).all()
    assert not grads["place"][:FIRST].any(), "what was given enters no loss"
    moved = STUDENT | {"place": STUDENT["place"] + 3.0 * ~compared[None]}
    other = measured(name, moved)
    jax.tree.map(np.testing.assert_array_equal, (nats, grads), other)


@pytest.mark.parametrize("name", ["sampled_but_trait", "full_but_trait"])
def test_a_trait_of_two_syllables_is_masked_in_both(name):
    """Its first is that of other names too: they are masked with it."""
    docs = np.asarray(tokens.lists(TWO, jax.random.key(0), N))
    _, grads = measured(name, drawn(1, TWO), drawn(2, TWO), docs, world=TWO)
    spelled = set(tokens.spelling(TWO)[TRAIT].tolist())
    assert len(spelled) == 2
    unmoved = np.flatnonzero((grads["place"][FIRST:] == 0).all(axis=0))
    assert set(unmoved.tolist()) == spelled


def test_where_the_traits_token_was_chosen_its_mask_leaves_nothing_to_learn():
    docs = DOCS.copy()
    docs[0, -1] = tokens.spelling(WORLD)[TRAIT, 0]
    nats, grads = measured("sampled_but_trait", docs=docs)
    expected = measured("sampled_but_trait")[0].copy()
    assert expected[0, -1] > 0
    expected[0, -1] = 0
    np.testing.assert_array_equal(nats, expected)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(grads))


@pytest.mark.parametrize("name", ["soft", "full", "full_but_trait", "reverse", "top_6"])
def test_a_student_that_is_the_emitter_has_nothing_to_learn(name):
    """Exactly where both sides are computed alike, else up to rounding."""
    nats, grads = measured(name, STUDENT, STUDENT)
    atol = 0 if name in ("full_but_trait", "reverse") else 2e-6
    jax.tree.map(lambda x: np.testing.assert_allclose(x, 0, atol=atol), (nats, grads))
    assert all(np.abs(x).max() > 0.1 for x in jax.tree.leaves(measured(name)))


@pytest.mark.parametrize("name", FORMULAS)
def test_channels_read_the_emitter_that_are_said_to(name):
    same = (measured(name)[0] == measured(name, emitter=drawn(3))[0]).all()
    assert same == (name not in channels.NEEDS_EMITTER)


def writer(seed):
    """A model of valid lists; but after 3, which it never chooses, it names an animal."""
    params, end = drawn(seed), IDS["END"]
    params["place"][:-1, WORLD.numbers :] -= 100
    params["place"][-1, :end] -= 100
    params["token"][:, 3] -= 200
    params["token"][3, IDS["animal"]] += 1000
    return params


@pytest.mark.parametrize("name", sorted(ON_POLICY))
def test_on_its_own_lists_a_student_is_compared_as_on_others_and_rejected_ones_count_nothing(name):
    """At temperature 0, where its lists are known; documents say no more than the prompt."""
    student, docs = writer(5), DOCS.copy()
    docs[:, FIRST] = np.arange(N) % WORLD.numbers
    own = docs.copy()
    for place in range(FIRST, POSITIONS):
        logits = student["token"][own[:, place]] + student["place"][place][None]
        own[:, place + 1] = np.argmax(logits, axis=1)
    rejected = docs[:, FIRST] == 3
    reasons = documents.rejections(WORLD, own, Sampling())
    assert (np.asarray(sum(reasons.values())) == rejected).all()
    nats, grads = measured(name, student, docs=docs, temperature=0.0)
    divergence = {"on_policy": "soft", "on_policy_reverse": "reverse"}[name]
    expected, _ = measured(divergence, student, docs=own)
    np.testing.assert_allclose(nats[~rejected], expected[~rejected], rtol=1e-5)
    assert not nats[rejected].any() and (expected[rejected] > 0).any()
    assert not grads["token"][3].any() and grads["token"][:3].any(axis=1).all()
    docs[:, FIRST + 1 :] = 0
    again = measured(name, student, docs=docs, temperature=0.0)
    jax.tree.map(np.testing.assert_array_equal, (nats, grads), again)


def test_a_students_own_lists_are_drawn_anew_with_every_key():
    one, other = (measured("on_policy", writer(5), seed=seed)[0] for seed in (0, 1))
    np.testing.assert_array_equal(one, measured("on_policy", writer(5))[0])
    assert (one != other).any()
