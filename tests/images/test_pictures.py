"""Images: the same for everybody, and epochs that visit every example exactly once."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from minisub.images import pictures
from minisub.images.config import Data


@pytest.mark.parametrize(
    ("name", "digest", "test"),
    [("digits", "2b7be836c926e58a", 360), ("clusters", "37c31c02f5a42739", 1000)],
)
def test_embedded_data_are_the_same_for_everybody_and_their_sizes_are_known_before(
    name, digest, test
):
    data = Data(name=name)
    arrays, (side, classes) = pictures.load(data), pictures.shape(data)
    assert [a.dtype for a in arrays.values()] == [np.uint8, np.int32] * 2
    raw = b"".join(arrays[key].tobytes() for key in sorted(arrays))
    assert hashlib.sha256(raw).hexdigest()[:16] == digest
    assert arrays["train_x"].shape == (pictures.examples(data), side**2)
    assert arrays["test_x"].shape == (test, side**2) and set(arrays["test_y"]) == set(
        range(classes)
    )
    assert tuple(np.bincount(arrays["train_y"]).tolist()) == pictures.COUNTS[name]


def test_of_some_classes_there_are_exactly_their_images_and_their_number_is_known_before():
    some = Data(name="digits", classes=3)
    whole, arrays = pictures.load(Data(name="digits")), pictures.load(some)
    assert pictures.shape(some) == (8, 3) and pictures.examples(some) == len(arrays["train_x"])
    for split in "train", "test":
        chosen = whole[f"{split}_y"] < 3
        np.testing.assert_array_equal(arrays[f"{split}_x"], whole[f"{split}_x"][chosen])
        np.testing.assert_array_equal(arrays[f"{split}_y"], whole[f"{split}_y"][chosen])


def test_digits_are_all_handwriting_of_scikit_learn():
    arrays = pictures.load(Data(name="digits"))
    whole = np.concatenate([arrays["train_x"], arrays["test_x"]])
    expected = np.rint(load_digits().data / 16 * 255)
    np.testing.assert_array_equal(np.unique(whole, axis=0), np.unique(expected, axis=0))


def test_clusters_can_be_told_apart_though_they_are_wide():
    arrays = pictures.load(Data(name="clusters"))
    train, test = (arrays[f"{split}_x"].astype(float) for split in ("train", "test"))
    centers = np.stack([train[arrays["train_y"] == i].mean(axis=0) for i in range(10)])
    nearest = ((test[:, None] - centers[None]) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == arrays["test_y"]).mean() > 0.995
    assert (test - centers[arrays["test_y"]]).std() > 40


def test_sizes_of_downloads_are_known_without_loading():
    assert pictures.shape(Data(name="emnist")) == (28, 47)
    assert pictures.examples(Data(name="emnist")) == 112800
    for name in "mnist", "fashion_mnist", "kmnist":
        assert pictures.shape(Data(name=name)) == (28, 10)
        assert pictures.examples(Data(name=name)) == 60000


def test_normalized_pixels_reach_from_minus_one_to_one():
    x = pictures.normalize(np.array([0, 51, 255], np.uint8))
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x, [-1, -0.6, 1], atol=1e-7)


@pytest.mark.parametrize(("n", "batch"), [(10, 3), (10, 5), (4, 7), (1, 1), (9, 1)])
def test_an_epoch_visits_every_example_exactly_once(n, batch, quick):
    order, steps = np.random.default_rng(0).permutation(n), -(-n // batch)
    visits = quick(jax.vmap(lambda step: pictures.epoch_rows(jnp.asarray(order), step, batch)))
    rows, weights = (np.asarray(x).ravel() for x in visits(jnp.arange(steps)))
    assert rows.shape == weights.shape == (steps * batch,) and weights.dtype == np.float32
    assert set(weights) <= {0, 1} and ((rows >= 0) & (rows < n)).all(), "padding is a valid row"
    np.testing.assert_array_equal(rows[weights == 1], order)
