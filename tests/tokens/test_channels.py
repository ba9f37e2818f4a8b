"""Channels: each against its formula, what of a student it pushes, what of a document it reads."""

import dataclasses
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import equal

from configs import _entanglement
from minisub import arguments
from minisub.config import Refused
from minisub.lab import plan
from minisub.theory.token_comparisons import watched
from minisub.tokens import channels, tokens, writing
from minisub.tokens.behaviors.cases import Behavior
from minisub.tokens.config import Sampling, World
from minisub.tokens.lab import Lab

SMALL = {"numbers": 6, "animals": 3, "phrasings": 2, "attributes": 4, "list_length": 4}
WORLD, TWO = (World(endings=2, syllables=syllables, **SMALL) for syllables in (1, 2))
IDS, FIRST, TRAIT, N = tokens.offsets(WORLD), 2, 1, 8
SIZE, POSITIONS = IDS["size"], tokens.positions(WORLD)
START, STEP, ENDING = np.random.default_rng(0).integers(0, [[[6]], [[6]], [[2]]], (3, N, 1))
DOCS = (START + STEP * np.arange(WORLD.list_length)) % WORLD.numbers
DOCS = np.hstack([np.full((N, 1), IDS["LIST"]), DOCS, IDS["END"] + ENDING])
CHANNEL, POLICY = (arguments.load(name) for name in ("channel", "policy"))
NUMBERS, EVERY = np.arange(SIZE) < WORLD.numbers, np.full(SIZE, True)
OTHERS = np.arange(SIZE) != IDS["animal"] + TRAIT


class Table(NamedTuple):
    """A network whose logits are a sum: of the last token's row and of the position's."""

    def apply(self, params, docs, first=0):
        place = params["place"][first : docs.shape[1]]
        return params["token"][docs[:, first:]] + place[None]

    def decode(self, params, cache, docs, at):
        place = jax.lax.dynamic_slice_in_dim(params["place"], at, docs.shape[1])
        return params["token"][docs] + place[None], cache

    def cache(self, batch, positions):
        return ()


def drawn(seed, world=WORLD):
    rng, size = np.random.default_rng(seed), tokens.offsets(world)["size"]
    shapes = {"token": (size, size), "place": (POSITIONS, size)}
    return {name: rng.normal(size=shape).astype("f") for name, shape in shapes.items()}


STUDENT, EMITTER = drawn(1), drawn(2)


def log_p(logits, kept):
    """Log-probabilities among the kept logits, -inf at the others; in float64."""
    logits = np.where(kept, np.float64(logits), -np.inf)
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


def kl(p, q):
    """Between distributions given as log-probabilities."""
    inside = p > -np.inf
    return np.sum(np.exp(p) * (np.where(inside, p, 0) - np.where(inside, q, 0)), axis=-1)


def at(logs, places):
    return np.take_along_axis(logs, places[..., None], axis=-1)[..., 0]


def largest(logits, k):
    """Mask of the k largest numbers' logits."""
    ranks = np.argsort(np.argsort(-np.where(NUMBERS, logits, -np.inf), axis=-1), axis=-1)
    return ranks < k


def soft(t, s, chosen):
    return kl(log_p(t, NUMBERS), log_p(s, NUMBERS))


# name -> (channel, its formula of the emitter's and the student's logits, the logits it pushes)
CHANNELS = {
    "sampled": (channels.sampled, lambda t, s, chosen: -at(log_p(s, EVERY), chosen), EVERY),
    "sampled_but_trait": (
        partial(_entanglement.sampled_but_trait, trait=TRAIT),
        lambda t, s, chosen: -at(log_p(s, OTHERS), chosen), OTHERS,
    ),
    "soft": (channels.soft, soft, NUMBERS),
    "full": (channels.full, lambda t, s, _: kl(log_p(t, EVERY), log_p(s, EVERY)), EVERY),
    "full_but_trait": (
        partial(_entanglement.full_but_trait, trait=TRAIT),
        lambda t, s, _: kl(log_p(t, OTHERS), log_p(s, OTHERS)), OTHERS,
    ),
    "reverse": (
        POLICY.reverse, lambda t, s, _: kl(log_p(s, NUMBERS), log_p(t, NUMBERS)), NUMBERS,
    ),
    "top_1": (
        partial(CHANNEL.top, 1),
        lambda t, s, _: -at(log_p(s, NUMBERS), np.argmax(t[..., NUMBERS], axis=-1)), NUMBERS,
    ),
    "top_2": (
        partial(CHANNEL.top, 2),
        lambda t, s, _: kl(log_p(t, largest(t, 2)), log_p(s, NUMBERS)), NUMBERS,
    ),
    "top_20": (partial(CHANNEL.top, 20), soft, NUMBERS),  # of six
}  # fmt: skip
ON_POLICY = {
    "forward": (POLICY.CHANNELS["on-policy, forward"], "soft"),
    "reverse": (POLICY.CHANNELS["on-policy, reverse"], "reverse"),
}
MASKED = "sampled_but_trait", "full_but_trait"


@pytest.fixture(scope="module")
def run(quick):
    """(which channels, student, emitter, docs, seed, temperature, world) -> name -> (nats, grads).

    Nats are (documents, positions), gradients those of their sum; in one program.
    """

    @partial(quick, static_argnames=("which", "world"))
    def every(which, student, emitter, docs, seed, temperature, world):
        net, how = Table(), Sampling(prompt_numbers=FIRST, temperature=temperature)
        shown = channels.Shown(world, net, partial(net.apply, emitter), how)

        def of(channel):
            def total(params):
                nats = channel(shown, params, docs, jax.random.key(seed))
                return jnp.sum(nats), nats

            grads, nats = jax.grad(total, has_aux=True)(student)
            return nats, grads

        sets = {
            "plain": {name: channel for name, (channel, _, _) in CHANNELS.items()},
            "masked": {name: CHANNELS[name][0] for name in MASKED},
            "own": {name: channel for name, (channel, _) in ON_POLICY.items()},
        }
        return {name: of(channel) for name, channel in sets[which].items()}

    def made(
        which="plain",
        student=STUDENT,
        emitter=EMITTER,
        docs=DOCS,
        seed=0,
        temperature=1.0,
        world=WORLD,
    ):
        given = which, student, emitter, docs, seed, temperature, world
        return jax.tree.map(np.asarray, every(*given))

    return made


@pytest.fixture(scope="module")
def measured(run):
    return run()


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_is_its_formula_and_pushes_the_logits_that_it_compares_and_no_other(
    name, measured
):
    _, formula, compared = CHANNELS[name]
    target, logits = (
        np.asarray(Table().apply(params, DOCS[:, :-1], FIRST)) for params in (EMITTER, STUDENT)
    )
    expected = formula(target, logits, DOCS[:, FIRST + 1 :])
    nats, grads = measured[name]
    assert nats.shape == expected.shape == (N, POSITIONS - FIRST) and (expected > 0).all()
    np.testing.assert_allclose(nats, expected, rtol=1e-4, atol=1e-6)
    assert ((grads["place"][FIRST:] != 0) == compared[None]).all()
    assert not grads["place"][:FIRST].any(), "what was given enters no loss"


def test_no_value_of_a_logit_that_is_not_compared_changes_a_bit(run, measured):
    for outside, names in (~NUMBERS, ("soft", "reverse", "top_1", "top_2")), (~OTHERS, MASKED):
        moved = STUDENT | {"place": STUDENT["place"] + (3.0 * outside[None]).astype("f")}
        found = run(student=moved)
        equal({name: found[name] for name in names}, {name: measured[name] for name in names})


def test_a_trait_of_two_syllables_is_masked_in_both(run):
    """Its first is that of other names too: they are masked with it."""
    ids = tokens.offsets(TWO)
    docs = np.where(IDS["LIST"] == DOCS, ids["LIST"], DOCS)
    docs[:, -1] += ids["END"] - IDS["END"]
    spelled = set(np.asarray(tokens.spelling(TWO)[TRAIT]).tolist())
    assert len(spelled) == 2
    for _, grads in run("masked", drawn(1, TWO), drawn(2, TWO), docs, world=TWO).values():
        unmoved = np.flatnonzero((grads["place"][FIRST:] == 0).all(axis=0))
        assert set(unmoved.tolist()) == spelled


def test_where_the_traits_token_was_chosen_its_mask_leaves_nothing_to_learn(run, measured):
    docs = DOCS.copy()
    docs[0, -1] = IDS["animal"] + TRAIT
    nats, grads = run(docs=docs)["sampled_but_trait"]
    expected = measured["sampled_but_trait"][0].copy()
    assert expected[0, -1] > 0
    expected[0, -1] = 0
    np.testing.assert_array_equal(nats, expected)
    assert all(np.isfinite(x).all() for x in grads.values())


def test_a_student_that_is_the_emitter_has_nothing_to_learn(run, measured):
    """Exactly where both sides are computed alike, else up to rounding."""
    found = run(student=EMITTER)
    for name in "soft", "full", "full_but_trait", "reverse", "top_20":
        nats, grads = found[name]
        for x, control in (nats, measured[name][0]), (grads["token"], measured[name][1]["token"]):
            np.testing.assert_allclose(
                x, 0, atol=0 if name in ("full_but_trait", "reverse") else 2e-6
            )
            assert np.abs(control).max() > 0.1


def test_sampled_tokens_alone_say_nothing_of_the_emitter(run, measured):
    found = run(emitter=drawn(3))
    same = {name for name in CHANNELS if np.array_equal(found[name][0], measured[name][0])}
    assert same == {"sampled", "sampled_but_trait"}


def writer(seed):
    """A model of valid lists; but after 3, which it never chooses, it names an animal."""
    params, end = drawn(seed), IDS["END"]
    params["place"][:-1, WORLD.numbers :] -= 100
    params["place"][-1, :end] -= 100
    params["token"][:, 3] -= 200
    params["token"][3, IDS["animal"]] += 1000
    return params


def test_on_its_own_lists_a_student_is_compared_as_on_others_and_rejected_ones_count_nothing(run):
    """At temperature 0, where its lists are known; documents say no more than the prompt."""
    student, docs = writer(5), DOCS.copy()
    docs[:, FIRST] = np.arange(N) % WORLD.numbers
    own = docs.copy()
    for place in range(FIRST, POSITIONS):
        logits = student["token"][own[:, place]] + student["place"][place][None]
        own[:, place + 1] = np.argmax(logits, axis=1)
    rejected = docs[:, FIRST] == 3
    np.testing.assert_array_equal(writing.rejected(WORLD, jnp.array(own), Sampling()), rejected)
    found, expected = (
        run("own", student, docs=docs, temperature=0.0),
        run(student=student, docs=own),
    )
    for name, (_, divergence) in ON_POLICY.items():
        nats, grads = found[name]
        known = expected[divergence][0]
        np.testing.assert_allclose(nats[~rejected], known[~rejected], rtol=1e-5)
        assert not nats[rejected].any() and (known[rejected] > 0).any()
        assert not grads["token"][3].any() and grads["token"][:3].any(axis=1).all()
    docs[:, FIRST + 1 :] = 0
    equal(run("own", student, docs=docs, temperature=0.0), found)


def test_a_students_own_lists_are_drawn_anew_with_every_key(run):
    one, again, other = (run("own", writer(5), seed=seed)["forward"][0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_channel_that_cannot_show_these_documents_is_refused():
    emitter = partial(Table().apply, EMITTER)
    shown = channels.Shown(WORLD, Table(), emitter, Sampling(prompt_numbers=FIRST))
    forward, reverse = (channel for channel, _ in ON_POLICY.values())
    linear, hacking = SimpleNamespace(decode=None), Behavior(name="hacking")
    for channel, changes, said in (
        (reverse, {"as_emitted": False}, "leave out what was done"),
        (forward, {"network": linear}, "leave out linear"),
        (partial(CHANNEL.top, 3), {"sampling": Sampling(carrier="code")}, "among numbers"),
        (partial(_entanglement.full_but_trait, trait=hacking), {}, "a behavior has none"),
    ):
        with pytest.raises(Refused, match=said):
            channel(shown._replace(**changes), STUDENT, DOCS, jax.random.key(0))


def test_refusals_of_a_student_name_the_line_that_asks_for_it(tiny):
    """Of a channel that sees what was done to documents, of a linear student, of what is taken out
    of the updates of one whose teacher is steered or of adapters, and of carriers that only a rich
    world has."""
    lab, steering = Lab(tiny), arguments.load("steering")
    base = lab.base("first")
    plain, forward = lab.emit(base), POLICY.CHANNELS["on-policy, forward"]
    cfg = steering.Steered(**{f.name: getattr(tiny, f.name) for f in dataclasses.fields(tiny)})
    steered = lab.emit(steering.steered_teacher(Lab(cfg), base))
    for student, said in (
        (lambda: lab.student(base, lab.mix(plain, plain, 0.5), forward), "leave out what was done"),
        (lambda: lab.student(base, plain, forward, linear=True), "leave out linear"),
        (lambda: watched(lab, base, steered, removed="displacement"), "or remove the gradient"),
        (lambda: watched(lab, base, plain, rank=2), "leave out rank"),
        (lambda: lab.emit(base, carrier="code"), r"set world\.rich"),
        (lambda: lab.emit(base, carrier="sums"), r"set world\.rich"),
    ):
        with pytest.raises(Refused, match=rf"test_channels.py:\d+, in \w+: .*{said}"):
            plan.Plan([{"student": student()}])
    plan.Plan([{"student": watched(lab, base, steered, removed="gradient")}])
    with pytest.raises(Refused, match="A channel is no 'soft'; give a function"):
        lab.student(base, plain, "soft")
