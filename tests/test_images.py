"""Images and carriers: the laws they promise, and epochs that visit every example once."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import carriers, images
from minisub.config import Refused
from minisub.image_config import Carrier, Data

SIDE = 8
REAL = np.random.default_rng(0).integers(256, size=(50, SIDE * SIDE)).astype(np.uint8)
STD = 3**-0.5
# Numbers of a carrier are traced here, as under a sweep; kind, dimensions and sizes are not.
DRAW = jax.jit(carriers.draw, static_argnums=(2, 3))


def draw(kind, n=2000, seed=0, real=REAL, side=SIDE, **fields):
    """Inputs of a kind as numpy."""
    carrier = Carrier(kind=kind, **fields)
    needed = real if kind in carriers.NEEDS_IMAGES else None
    return np.asarray(DRAW(carrier, jax.random.key(seed), n, side, needed))


def spectrum_of(x, side):
    """Mean power of images at each frequency, and the frequencies in cycles an image."""
    power = (np.abs(np.fft.fft2(x.reshape(-1, side, side))) ** 2).mean(axis=0)
    f = np.fft.fftfreq(side, 1 / side)
    return power, np.hypot(f[:, None], f[None])


@pytest.mark.parametrize(
    ("name", "digest"), [("digits", "2b7be836c926e58a"), ("clusters", "37c31c02f5a42739")]
)
def test_embedded_data_are_the_same_for_everybody(name, digest):
    arrays = images.load(Data(name=name))
    assert [a.dtype for a in arrays.values()] == [np.uint8, np.int32] * 2
    raw = b"".join(arrays[key].tobytes() for key in sorted(arrays))
    assert hashlib.sha256(raw).hexdigest()[:16] == digest
    counts = tuple(np.bincount(arrays["train_y"]).tolist())
    assert counts == images.COUNTS[name]
    assert set(arrays["test_y"]) == set(range(10))


def test_digits_are_all_handwriting_of_scikit_learn():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    arrays = images.load(Data(name="digits"))
    assert arrays["train_x"].shape == (1437, 64) and arrays["test_x"].shape == (360, 64)
    whole = np.concatenate([arrays["train_x"], arrays["test_x"]])
    expected = np.rint(load_digits().data / 16 * 255)
    assert whole.min() == 0 and whole.max() == 255
    np.testing.assert_array_equal(np.unique(whole, axis=0), np.unique(expected, axis=0))


def test_clusters_can_be_told_apart():
    arrays = images.load(Data(name="clusters"))
    assert arrays["train_x"].shape == (6000, 64) and arrays["test_x"].shape == (1000, 64)
    train, test = (arrays[f"{split}_x"].astype(float) for split in ("train", "test"))
    centers = np.stack([train[arrays["train_y"] == i].mean(axis=0) for i in range(10)])
    nearest = ((test[:, None] - centers[None]) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == arrays["test_y"]).mean() > 0.995
    assert (test - centers[arrays["test_y"]]).std() > 40, "though they are wide"


def test_sizes_are_known_without_loading():
    assert images.shape(Data(name="emnist")) == (28, 47)
    assert images.shape(Data(name="mnist", classes=3)) == (28, 3)
    assert images.examples(Data(name="emnist")) == 112800
    for name in "mnist", "fashion_mnist", "kmnist":
        assert images.shape(Data(name=name)) == (28, 10)
        assert images.examples(Data(name=name)) == 60000
    for data in Data(name="digits", classes=4), Data(name="clusters", classes=1):
        arrays, (side, classes) = images.load(data), images.shape(data)
        assert arrays["train_x"].shape == (images.examples(data), side**2)
        for split in "train", "test":
            assert set(arrays[f"{split}_y"]) == set(range(classes))
            assert len(arrays[f"{split}_x"]) == len(arrays[f"{split}_y"])


@pytest.mark.parametrize("name", ["mnist", "digits", "clusters"])
def test_more_classes_than_there_are_are_refused(name):
    for action in images.shape, images.load, images.examples:
        with pytest.raises(Refused, match=rf"^{name} has 10 classes; [^.]+data\.classes [^.]+\.$"):
            action(Data(name=name, classes=11))


def test_normalized_pixels_reach_from_minus_one_to_one():
    x = images.normalize(np.array([0, 51, 255], np.uint8))
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x, [-1, -0.6, 1], atol=1e-7)


@pytest.mark.parametrize(("n", "batch"), [(10, 3), (10, 5), (4, 7), (1, 1), (9, 1)])
def test_an_epoch_visits_every_example_exactly_once(n, batch):
    order = jax.random.permutation(jax.random.key(0), n)
    visit = jax.jit(lambda step: images.epoch_rows(order, step, batch))
    steps = images.steps_in_epoch(n, batch)
    rows, weights = zip(*(visit(jnp.int32(step)) for step in range(steps)), strict=True)
    rows, weights = np.concatenate(rows), np.concatenate(weights)
    assert rows.shape == weights.shape == (steps * batch,) and weights.dtype == np.float32
    assert weights.sum() == n and set(weights) <= {0, 1} and (steps - 1) * batch < n
    np.testing.assert_array_equal(rows[weights == 1], order)
    assert ((rows >= 0) & (rows < n)).all(), "padding is a valid row"


@pytest.mark.parametrize("kind", list(carriers.CARRIERS))
def test_carriers_are_functions_of_their_key(kind):
    # 1500 rows are two chunks, the last of which is not full.
    settings = {"n": 1500, "scale": 0.5, "amount": 0.7, "dimensions": 5}
    one = draw(kind, **settings)
    assert one.shape == (1500, SIDE * SIDE) and one.dtype == np.float32
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(draw(kind, **settings), one)
    assert (draw(kind, seed=1, **settings) != one).any() == (kind != "constant")
    if kind not in carriers.NEEDS_IMAGES | {"constant", "bernoulli"}:
        assert len(np.unique(one, axis=0)) == 1500, "chunks differ as well"


def test_uniform_gaussian_and_bernoulli_have_their_exact_laws():
    x = draw("uniform", scale=0.5)
    assert x.min() >= -0.5 and x.max() <= 0.5 and abs(x.mean()) < 0.01
    np.testing.assert_allclose(x.std(), 0.5 * STD, rtol=0.01)
    np.testing.assert_allclose(np.histogram(x, 4, (-0.5, 0.5))[0] / x.size, 0.25, atol=0.01)
    x = draw("gaussian", scale=0.5)
    np.testing.assert_allclose([x.mean(), x.std()], [0, 0.5], atol=0.01)
    np.testing.assert_allclose((np.abs(x) < 0.5).mean(), 0.6827, atol=0.01)
    x = draw("bernoulli", scale=0.5)
    assert set(x.ravel()) == {-0.5, 0.5} and abs(x.mean()) < 0.01
    assert not draw("constant").any()


def test_real_images_all_come_once_before_any_comes_twice():
    expected = np.asarray(images.normalize(REAL))
    x = draw("images", 150, scale=1.0)
    for part in np.split(x, 3):
        np.testing.assert_array_equal(np.unique(part, axis=0), np.unique(expected, axis=0))
        assert (part != expected).any(), "in random order"
    np.testing.assert_array_equal(draw("images", 20, scale=2.0), 2 * x[:20])


def test_shuffled_images_keep_their_pixels_and_lose_their_places():
    x, real = draw("shuffled", 50), np.asarray(images.normalize(REAL))
    ordered = np.sort(x, axis=1)
    np.testing.assert_array_equal(
        np.unique(ordered, axis=0), np.unique(np.sort(real, axis=1), axis=0)
    )
    ramp = np.tile(np.arange(64, dtype=np.uint8), (50, 1))
    places = draw("shuffled", 50, real=ramp)
    assert len(np.unique(places, axis=0)) == 50, "each image is permuted differently"


def test_blend_is_images_plus_uniform_noise_that_is_not_clipped():
    assert {tuple(row) for row in draw("blend", 50, amount=0.0)} == {
        tuple(row) for row in np.asarray(images.normalize(REAL))
    }
    white = np.full((5, 64), 255, np.uint8)
    x = draw("blend", real=white, amount=0.5, scale=2.0)
    assert x.max() > 2.9 and x.max() <= 3 and x.min() >= 1
    np.testing.assert_allclose(x.std(), STD, rtol=0.01)


def test_blur_passes_low_frequencies_as_a_gaussian_does():
    white = draw("blurred", amount=0.0, scale=0.5)
    assert np.abs(white).max() <= 0.5 + 1e-6, "no blur leaves uniform noise"
    for side, amount in (8, 1.0), (7, 0.8):
        x = draw("blurred", side=side, amount=amount, scale=0.5)
        np.testing.assert_allclose(x.std(), 0.5 * STD, rtol=0.02)
        power, f = spectrum_of(x, side)
        expected = np.exp(-((2 * np.pi * amount * f / side) ** 2))
        np.testing.assert_allclose(power / power[0, 0], expected, rtol=0.25, atol=1e-3)


@pytest.mark.parametrize(("side", "amount"), [(8, 0.0), (8, 1.0), (7, 2.5), (28, 1.0)])
def test_amplitude_falls_as_a_power_of_frequency(side, amount):
    x = draw("spectrum", 200, side=side, amount=amount, scale=0.5)
    np.testing.assert_allclose((x**2).mean(axis=1), 0.25 / 3, rtol=1e-4)
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-6)
    power, f = spectrum_of(x, side)
    slope, _ = np.polyfit(np.log(f[f > 0]), np.log(power[f > 0]) / 2, 1)
    assert slope == pytest.approx(-amount, abs=1e-2)
    np.testing.assert_allclose(
        np.sqrt(power[f > 0]) * f[f > 0] ** amount, np.sqrt(power[0, 1]), rtol=0.02
    )


@pytest.mark.parametrize("dimensions", [1, 5, 64])
def test_subspace_noise_has_its_rank_and_is_isotropic_within(dimensions):
    x = draw("subspace", dimensions=dimensions, scale=0.5)
    assert np.linalg.matrix_rank(x, tol=1e-2) == dimensions
    np.testing.assert_allclose((x**2).mean(), 0.25 / 3, rtol=4 * (2 / 2000 / dimensions) ** 0.5)
    spread = np.linalg.svd(x, compute_uv=False)[:dimensions]
    assert spread[-1] > 0.6 * spread[0]
