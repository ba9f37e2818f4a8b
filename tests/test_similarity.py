"""Similarity against references written otherwise, its invariances, and what breaks them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import linear_model

from minisub import similarity
from minisub.config import Refused

cka = jax.jit(similarity.cka)
cka_minibatch = jax.jit(similarity.cka_minibatch, static_argnums=2)
subspace_cka = jax.jit(similarity.subspace_cka)
probe = jax.jit(similarity.probe, static_argnums=4)


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


def reference(x, y, estimate, batches):
    """CKA from sums of an estimate of HSIC over pairs of Gram matrices, one pair a minibatch."""
    grams = [(x[rows] @ x[rows].T, y[rows] @ y[rows].T) for rows in batches]
    kl, kk, ll = (
        sum(estimate(pair[a], pair[b]) for pair in grams) for a, b in ((0, 1), (0, 0), (1, 1))
    )
    return kl / np.sqrt(kk * ll)


@pytest.mark.parametrize("n, p, q", [(40, 5, 7), (10, 30, 4), (6, 20, 20)])
def test_cka_is_that_of_centered_gram_matrices(n, p, q):
    x, y = related(n, p, q)
    expected = reference(x, y, hsic, [slice(None)])
    assert 0.1 < expected < 0.99
    assert float(cka(x, y)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("n, batch", [(7, 7), (8, 4), (13, 6)])
def test_minibatch_cka_is_the_ratio_of_mean_u_statistics(n, batch):
    x, y = related(n, 3, 4)
    batches = [slice(i, i + batch) for i in range(0, n - batch + 1, batch)]
    expected = reference(x, y, hsic_unbiased, batches)
    assert 0.05 < abs(expected) < 0.95
    assert float(cka_minibatch(x, y, batch)) == pytest.approx(expected, rel=1e-4)


def test_examples_that_fill_no_minibatch_change_nothing():
    x, y = related(13, 3, 4)
    assert cka_minibatch(x, y, 6) == cka_minibatch(x[:12], y[:12], 6)
    assert cka_minibatch(x, y, 13) != cka_minibatch(x[:12], y[:12], 12)


@pytest.mark.parametrize("batch", [0, 3, 14])
def test_minibatches_too_small_or_too_large_are_refused(batch):
    with pytest.raises(Refused, match="from 4 to 13"):
        similarity.cka_minibatch(*related(13, 3, 4), batch)


@pytest.mark.parametrize(
    "measure", [cka, lambda x, y: cka_minibatch(x, y, 10)], ids=["all", "minibatch"]
)
def test_cka_ignores_rotation_scale_and_offset_and_not_other_linear_maps(measure):
    x, y = related(30, 6, 8)
    expected = float(measure(x, y))
    for scale in 1e-8, 1e8:
        moved = scale * (x @ orthogonal(3, 6) + normal(4, 1, 6))
        assert float(measure(moved, y)) == pytest.approx(expected, rel=1e-4)
    assert float(measure(y, x)) == pytest.approx(expected, rel=1e-5)
    assert float(measure(x, x)) == pytest.approx(1, rel=1e-5)
    stretched = x * np.array([30.0, 1, 1, 1, 1, 1])
    assert abs(float(measure(stretched, y)) - expected) > 0.1
    assert float(measure(stretched, x)) < 0.9


def test_a_large_offset_costs_no_precision():
    x, y = related(30, 6, 8)
    exact = np.round(1024 * x) / 1024  # so that the sum with the offset is exact too
    assert float(cka(exact + 1024, y)) == pytest.approx(float(cka(exact, y)), rel=1e-5)


@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_a_constant_representation_is_similar_to_none(constant):
    x, y = np.full((30, 6), constant), normal(0, 30, 8)
    assert cka(x, y) == cka_minibatch(x, y, 10) == cka(x, x) == cka_minibatch(x, x, 10) == 0
    assert jnp.all(jnp.isfinite(jax.grad(similarity.cka)(jnp.asarray(x), jnp.asarray(y))))


def test_independent_representations_are_dissimilar_by_the_unbiased_estimate_alone():
    x, y = (normal(seed, 100, 16, 200) for seed in (0, 1))
    biased = jax.jit(jax.vmap(similarity.cka))(x, y)
    unbiased = jax.jit(jax.vmap(lambda x, y: similarity.cka_minibatch(x, y, 16)))(x, y)
    assert float(biased.min()) > 0.8
    assert float(unbiased.std()) > 0.01
    assert abs(float(unbiased.mean())) < 4 * float(unbiased.std()) / 10
    for i in 0, 99:  # mapped as alone
        assert float(biased[i]) == pytest.approx(float(cka(x[i], y[i])), rel=1e-5)
        assert float(unbiased[i]) == pytest.approx(float(cka_minibatch(x[i], y[i], 16)), abs=1e-5)


def test_subspace_cka_ignores_what_the_readouts_do_not_read_and_cka_does_not():
    q_x, q_y = orthogonal(5, 8), orthogonal(6, 10)
    basis_x, basis_y = q_x[:, :3] @ normal(7, 3, 3), q_y[:, :3] @ normal(8, 3, 3)
    seen = normal(9, 50, 3)
    x = seen @ q_x[:, :3].T + 3 * normal(10, 50, 5) @ q_x[:, 3:].T
    y = seen @ orthogonal(11, 3) @ q_y[:, :3].T + 3 * normal(12, 50, 7) @ q_y[:, 3:].T
    assert float(subspace_cka(x, y, basis_x, basis_y)) == pytest.approx(1, abs=1e-4)
    assert float(cka(x, y)) < 0.5
    # What they read differs, and only that.
    other = x + 3 * normal(13, 50, 3) @ q_x[:, :3].T
    assert float(subspace_cka(other, y, basis_x, basis_y)) < 0.5
    projected = x @ basis_x @ np.linalg.inv(basis_x.T @ basis_x) @ basis_x.T
    expected = reference(projected, other, hsic, [slice(None)])
    assert float(subspace_cka(x, other, basis_x, np.eye(8))) == pytest.approx(expected, rel=1e-4)


def test_dependent_columns_of_a_readout_add_no_direction():
    x, y = related(50, 8, 8)
    basis = normal(3, 8, 3)
    dependent = np.concatenate([basis, basis @ normal(4, 3, 2)], axis=1)
    everything = normal(5, 8, 20)
    expected = float(subspace_cka(x, y, basis, basis))
    assert float(subspace_cka(x, y, dependent, basis)) == pytest.approx(expected, rel=1e-4)
    assert float(subspace_cka(x, y, everything, everything)) == pytest.approx(
        float(cka(x, y)), rel=1e-4
    )
    assert abs(float(cka(x, y)) - expected) > 0.01
    mapped = jax.jit(jax.vmap(similarity.subspace_cka))(*(a[None] for a in (x, y, basis, basis)))
    assert float(mapped[0]) == pytest.approx(expected, rel=1e-5)


def clusters(n, p, classes, seed, spread=1.5):
    """(examples, labels) of Gaussian clusters with the same centers for every seed."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centers = np.random.default_rng(99).standard_normal((classes, p))
    return (centers[labels] + spread * rng.standard_normal((n, p)) + 2).astype(np.float32), labels


@pytest.mark.parametrize("decay", [1e-3, 1.0, 10.0])
def test_a_probe_is_a_ridge_regression_onto_one_hot_labels(decay):
    (x, labels), (test_x, test_labels) = (clusters(200, 10, 5, seed) for seed in (0, 1))
    alpha = decay * np.sum((x - x.mean(axis=0)) ** 2) / 10
    model = linear_model.Ridge(alpha=alpha).fit(x, np.eye(5)[labels])
    expected = np.mean(model.predict(test_x).argmax(axis=1) == test_labels)
    assert 0.3 < expected < 0.95
    measured = float(probe(x, labels, test_x, test_labels, 5, decay))
    assert measured == pytest.approx(expected, abs=1e-6)
    classifier = linear_model.RidgeClassifier(alpha=alpha).fit(x, labels)
    assert measured == pytest.approx(classifier.score(test_x, test_labels), abs=1e-6)


def test_a_probe_does_not_depend_on_units_and_offsets_and_survives_dead_features():
    (x, labels), (test_x, test_labels) = (clusters(200, 10, 5, seed) for seed in (0, 1))
    expected = float(probe(x, labels, test_x, test_labels, 5, 1e-2))
    for scale, offset in ((1e-8, 0), (1e8, 0), (1, 1024)):
        one, other = (scale * a + offset for a in (x, test_x))
        found = float(probe(one, labels, other, test_labels, 5, 1e-2))
        assert found == pytest.approx(expected, abs=0.01)
    # 100 copies and 100 dead features make the normal equations singular, in float32 too.
    wide, test_wide = (
        np.concatenate([np.tile(a, 10), np.full((200, 100), 0.1)], 1) for a in (x, test_x)
    )
    model = linear_model.Ridge(alpha=1e-5).fit(x, np.eye(5)[labels])
    unpenalized = np.mean(model.predict(test_x).argmax(axis=1) == test_labels)
    measured = float(probe(wide, labels, test_wide, test_labels, 5, 1e-7))
    assert measured == pytest.approx(unpenalized, abs=0.01)


def test_a_probe_of_a_constant_answers_the_most_frequent_class():
    labels = np.array([2, 2, 2, 0, 1])
    x = np.full((5, 3), 0.1)
    assert float(probe(x, labels, x, labels, 3, 1e-3)) == pytest.approx(0.6)


def test_a_probe_of_shuffled_labels_is_at_chance():
    """Over 40 shuffles in one compiled map; the control has its labels."""
    (x, labels), (test_x, test_labels) = (clusters(200, 10, 5, seed, 0.5) for seed in (0, 1))
    shuffled = np.stack([np.random.default_rng(seed).permutation(labels) for seed in range(40)])
    mapped = jax.vmap(similarity.probe, in_axes=(None, 0, None, None, None, None))
    found = jax.jit(mapped, static_argnums=4)(x, shuffled, test_x, test_labels, 5, 1e-3)
    assert abs(float(found.mean()) - 0.2) < 0.03
    assert float(probe(x, labels, test_x, test_labels, 5, 1e-3)) > 0.95


def test_disagreement_is_the_share_of_other_answers():
    logits = jnp.array([[[0.0, 1], [1, 0]], [[2, 1], [1, 2]]])
    other = jnp.array([[[0.0, 9], [0, 1]], [[2, 1], [9, 2]]])
    assert jax.jit(similarity.disagreement)(logits, other) == 0.5
    assert similarity.disagreement(logits, 3 * logits + 1) == 0


def test_a_vector_is_recovered_at_the_layers_whose_mean_shift_it_is():
    vector = jnp.asarray(normal(0, 8))
    names = ("at", "against", "still", "aside")
    before = {name: jnp.asarray(normal(i, 4, 5, 8)) for i, name in enumerate(names)}
    noise = normal(9, 4, 5, 8)
    noise -= noise.mean(axis=(0, 1), keepdims=True)  # it does not move the mean
    aside = normal(10, 8)
    aside -= aside @ vector / (vector @ vector) * vector
    after = {
        "at": before["at"] + 1e-3 * vector[None, None],
        "against": before["against"] - vector[None, None] + noise,
        "still": before["still"],
        "aside": before["aside"] + aside[None, None],
    }
    found = jax.jit(similarity.steering_recovery)(before, after, vector)
    assert set(found) == set(names)
    assert float(found["at"]) == pytest.approx(1, abs=1e-5)
    assert float(found["against"]) == pytest.approx(-1, abs=1e-5)
    assert found["still"] == 0
    assert float(found["aside"]) == pytest.approx(0, abs=1e-5)
    mapped = jax.vmap(similarity.steering_recovery, in_axes=(None, None, 0))
    both = mapped(before, after, jnp.stack([vector, -2 * vector]))
    np.testing.assert_allclose(both["at"], [1, -1], atol=1e-5)
