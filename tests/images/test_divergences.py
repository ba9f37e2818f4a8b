"""Divergences against closed forms and SciPy, and zeros that are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from scipy.spatial import distance

from configs import losses
from minisub.images.config import Imitation

RNG = np.random.default_rng(0)
TARGET, LOGITS = (2 * RNG.normal(size=(4, 7)).astype(np.float32) for _ in range(2))
MASKS = {
    "all": np.ones((4, 7), bool),
    "some": np.tile([True, False, True, True, False, False, True], (4, 1)),
    "by row": np.arange(7)[None] < np.array([7, 2, 4, 3])[:, None],
    "single": np.tile(np.arange(7) == 3, (4, 1)),
}


@pytest.fixture(scope="module")
def measured(quick):
    """(target, logits, mask) -> {name: (values, gradient of their sum)}, in one program."""

    @quick
    def every(target, logits, mask):
        def value(loss):
            def total(y):
                nats = loss(target, y, mask)
                return jnp.sum(nats), nats

            slope, nats = jax.grad(total, has_aux=True)(logits)
            return nats, slope

        return {name: value(loss) for name, loss in losses.LOSSES.items()}

    return lambda *given: jax.tree.map(np.asarray, every(*given))


def by_scipy(target, logits, mask):
    """The divergences of one row, from the logits in the mask alone."""
    z, y = np.float64(target)[mask], np.float64(logits)[mask]
    p, q = special.softmax(z), special.softmax(y)
    return {
        "kl": special.rel_entr(p, q).sum(),
        "reverse_kl": special.rel_entr(q, p).sum(),
        "js": distance.jensenshannon(p, q) ** 2,
        "mse": np.mean((z - y) ** 2),
        "hard": -np.log(q)[np.argmax(z)],
    }


@pytest.mark.parametrize("name", MASKS)
def test_divergences_are_those_of_scipy_on_the_logits_compared_and_push_no_other(name, measured):
    mask = MASKS[name]
    found = measured(TARGET, LOGITS, mask)
    rows = [by_scipy(*row) for row in zip(TARGET, LOGITS, mask, strict=True)]
    # The others may hold anything.
    wild = np.where(mask, 0, np.inf).astype(np.float32)
    other = measured(TARGET + wild, LOGITS - wild, mask)
    for loss, (nats, slope) in found.items():
        np.testing.assert_allclose(nats, [row[loss] for row in rows], rtol=2e-5, atol=1e-7)
        assert not slope[~mask].any()
        np.testing.assert_array_equal(other[loss][1], slope)
        np.testing.assert_array_equal(other[loss][0], nats)
    for nats, slope in measured(1e4 * TARGET, -1e4 * LOGITS, mask).values():
        assert np.isfinite(nats).all() and np.isfinite(slope).all()


def test_a_single_logit_has_exactly_no_loss_but_its_square(measured):
    """Adam makes full steps of gradients however small, so they must be zero and not just tiny."""
    for loss, (nats, slope) in measured(9 * TARGET, 9 * LOGITS, MASKS["single"]).items():
        assert (nats.any(), slope.any()) == (loss == "mse",) * 2


@pytest.mark.parametrize("name", MASKS)
def test_equal_logits_have_exactly_no_slope(name, measured):
    found = measured(TARGET, TARGET, MASKS[name])
    for loss in "kl", "reverse_kl", "js", "mse":
        nats, slope = found[loss]
        np.testing.assert_allclose(nats, 0, atol=1e-6 if loss == "js" else 0)
        assert not slope.any()


def test_the_gradient_of_each_divergence_is_its_closed_form(measured):
    p, q = special.softmax(np.float64(TARGET), 1), special.softmax(np.float64(LOGITS), 1)
    through = lambda g: q * (g - np.sum(q * g, axis=1, keepdims=True))  # noqa: E731
    forms = {
        "kl": q - p,
        "reverse_kl": through(np.log(q / p)),
        "js": through(0.5 * np.log(2 * q / (p + q))),
        "mse": 2 * (np.float64(LOGITS) - TARGET) / 7,
        "hard": q - np.eye(7)[np.argmax(p, axis=1)],
    }
    for name, (_, slope) in measured(TARGET, LOGITS, MASKS["all"]).items():
        np.testing.assert_allclose(slope, forms[name], atol=1e-6)


def test_masks_of_a_row_serve_all_rows():
    for name, loss in losses.LOSSES.items():
        given = TARGET, LOGITS, MASKS["some"][0]
        chosen = losses.divergence(Imitation(loss=name), *given)
        np.testing.assert_array_equal(chosen, loss(*given))
        one, other = (loss(TARGET, LOGITS, mask) for mask in (MASKS["some"], MASKS["some"][0]))
        np.testing.assert_allclose(one, other, rtol=1e-6)
