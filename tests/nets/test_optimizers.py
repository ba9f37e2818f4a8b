"""Update rules against loops in NumPy, and where each puts weight decay."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from same import equal

from minisub.config import Training
from minisub.nets import optimizers

TRAINING = Training(steps=12, learning_rate=0.05)
START = np.linspace(-1.0, 2.0, 6).astype("f")
GRADIENTS = np.random.default_rng(0).normal(size=(12, 6)) * np.geomspace(1e-3, 1, 6)
GRADIENTS = GRADIENTS.astype("f")


def by_hand(name, rates, coefficient, gradients):
    """The parameters (2, 6) after a loop in NumPy: the first row decays, the second does not."""
    w, mean, square, trace = np.stack([START, START]).astype(float), 0.0, 0.0, 0.0
    coefficient = np.array([[coefficient], [0.0]])
    for t, (rate, g) in enumerate(zip(rates, gradients, strict=True), 1):
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
        elif name == "frozen_scale":
            square = square + g**2 * (t <= 10)  # of the first ten gradients
            mean = 0.9 * mean + 0.1 * g / (np.sqrt(square / min(t, 10)) + 1e-8)
            step = mean / (1 - 0.9**t)
        else:
            step = {
                "sgd": g, "signsgd": np.sign(g), "normalized_sgd": g / np.linalg.norm(g),
                "momentum": trace, "signum": np.sign(trace),
                "normalized": trace / np.linalg.norm(trace),  # of all parameters together
            }[name]  # fmt: skip
        w = w - rate * step
    return w


@pytest.fixture(scope="module", params=["constant", "cosine"])
def updated(request, quick):
    """(schedule, (gradients, decays) -> rule -> parameters (decays, 6)), one program for all.

    Gradients are for "kernel" and "bias", which does not decay; "frozen" has none.
    """

    def fitted(name, gradients, coefficient):
        training = dataclasses.replace(
            TRAINING, optimizer=name, schedule=request.param, weight_decay=coefficient,
            undecayed=("bias",),
        )  # fmt: skip
        rule = optimizers.make(training)
        params = {"head": {"kernel": START, "bias": START}, "frozen": {"w": None}}

        def step(carry, g):
            params, state = carry
            g = {"head": {"kernel": g, "bias": g}, "frozen": {"w": None}}
            updates, state = rule.update(g, state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, rule.init(params)), gradients)[0][0]

    @quick
    def every(gradients, decays):
        return {
            name: jax.vmap(lambda decay, name=name: fitted(name, gradients, decay))(decays)
            for name in optimizers.OPTIMIZERS
        }

    return request.param, every


def test_each_rule_is_the_loop_that_its_name_says_with_decay_where_it_belongs(updated):
    """The coefficient is traced, and so mapped; what does not decay is as without any."""
    schedule, every = updated
    decays, t = np.array([0.0, 0.3]), np.arange(12) / 12
    rates = 0.05 * (0.5 * (1 + np.cos(np.pi * t)) if schedule == "cosine" else np.ones(12))
    for name, found in every(GRADIENTS, decays.astype("f")).items():
        for row, bias, decay in zip(
            found["head"]["kernel"], found["head"]["bias"], decays, strict=True
        ):
            expected = by_hand(name, rates, decay, GRADIENTS)
            np.testing.assert_allclose([row, bias], expected, rtol=1e-4, atol=1e-5)
        decayed = np.abs(np.diff(found["head"]["kernel"], axis=0)).max()
        assert decayed == 0 if name == "adam" else decayed > 1e-3
        assert found["frozen"]["w"] is None


def test_without_gradients_decay_shrinks_in_proportion_or_moves_by_the_rate(updated):
    """Decoupled in adamw; normalized like a gradient in adam_l2, whatever its coefficient."""
    schedule, every = updated
    if schedule == "cosine":
        pytest.skip("the same")
    found = every(np.zeros((5, 6), "f"), np.array([1e-3, 0.3], "f"))
    np.testing.assert_allclose(
        found["adamw"]["head"]["kernel"][1], START * (1 - 0.05 * 0.3) ** 5, rtol=1e-5
    )
    small, large = found["adam_l2"]["head"]["kernel"]
    far = np.abs(START) > 0.3
    np.testing.assert_allclose(small[far], (START - 0.25 * np.sign(START))[far], rtol=0.05)
    np.testing.assert_allclose(small[far], large[far], rtol=0.05)


def test_adam_is_bitwise_that_of_optax():
    made = optimizers.make(TRAINING)
    plain = optax.chain(optax.scale_by_adam(), optax.scale_by_learning_rate(lambda t: 0.05))
    params = {"w": jnp.asarray(START)}
    a, b = plain.init(params), made.init(params)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for g in GRADIENTS[:2]:
        steps, a = plain.update({"w": jnp.asarray(g)}, a)
        others, b = made.update({"w": jnp.asarray(g)}, b, params)
        equal(steps, others)
