"""Carriers of `configs/carriers.py`: the laws that they promise."""

import dataclasses

import jax
import numpy as np
import pytest

from configs import carriers
from configs.carriers import Inputs
from minisub.images import pictures

SIDE, N = 8, 1500  # two chunks, the last of which is not full
REAL = np.random.default_rng(0).integers(256, size=(50, SIDE * SIDE)).astype(np.uint8)
NORMALIZED = np.asarray(pictures.normalize(REAL))
STD = 3**-0.5
OF_IMAGES = {"images", "shuffled", "blend"}
HALF = Inputs(scale=0.5, amount=0.7, dimensions=5)
CASES = {kind: (dataclasses.replace(HALF, kind=kind), SIDE, REAL) for kind in carriers.KINDS}
CASES |= {
    "white": (Inputs(kind="blurred", amount=0.0, scale=0.5), SIDE, REAL),
    "odd blurred": (Inputs(kind="blurred", amount=0.8, scale=0.5), 7, REAL),
    "odd spectrum": (Inputs(kind="spectrum", amount=2.5, scale=0.5), 7, REAL),
    "flat spectrum": (Inputs(kind="spectrum", amount=0.0, scale=0.5), SIDE, REAL),
    "a line": (Inputs(kind="subspace", dimensions=1, scale=0.5), SIDE, REAL),
    "all images": (Inputs(kind="images"), SIDE, REAL),
    "ramps": (Inputs(kind="shuffled"), SIDE, np.tile(np.arange(64, dtype=np.uint8), (50, 1))),
    "as they are": (Inputs(kind="blend", amount=0.0), SIDE, REAL),
    "over white": (
        Inputs(kind="blend", amount=0.5, scale=2.0), SIDE, np.full((5, 64), 255, np.uint8),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def draw(quick):
    """seed -> case -> inputs, in one program; numbers of a carrier are traced."""

    @quick
    def every(cases, seed):
        return {
            name: carriers.draw(
                carrier, jax.random.key(seed), N, CASES[name][1],
                CASES[name][2] if carrier.kind in OF_IMAGES else None,
            )
            for name, carrier in cases.items()
        }  # fmt: skip

    given = {name: carrier for name, (carrier, _, _) in CASES.items()}
    return lambda seed: {name: np.asarray(x) for name, x in every(given, seed).items()}


@pytest.fixture(scope="module")
def drawn(draw):
    return draw(0)


def test_carriers_are_functions_of_their_key(draw, drawn):
    again, other = draw(0), draw(1)
    for kind in carriers.KINDS:
        one = drawn[kind]
        assert one.shape == (N, SIDE * SIDE) and one.dtype == np.float32 and np.isfinite(one).all()
        np.testing.assert_array_equal(again[kind], one)
        assert (other[kind] != one).any() == (kind != "constant")
        if kind not in OF_IMAGES | {"constant"}:
            assert len(np.unique(one, axis=0)) == N, "chunks differ as well"


def test_uniform_gaussian_and_bernoulli_have_their_exact_laws(drawn):
    x, error = drawn["uniform"], 5 / drawn["uniform"].size ** 0.5
    assert x.min() >= -0.5 and x.max() <= 0.5 and abs(x.mean()) < error
    np.testing.assert_allclose(x.std(), 0.5 * STD, rtol=error)
    np.testing.assert_allclose(np.histogram(x, 4, (-0.5, 0.5))[0] / x.size, 0.25, atol=error)
    x = drawn["gaussian"]
    np.testing.assert_allclose([x.mean(), x.std()], [0, 0.5], atol=error)
    np.testing.assert_allclose((np.abs(x) < 0.5).mean(), 0.6827, atol=error)
    x = drawn["bernoulli"]
    assert set(x.ravel()) == {-0.5, 0.5} and abs(x.mean()) < error
    assert not drawn["constant"].any()


def test_real_images_all_come_once_before_any_comes_twice(drawn):
    expected = np.unique(NORMALIZED, axis=0)
    for part in np.split(drawn["all images"], N // 50):
        np.testing.assert_array_equal(np.unique(part, axis=0), expected)
        assert (part != NORMALIZED).any(), "in random order"
    np.testing.assert_array_equal(drawn["images"], drawn["all images"] / 2)


def test_shuffled_images_keep_their_pixels_and_lose_their_places(drawn):
    ordered, real = (np.unique(np.sort(x, axis=1), axis=0) for x in (drawn["shuffled"], NORMALIZED))
    np.testing.assert_array_equal(ordered, real / 2)
    assert len(np.unique(drawn["ramps"], axis=0)) == N, "each time permuted differently"


def test_blend_is_images_plus_uniform_noise_that_is_not_clipped(drawn):
    assert {tuple(row) for row in drawn["as they are"]} == {tuple(row) for row in NORMALIZED}
    x = drawn["over white"]
    assert 2.9 < x.max() <= 3 and 1 <= x.min() < 1.1
    np.testing.assert_allclose(x.std(), STD, rtol=0.01)


def spectrum_of(x):
    """Mean power of images at each frequency, and the frequencies in cycles a pixel."""
    side = round(x.shape[1] ** 0.5)
    power = (np.abs(np.fft.fft2(x.reshape(-1, side, side))) ** 2).mean(axis=0)
    f = np.fft.fftfreq(side)
    return power, np.hypot(f[:, None], f[None])


def test_blur_passes_low_frequencies_as_a_gaussian_does(drawn):
    assert np.abs(drawn["white"]).max() <= 0.5 + 1e-6, "no blur leaves uniform noise"
    for name, amount in ("blurred", 0.7), ("odd blurred", 0.8):
        x = drawn[name]
        np.testing.assert_allclose(x.std(), 0.5 * STD, rtol=0.02)
        power, f = spectrum_of(x)
        expected = np.exp(-((2 * np.pi * amount * f) ** 2))
        np.testing.assert_allclose(power / power[0, 0], expected, rtol=0.25, atol=1e-3)


def test_amplitude_falls_as_a_power_of_frequency_and_images_have_one_size(drawn):
    for name, amount in ("spectrum", 0.7), ("odd spectrum", 2.5), ("flat spectrum", 0.0):
        x = drawn[name]
        np.testing.assert_allclose((x**2).mean(axis=1), 0.25 / 3, rtol=1e-4)
        np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-6)
        power, f = spectrum_of(x)
        weighed = np.sqrt(power[f > 0]) * f[f > 0] ** amount
        np.testing.assert_allclose(weighed, weighed.mean(), rtol=0.01)


def test_subspace_noise_has_its_rank_and_is_isotropic_within(drawn):
    for name, dimensions in ("subspace", 5), ("a line", 1):
        x = drawn[name]
        assert np.linalg.matrix_rank(x, tol=1e-2) == dimensions
        np.testing.assert_allclose((x**2).mean(), 0.25 / 3, rtol=4 * (2 / N / dimensions) ** 0.5)
        spread = np.linalg.svd(x, compute_uv=False)[:dimensions]
        assert spread[-1] > 0.8 * spread[0]
