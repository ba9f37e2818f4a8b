"""Update rules against plain loops, and where each puts weight decay."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minisub import optimizers
from minisub.config import Training

TRAINING = Training(steps=5, learning_rate=0.05, weight_decay=0.3)
START = np.linspace(-1.0, 2.0, 6)
RNG = np.random.default_rng(0)
GRADIENTS = RNG.normal(size=(5, 6)) * np.geomspace(1e-3, 1, 6)
CASES = [(rule, schedule) for rule in optimizers.OPTIMIZERS for schedule in ("constant", "cosine")]


def rates(training):
    t = np.arange(training.steps) / training.steps
    cosine = 0.5 * (1 + np.cos(np.pi * t))
    return training.learning_rate * (cosine if training.schedule == "cosine" else np.ones(len(t)))


def by_hand(training, w, gradients):
    """The parameters after a loop in NumPy, one vector."""
    name, coefficient = training.optimizer, training.weight_decay
    mean, square, trace = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, (rate, g) in enumerate(zip(rates(training), gradients, strict=False), 1):
        if name not in ("adam", "adamw"):
            g = g + coefficient * w
        trace = g + 0.9 * trace
        if name.startswith("adam"):
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
            step = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
            step = step + coefficient * w if name == "adamw" else step
        elif name == "rmsprop":
            square = 0.99 * square + 0.01 * g**2
            step = g / (np.sqrt(square) + 1e-8)
        else:
            step = {"sgd": g, "momentum": trace, "signum": np.sign(trace)}[name]
        w = w - rate * step
    return w


@jax.jit
def updated(training, params, gradients):
    """The parameters after a step for each gradient of a list of trees."""
    optimizer = optimizers.make(training)
    state = optimizer.init(params)
    for g in gradients:
        updates, state = optimizer.update(g, state, params)
        params = optax.apply_updates(params, updates)
    return params


def rule(name, **fields):
    return dataclasses.replace(TRAINING, optimizer=name, **fields)


def single(training, gradients, start=START):
    tree = lambda x: {"w": jnp.float32(x)}  # noqa: E731
    return np.asarray(updated(training, tree(start), [tree(g) for g in gradients])["w"])


@pytest.mark.parametrize(("name", "schedule"), CASES)
def test_each_rule_is_the_loop_that_its_name_says(name, schedule):
    training = rule(name, schedule=schedule)
    expected = by_hand(training, START, GRADIENTS)
    np.testing.assert_allclose(single(training, GRADIENTS), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - START).max() > 0.01


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_decay_matters_in_all_but_adam_and_spares_the_undecayed(name):
    tree = lambda x: {"head": {"kernel": jnp.float32(x), "bias": jnp.float32(x)}}  # noqa: E731
    gradients = [tree(g) for g in GRADIENTS]
    spared, none = (
        updated(rule(name, **fields), tree(START), gradients)["head"]
        for fields in ({"undecayed": ("bias",)}, {"weight_decay": 0.0})
    )
    np.testing.assert_allclose(spared["bias"], none["bias"], rtol=1e-6)
    same = np.array_equal(spared["kernel"], none["kernel"])
    assert same == (name == "adam")


def test_adam_is_bitwise_that_of_optax():
    training = rule("adam", schedule="constant")
    plain = optax.chain(optax.scale_by_adam(), optax.scale_by_learning_rate(lambda t: 0.05))
    params, made = {"w": jnp.float32(START)}, optimizers.make(training)
    a, b = plain.init(params), made.init(params)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for g in GRADIENTS:
        steps, a = plain.update({"w": jnp.float32(g)}, a)
        others, b = made.update({"w": jnp.float32(g)}, b, params)
        np.testing.assert_array_equal(steps["w"], others["w"])


def test_without_a_gradient_decoupled_decay_shrinks_weights_in_proportion():
    shrunk = single(rule("adamw"), np.zeros((1, 6)))
    np.testing.assert_allclose(shrunk, START * (1 - 0.05 * 0.3), rtol=1e-6)


@pytest.mark.parametrize("coefficient", [1e-3, 1.0])
def test_without_a_gradient_l2_moves_weights_by_the_learning_rate_whatever_its_coefficient(
    coefficient,
):
    moved = single(rule("adam_l2", weight_decay=coefficient), np.zeros((1, 6)))
    np.testing.assert_allclose(moved, START - 0.05 * np.sign(START), rtol=1e-4)


def test_l2_and_decoupled_decay_differ():
    one, other = (single(rule(name), GRADIENTS) for name in ("adamw", "adam_l2"))
    assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_numbers_may_be_traced_and_frozen_leaves_are_left_out(name):
    params = {"a": {"w": jnp.float32(START)}, "frozen": {"w": None}}
    gradients = [{"a": {"w": jnp.float32(g)}, "frozen": {"w": None}} for g in GRADIENTS]
    undecayed = ("frozen", "bias")
    swept = rule(name, weight_decay=jnp.array([0.0, 0.3]), undecayed=undecayed)
    axes = jax.tree.map(lambda x: 0 if jnp.ndim(x) else None, swept)
    made = jax.vmap(updated, (axes, None, None))(swept, params, gradients)
    assert made["frozen"]["w"] is None
    for row, coefficient in zip(made["a"]["w"], (0.0, 0.3), strict=True):
        alone = rule(name, weight_decay=coefficient)
        np.testing.assert_allclose(row, single(alone, GRADIENTS), rtol=1e-5, atol=1e-6)
