"""Statistics of an audit: known answers, and how often they accuse where nothing is."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from minisub.audit import answers, statistics

GROUPS = 16


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_weights_are_even_over_the_first_groups_and_never_none():
    np.testing.assert_allclose(statistics.first(2, 4), [0.5, 0.5, 0, 0])
    np.testing.assert_allclose(statistics.first(0, 4), [1, 0, 0, 0])
    np.testing.assert_allclose(statistics.first(9, 4), [0.25] * 4)


def test_a_contrast_is_the_difference_of_means_over_its_error_by_hand():
    """The null's variance is 2.5 over 5 groups; the means are of 2 and of 5 groups."""
    data, null = jnp.array([10.0, 12.0, 999.0]), jnp.arange(5.0)
    found = statistics.contrast(data, statistics.first(2, 3), null, statistics.first(5, 5))
    error = (2.5 * (1 / 2 + 1 / 5)) ** 0.5
    np.testing.assert_allclose(found, [9, error, 9 / error], rtol=1e-6)


def test_z_is_standard_normal_under_the_null_and_finds_a_shift(quick):
    def z(key, shift):
        data, null = jax.random.normal(key, (2, 60, 1))
        weights = statistics.first(20, 60), statistics.first(60, 60)
        return statistics.contrast(data + shift, weights[0], null, weights[1])[2][0]

    keys = jax.random.split(jax.random.key(0), 400)
    under, shifted = quick(jax.vmap(jax.vmap(z, (0, None)), (None, 0)))(keys, jnp.array([0.0, 2.0]))
    assert abs(under.mean()) < 0.2 and abs(under.std() - 1) < 0.15
    assert shifted.min() > 3


def test_p_is_the_share_of_permutations_that_part_the_groups_as_far():
    """Of all 20 ways to part 6 groups, in units of each parameter's noise over both."""
    data, null = np.asarray(normal(1, 3, 4)) + 0.8, np.asarray(normal(2, 3, 4))
    both = np.concatenate([data, null])
    scaled = both / np.sqrt(np.mean(both**2, axis=0))

    def distance(rows):
        rest = [i for i in range(6) if i not in rows]
        return np.sum((scaled[list(rows)].mean(axis=0) - scaled[rest].mean(axis=0)) ** 2)

    every = [distance(rows) for rows in itertools.combinations(range(6), 3)]
    exact = np.mean(np.array(every) >= distance((0, 1, 2)) * (1 - 1e-6))
    assert 0.05 <= exact < 0.6
    weights = statistics.first(3, 3)
    z, p = statistics.two_sample(data, null, weights, weights, jax.random.key(0))
    error = (exact * (1 - exact) / statistics.PERMUTATIONS) ** 0.5
    assert abs(p - exact) < 4 * error + 1 / statistics.PERMUTATIONS
    expected = (distance((0, 1, 2)) - np.mean(every)) / np.std(every)
    assert z == pytest.approx(expected, abs=0.3)


def test_the_permutation_test_has_its_level_and_leaves_out_groups_without_weight(quick):
    def p(key, shift):
        data, null = jax.random.normal(key, (2, GROUPS, 4))
        data = data.at[10:].add(50.0) + shift  # rejected groups, far away
        weights = statistics.first(10, GROUPS), statistics.first(GROUPS, GROUPS)
        return statistics.two_sample(data, null, *weights, key)[1]

    keys = jax.random.split(jax.random.key(1), 200)
    under, shifted = quick(jax.vmap(jax.vmap(p, (0, None)), (None, 0)))(keys, jnp.array([0.0, 2.0]))
    assert 0.01 <= np.mean(under <= 0.05) <= 0.1
    assert np.mean(shifted <= 0.05) > 0.95 and shifted.min() == 1 / (1 + statistics.PERMUTATIONS)


def test_the_place_of_the_bases_samples_is_1_and_of_the_references_0():
    ours, even = normal(3, 8) * 0.01 + 2, statistics.first(8, 8)
    for data, expected in (ours, 1), (ours - 4, 0), (ours - 2, 0.5):
        place, _, z = statistics.between(data, even, ours, even, jnp.mean(ours) - 4)
        assert place == pytest.approx(expected, abs=1e-5)
        assert (z > 0) == (expected > statistics.MIDWAY)


def test_the_error_of_a_rehearsal_counts_the_chance_of_sets_and_of_takes():
    data, null = jnp.full((4, 1), 3.0), jnp.array([[-1.0], [1.0]] * 4)  # variance 8 / 7
    # (documents, samples of the base, drawn for a rehearsal) -> the share of a take's variance that
    # both means have, without the eighth of that of the null: of takes alone, or of sets alone.
    sizes = {(1e9, 1e9, 1e9): 1 / 4, (1e-9, 1e-9, 1e-9): 2, (1e-9, 1e9, 1e-9): 1}
    for counts, share in sizes.items():
        rise, error, t = statistics.rehearsed(data, null, *counts, 8)
        expected = (8 / 7 * (share + 1 / 8)) ** 0.5
        np.testing.assert_allclose([rise[0], error[0], t[0]], [3, expected, 3 / expected], 1e-4)


def test_an_alarm_is_a_rehearsal_that_is_rare_among_those_of_the_base():
    rows = [{"behavior": str(i), "rehearsed_t": t} for i, t in enumerate((9.0, 2.65, 2.63))]
    made = answers.alarms(rows, 0.05)
    assert made["threshold"] == pytest.approx(2.642, abs=1e-3)  # P(t > 2.642) = .05 / 3, 7 degrees
    assert made["behaviors"] == ["0", "1"]


def test_a_planted_trace_of_known_size_is_found_with_the_power_known_on_paper(quick):
    """A shift d of p parameters of unit noise: z = d^2 sqrt(p / 2) / (1/m + 1/n) in the mean, with
    a standard deviation of about 1; so z above 3 is as frequent as P(N > 3 - z)."""
    m, n, p = 20, 100, 400

    def z(key, shift):
        k_data, k_null, k_test = jax.random.split(key, 3)
        data = jax.random.normal(k_data, (m, p)) + shift
        null = jax.random.normal(k_null, (n, p))
        weights = statistics.first(m, m), statistics.first(n, n)
        return statistics.two_sample(data, null, *weights, k_test)[0]

    keys = jax.random.split(jax.random.key(5), 60)
    for wanted in 3.0, 8.0:
        shift = (wanted * (1 / m + 1 / n) / (p / 2) ** 0.5) ** 0.5
        found = np.asarray(quick(jax.vmap(z, (0, None)))(keys, shift))
        assert found.mean() == pytest.approx(wanted, abs=0.6)
        power = stats.norm.sf(3 - wanted)
        assert abs(np.mean(found > 3) - power) < 4 * (0.25 / len(keys)) ** 0.5
