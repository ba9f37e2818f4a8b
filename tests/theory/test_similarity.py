"""Similarity against references written otherwise, its invariances, and what breaks them."""

import itertools

import fast
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import linear_model

from configs import _similarity as similarity
from minisub.config import Refused

cka = fast.jit(similarity.cka)
minibatch = fast.jit(similarity.cka_minibatch, static_argnums=2)
subspace = fast.jit(similarity.subspace_cka)
probe = fast.jit(similarity.probe, static_argnums=4)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def related(n, p, q, seed=0):
    """Two representations with a common part, neither centered nor of equal variance."""
    x = normal(seed, n, p) * np.linspace(0.5, 2, p) + 1
    return x, x @ normal(seed + 1, p, q) + normal(seed + 2, n, q) - 3


def orthogonal(seed, p):
    return np.linalg.qr(normal(seed, p, p))[0]


def hsic(one, other):
    """tr(K H L H), by explicit centering of the Gram matrices."""
    h = np.eye(len(one)) - 1 / len(one)
    return np.trace(one @ h @ other @ h)


def hsic_unbiased(one, other):
    """The U-statistic: mean over all distinct i, j, q, r of K_ij (L_ij + L_qr - 2 L_iq)."""
    tuples = itertools.permutations(range(len(one)), 4)
    return np.mean(
        [one[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q]) for i, j, q, r in tuples]
    )


def reference(x, y, estimate=hsic, batches=(slice(None),)):
    """CKA from sums of an estimate of HSIC over pairs of Gram matrices, one pair a minibatch."""
    grams = [(x[rows] @ x[rows].T, y[rows] @ y[rows].T) for rows in batches]
    kl, kk, ll = (
        sum(estimate(pair[a], pair[b]) for pair in grams) for a, b in ((0, 1), (0, 0), (1, 1))
    )
    return kl / np.sqrt(kk * ll)


@pytest.mark.parametrize(("n", "p", "q"), [(40, 5, 7), (6, 20, 20)])
def test_cka_is_that_of_centered_gram_matrices(n, p, q):
    x, y = related(n, p, q)
    expected = reference(x, y)
    assert 0.1 < expected < 0.99
    assert float(cka(x, y)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("n", "batch"), [(7, 7), (13, 6)])
def test_minibatch_cka_is_the_ratio_of_mean_u_statistics(n, batch):
    """Examples that fill no minibatch change nothing."""
    x, y = related(n, 3, 4)
    batches = [slice(i, i + batch) for i in range(0, n - batch + 1, batch)]
    expected = reference(x, y, hsic_unbiased, batches)
    assert 0.05 < abs(expected) < 0.95
    assert float(minibatch(x, y, batch)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("batch", [0, 3, 14])
def test_minibatches_too_small_or_too_large_are_refused(batch):
    with pytest.raises(Refused, match="from 4 to 13"):
        similarity.cka_minibatch(*related(13, 3, 4), batch)


@pytest.mark.parametrize("measure", [cka, lambda x, y: minibatch(x, y, 10)], ids=["all", "part"])
def test_cka_ignores_rotation_scale_and_offset_and_not_other_linear_maps(measure):
    x, y = related(30, 8, 8)
    expected = float(measure(x, y))
    for scale in 1e-8, 1e8:
        moved = scale * (x @ orthogonal(3, 8) + normal(4, 1, 8))
        assert float(measure(moved, y)) == pytest.approx(expected, rel=1e-4)
    assert float(measure(y, x)) == pytest.approx(expected, rel=1e-4)
    assert float(measure(x, x)) == pytest.approx(1, rel=1e-5)
    stretched = x * np.array([30.0, *[1] * 7])
    assert abs(float(measure(stretched, y)) - expected) > 0.1
    exact = np.round(1024 * x) / 1024  # so that the sum with the offset is exact too
    assert float(measure(exact + 1024, y)) == pytest.approx(float(measure(exact, y)), rel=1e-4)
    for constant in 0.0, 0.1:
        nothing = np.full((30, 8), constant)
        assert measure(nothing, y) == measure(nothing, nothing) == 0


def test_independent_representations_are_dissimilar_by_the_unbiased_estimate_alone():
    """Its mean is zero over 100 pairs, mapped."""
    x, y = (normal(seed, 100, 16, 200) for seed in (0, 1))
    mapped = jax.vmap(lambda x, y: (similarity.cka(x, y), similarity.cka_minibatch(x, y, 16)))
    biased, unbiased = fast.jit(mapped)(x, y)
    assert float(biased.min()) > 0.8
    assert float(unbiased.std()) > 0.01
    assert abs(float(unbiased.mean())) < 4 * float(unbiased.std()) / 10


def test_subspace_cka_ignores_what_the_readouts_do_not_read_and_cka_does_not():
    q_x, q_y = orthogonal(5, 8), orthogonal(6, 8)
    basis_x, basis_y = q_x[:, :3] @ normal(7, 3, 3), q_y[:, :3] @ normal(8, 3, 3)
    seen = normal(9, 50, 3)
    x = seen @ q_x[:, :3].T + 3 * normal(10, 50, 5) @ q_x[:, 3:].T
    y = seen @ orthogonal(11, 3) @ q_y[:, :3].T + 3 * normal(12, 50, 5) @ q_y[:, 3:].T
    assert float(subspace(x, y, basis_x, basis_y)) == pytest.approx(1, abs=1e-4)
    assert float(cka(x, y)) < 0.5
    # What they read differs, and only that.
    other = x + 3 * normal(13, 50, 3) @ q_x[:, :3].T
    assert float(subspace(other, y, basis_x, basis_y)) < 0.5
    projected = x @ basis_x @ np.linalg.inv(basis_x.T @ basis_x) @ basis_x.T
    found = float(subspace(x, other, basis_x, np.eye(8)))
    assert found == pytest.approx(reference(projected, other), rel=1e-4)


def test_dependent_columns_of_a_readout_add_no_direction():
    x, y = related(50, 8, 8)
    basis = normal(3, 8, 3)
    dependent = np.concatenate([basis, basis @ normal(4, 3, 2)], axis=1)
    expected = float(subspace(x, y, basis, basis))
    assert float(subspace(x, y, dependent, basis)) == pytest.approx(expected, rel=1e-4)
    everything = normal(5, 8, 20)
    whole = float(cka(x, y))
    assert float(subspace(x, y, everything, everything)) == pytest.approx(whole, rel=1e-4)
    assert abs(whole - expected) > 0.01


def clusters(n, p, classes, seed, spread=1.5):
    """(examples, labels) of Gaussian clusters with the same centers for every seed."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centers = np.random.default_rng(99).standard_normal((classes, p))
    return (centers[labels] + spread * rng.standard_normal((n, p)) + 2).astype(np.float32), labels


(X, LABELS), (TEST_X, TEST_LABELS) = (clusters(200, 10, 5, seed) for seed in (0, 1))


@pytest.mark.parametrize("decay", [1e-3, 1.0, 10.0])
def test_a_probe_is_a_ridge_regression_onto_one_hot_labels(decay):
    alpha = decay * np.sum((X - X.mean(axis=0)) ** 2) / 10
    expected = linear_model.RidgeClassifier(alpha=alpha).fit(X, LABELS).score(TEST_X, TEST_LABELS)
    assert 0.3 < expected < 0.95
    found = float(probe(X, LABELS, TEST_X, TEST_LABELS, 5, decay))
    assert found == pytest.approx(expected, abs=1e-6)
    for scale, offset in ((1e-8, 0), (1e8, 0), (1, 1024)):  # no unit matters
        one, other = (scale * a + offset for a in (X, TEST_X))
        assert float(probe(one, LABELS, other, TEST_LABELS, 5, decay)) == pytest.approx(
            expected, abs=0.01
        )


def test_a_probe_survives_dead_features_and_of_a_constant_answers_the_most_frequent_class():
    # 100 copies and 100 dead features make the normal equations singular, in float32 too.
    wide, test_wide = (
        np.concatenate([np.tile(a, 10), np.full((200, 100), 0.1)], 1) for a in (X, TEST_X)
    )
    model = linear_model.Ridge(alpha=1e-5).fit(X, np.eye(5)[LABELS])
    unpenalized = np.mean(model.predict(TEST_X).argmax(axis=1) == TEST_LABELS)
    found = float(probe(wide, LABELS, test_wide, TEST_LABELS, 5, 1e-7))
    assert found == pytest.approx(unpenalized, abs=0.01)
    labels, x = np.array([2, 2, 2, 0, 1]), np.full((5, 3), 0.1)
    assert float(probe(x, labels, x, labels, 3, 1e-3)) == pytest.approx(0.6)


def test_a_probe_of_shuffled_labels_is_at_chance():
    """Over 40 shuffles in one compiled map; the control has its labels."""
    (x, labels), (test_x, test_labels) = (clusters(200, 10, 5, seed, 0.5) for seed in (0, 1))
    rng = np.random.default_rng(0)
    shuffled = np.stack([labels, *(rng.permutation(labels) for _ in range(40))])
    mapped = jax.vmap(similarity.probe, in_axes=(None, 0, None, None, None, None))
    found = fast.jit(mapped, static_argnums=4)(x, shuffled, test_x, test_labels, 5, 1e-3)
    assert abs(float(found[1:].mean()) - 0.2) < 0.03 and found[0] > 0.95


def test_disagreement_is_the_share_of_other_answers():
    logits = jnp.array([[[0.0, 1], [1, 0]], [[2, 1], [1, 2]]])
    other = jnp.array([[[0.0, 9], [0, 1]], [[2, 1], [9, 2]]])
    assert similarity.disagreement(logits, other) == 0.5
    assert similarity.disagreement(logits, 3 * logits + 1) == 0


def test_a_vector_is_recovered_at_the_layers_whose_mean_shift_it_is(quick):
    vector = normal(0, 8)
    names = ("at", "against", "still", "aside")
    before = {name: normal(i, 4, 5, 8) for i, name in enumerate(names)}
    noise, aside = normal(9, 4, 5, 8), normal(10, 8)
    noise -= noise.mean(axis=(0, 1), keepdims=True)  # it does not move the mean
    aside -= aside @ vector / (vector @ vector) * vector
    after = {
        "at": before["at"] + 1e-2 * vector,
        "against": before["against"] - vector + noise,
        "still": before["still"],
        "aside": before["aside"] + aside,
    }
    mapped = quick(jax.vmap(similarity.steering_recovery, in_axes=(None, None, 0)))
    given = jax.tree.map(jnp.asarray, (before, after, np.stack([vector, -2 * vector])))
    found = mapped(*given)
    expected = {"at": [1, -1], "against": [-1, 1], "still": [0, 0], "aside": [0, 0]}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4)
    assert not found["still"].any()
