"""Losses against SciPy."""

import numpy as np
from scipy import special

from minisub.nets import losses

RNG = np.random.default_rng(0)
TARGET, LOGITS = (2 * RNG.normal(size=(4, 7)).astype(np.float32) for _ in range(2))


def test_losses_are_those_of_scipy():
    targets = np.array([0, 3, 6, 2])
    log_q = special.log_softmax(np.float64(LOGITS), axis=-1)
    expected = -log_q[np.arange(4), targets]
    np.testing.assert_allclose(losses.cross_entropy(LOGITS, targets), expected, rtol=1e-5)
    p = special.softmax(np.float64(TARGET), axis=1)
    expected = special.rel_entr(p, np.exp(log_q)).sum(axis=1)
    np.testing.assert_allclose(losses.kl_divergence(TARGET, LOGITS), expected, rtol=1e-5)
    assert not np.any(losses.kl_divergence(TARGET, TARGET))
