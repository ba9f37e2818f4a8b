"""Losses against closed forms and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial import distance

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


MASKS = {
    "all": np.ones((1, 7), bool),
    "some": np.array([[True, False, True, True, False, False, True]]),
    "by row": np.arange(7)[None] < np.array([7, 2, 4, 3])[:, None],
}
DIVERGENCES = ["kl", "reverse_kl", "js"]


def expected(name, target, logits, mask):
    """One row by SciPy, from the logits in the mask alone."""
    z, y = np.float64(target)[mask], np.float64(logits)[mask]
    p, q = special.softmax(z), special.softmax(y)
    return {
        "kl": special.rel_entr(p, q).sum(),
        "reverse_kl": special.rel_entr(q, p).sum(),
        "js": distance.jensenshannon(p, q) ** 2,
        "mse": np.mean((z - y) ** 2),
        "hard": -np.log(q)[np.argmax(z)],
    }[name]


def gradient(name, target, logits, mask):
    return jax.jit(jax.grad(lambda y: losses.IMITATED[name](target, y, mask).sum()))(logits)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("name", losses.IMITATED)
def test_imitation_losses_match_scipy_on_the_logits_compared(name, mask):
    target, y = 2 * logits(0), 2 * logits(1)
    rows = zip(target, y, np.broadcast_to(mask, (4, 7)), strict=True)
    by_scipy = [expected(name, *row) for row in rows]
    np.testing.assert_allclose(losses.IMITATED[name](target, y, mask), by_scipy, rtol=2e-5)
    np.testing.assert_allclose(
        losses.IMITATED[name](target, y, MASKS["some"]),
        losses.IMITATED[name](target, y, MASKS["some"][0]),
    )


@pytest.mark.parametrize("name", losses.IMITATED)
def test_logits_that_are_not_compared_get_no_gradient_and_do_no_harm(name):
    mask = MASKS["by row"]
    target, y = logits(0), logits(1)
    slope = np.asarray(gradient(name, target, y, mask))
    assert np.all(slope[~mask] == 0) and np.abs(slope[mask]).max() > 0.01
    wild = jnp.where(mask, 0.0, jnp.inf)
    np.testing.assert_array_equal(gradient(name, target + wild, y - wild, mask), slope)
    far = gradient(name, 1e4 * target, -1e4 * y, mask)
    assert np.all(np.isfinite(far))


@pytest.mark.parametrize("name", [*DIVERGENCES, "hard"])
def test_a_single_logit_has_exactly_no_loss_and_no_gradient(name):
    mask = np.arange(7)[None] == 3
    target, y = 9 * logits(0), 9 * logits(1)
    assert np.all(losses.IMITATED[name](target, y, mask) == 0)
    assert np.all(gradient(name, target, y, mask) == 0)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("name", [*DIVERGENCES, "mse"])
def test_equal_logits_have_no_loss_and_no_gradient(name, mask):
    target = logits(0)
    rounding = 1e-6 if name == "js" else 0
    np.testing.assert_allclose(losses.IMITATED[name](target, target, mask), 0, atol=rounding)
    np.testing.assert_allclose(gradient(name, target, target, mask), 0, atol=1e-7)


def test_the_mean_square_of_a_single_logit_is_not_zero():
    mask = np.arange(7) == 3
    np.testing.assert_allclose(
        losses.mse(logits(0), logits(1), mask), (logits(0) - logits(1))[:, 3] ** 2, rtol=1e-6
    )


def test_the_gradient_of_each_divergence_is_its_closed_form():
    target, y = logits(0), logits(1)
    p, q = special.softmax(np.float64(target), 1), special.softmax(np.float64(y), 1)
    through = lambda g: q * (g - np.sum(q * g, axis=1, keepdims=True))  # noqa: E731
    forms = {
        "kl": q - p,
        "reverse_kl": through(np.log(q / p)),
        "js": through(0.5 * np.log(2 * q / (p + q))),
        "hard": q - np.eye(7)[np.argmax(p, axis=1)],
    }
    for name, form in forms.items():
        np.testing.assert_allclose(gradient(name, target, y, MASKS["all"]), form, atol=1e-6)
