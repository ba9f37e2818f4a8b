"""Labeled images as arrays, and the order in which an epoch visits them.

Pixels are uint8 and images flat, (n, side * side), until `normalize` makes them real.
"""

import jax
import jax.numpy as jnp
import numpy as np

SIDES = {"mnist": 28, "fashion_mnist": 28, "kmnist": 28, "emnist": 28, "digits": 8, "clusters": 8}
"""Height and width of an image of each data set, in pixels."""
COUNTS = {
    "mnist": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "fashion_mnist": (6000,) * 10,
    "kmnist": (6000,) * 10,
    "emnist": (2400,) * 47,
    "digits": (148, 149, 144, 140, 153, 142, 154, 134, 139, 134),
    "clusters": (600,) * 10,
}
"""Training images of each class, so that lengths are known before anything is loaded."""
DIGITS_TEST = 360
CLUSTERS_TRAIN, CLUSTERS_TEST = 6000, 1000
SEED = 2507_14805
"""Of the split of `digits` and the draw of `clusters`: the same for everybody."""


def shape(data):
    """Side in pixels and number of classes, without loading."""
    return SIDES[data.name], len(counts(data))


def examples(data):
    """Number of training images, without loading."""
    return sum(counts(data))


def counts(data):
    """Training images of each class of a `Data`."""
    return COUNTS[data.name][: data.classes or None]


def load(data):
    """The images of a `Data`: train_x, test_x uint8 (n, side * side); train_y, test_y int32 (n,);
    `Refused` where files can be neither found nor downloaded, or are not the right ones."""
    images, known = _LOADERS.get(data.name, _idx)(data), data.classes
    if not known:
        return images
    parts = {part: images[f"{part}_y"] < known for part in ("train", "test")}
    return {name: x[parts[name.partition("_")[0]]] for name, x in images.items()}


def _idx(data):
    # tensorflow-datasets is slow to import, and the other data sets do not need it.
    from minisub.images import datasets

    return datasets.load(data.name, data.manual_dir)


def _digits(data):
    """Handwriting that comes with scikit-learn, its 17 shades spread over a byte's 256."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(y))
    x, y = np.rint(x * (255 / 16)).astype(np.uint8)[order], y.astype(np.int32)[order]
    return _split(x, y, len(y) - DIGITS_TEST)


def _clusters(data):
    """Gaussian clusters around random centers, far enough apart that a small MLP separates them."""
    side, classes = SIDES["clusters"], len(COUNTS["clusters"])
    rng, n = np.random.default_rng(SEED), CLUSTERS_TRAIN + CLUSTERS_TEST
    centers = rng.normal(127.5, 32.0, (classes, side * side))
    y = np.arange(n, dtype=np.int32) % classes
    x = rng.normal(centers[y], 48.0)
    x = np.rint(np.clip(x, 0, 255)).astype(np.uint8)
    return _split(x, y, CLUSTERS_TRAIN)


def _split(x, y, n):
    """The first `n` images for training, the others for test."""
    return {"train_x": x[:n], "train_y": y[:n], "test_x": x[n:], "test_y": y[n:]}


_LOADERS = {"digits": _digits, "clusters": _clusters}


def normalize(x):
    """Pixels 0..255 as float32 in [-1, 1]."""
    # Not x / 127.5 - 1: a whole number and one product round alike, however they are compiled.
    return (2 * jnp.asarray(x).astype(jnp.float32) - 255) * (1 / 255)


def epoch_rows(order, step, batch):
    """Rows (batch,) that update `step` (may be traced) of an epoch in an `order` (n,) visits, and
    their weights (batch,) float32: 1, or 0 for the rows 0 that fill up the last batch."""
    n = order.shape[0]
    padding, start = jnp.zeros(-n % batch, order.dtype), step * batch
    rows = jax.lax.dynamic_slice(jnp.concatenate([order, padding]), (start,), (batch,))
    return rows, (start + jnp.arange(batch) < n).astype(jnp.float32)
