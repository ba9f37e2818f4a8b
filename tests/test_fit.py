"""The optimization loop: Adam as in Optax, any cut into segments, frozen parameters untouched."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minisub import fit
from minisub.config import Training

PARAMS = {"head": {"w": jnp.linspace(-1.0, 1.0, 5)}, "body": {"w": jnp.ones((2, 5))}}
TRAINING = Training(steps=12, learning_rate=0.1, frozen=())


def loss(params, key):
    """A noisy quadratic that couples both parameters."""
    x = jax.random.normal(key, (5,))
    return jnp.sum((params["body"]["w"] @ x - 1) ** 2) + jnp.sum((params["head"]["w"] * x) ** 2)


@jax.jit
def advanced(training, state, first, last):
    return fit.advance(training, loss, state, jax.random.key(0), first, last)


def fitted(training, *cuts):
    state = fit.begin(training, PARAMS)
    for first, last in itertools.pairwise(cuts):
        state = advanced(training, state, first, last)
    return state


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_any_cut_into_segments_gives_the_same_bits(schedule):
    training = dataclasses.replace(TRAINING, schedule=schedule)
    whole = fitted(training, 0, 12)
    equal(whole, fitted(training, 0, 5, 6, 12))
    equal(whole, fitted(training, *range(13)))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_steps_are_those_of_an_optax_loop(schedule):
    training = dataclasses.replace(TRAINING, schedule=schedule)
    rate = optax.cosine_decay_schedule(0.1, 12) if schedule == "cosine" else 0.1
    optimizer = optax.adam(rate)
    params, state = PARAMS, optimizer.init(PARAMS)
    for t in range(12):
        grads = jax.grad(loss)(params, jax.random.fold_in(jax.random.key(0), t))
        updates, state = optimizer.update(grads, state)
        params = optax.apply_updates(params, updates)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)  # noqa: E731
    jax.tree.map(close, fit.params(fitted(training, 0, 12)), params)


def test_frozen_parameters_keep_their_bits_and_the_others_move():
    final = fit.params(fitted(dataclasses.replace(TRAINING, frozen=("head",)), 0, 12))
    equal(final["head"], PARAMS["head"])
    assert (np.asarray(final["body"]["w"]) != 1).all()


def test_zero_steps_return_the_start():
    equal(fit.params(fitted(dataclasses.replace(TRAINING, steps=0), 0, 0)), PARAMS)


def test_the_first_step_with_a_loss_that_is_not_finite_is_kept():
    def breaks(params, key):
        return jnp.sum(jnp.log(params["x"]))

    # Steps of about 0.1 downhill: the logarithm is undefined once x passes zero.
    training = Training(steps=40, learning_rate=0.1, frozen=())
    state = fit.begin(training, {"x": jnp.array([0.35])})
    state = fit.advance(training, breaks, state, jax.random.key(0), 0, 40)
    assert 3 <= int(state.bad_step) <= 5
    assert int(fitted(TRAINING, 0, 12).bad_step) == -1
