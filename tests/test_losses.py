"""Losses against closed forms and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from minisub import losses


def logits(seed, shape=(4, 7)):
    return jax.random.normal(jax.random.key(seed), shape)


def test_cross_entropy_is_the_negative_log_softmax_of_the_target():
    z, targets = logits(0), jnp.array([0, 3, 6, 2])
    expected = -special.log_softmax(np.asarray(z), axis=-1)[np.arange(4), targets]
    np.testing.assert_allclose(losses.cross_entropy(z, targets), expected, rtol=1e-6)


def test_kl_divergence_matches_scipy_and_is_zero_with_zero_gradient_at_equality():
    p, q = logits(0), logits(1)
    expected = stats.entropy(special.softmax(p, axis=1), special.softmax(q, axis=1), axis=1)
    np.testing.assert_allclose(losses.kl_divergence(p, q), expected, rtol=1e-5)
    assert np.all(np.asarray(losses.kl_divergence(p, p)) == 0)
    gradient = jax.grad(lambda q: losses.kl_divergence(p, q).sum())(p)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    assert np.abs(jax.grad(lambda q: losses.kl_divergence(p, q).sum())(q)).max() > 0.01


def test_the_gradient_of_kl_is_the_difference_of_the_softmaxes():
    p, q = logits(0), logits(1)
    gradient = jax.grad(lambda q: losses.kl_divergence(p, q).sum())(q)
    np.testing.assert_allclose(gradient, jax.nn.softmax(q) - jax.nn.softmax(p), atol=1e-6)
