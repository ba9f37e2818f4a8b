"""How tests compare trees of arrays: bit for bit, or up to rounding."""

import jax
import numpy as np

from minisub.nets.trees import path_name


def by_path(tree):
    """A tree as a dict, "fc1/kernel" -> array of NumPy."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {path_name(path): np.asarray(x) for path, x in leaves}


def equal(one, other):
    """Assert that two trees are the same bit for bit."""
    assert differing(one, other) == set()


def differing(one, other):
    """The paths at which two trees of one structure differ in a bit."""
    a, b = by_path(one), by_path(other)
    assert a.keys() == b.keys()
    return {path for path in a if not np.array_equal(a[path], b[path])}


def near(one, other, rtol=1e-5, atol=1e-6):
    """Assert that two trees of one structure are the same but for rounding."""
    a, b = by_path(one), by_path(other)
    assert a.keys() == b.keys()
    for path, x in a.items():
        np.testing.assert_allclose(x, b[path], rtol=rtol, atol=atol, err_msg=path)


def vector(tree):
    """All elements of a tree in one vector of float64."""
    return np.concatenate([np.ravel(x).astype(np.float64) for x in jax.tree.leaves(tree)])


def cosine(one, other):
    """Between two vectors, in float64."""
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def drawn(shapes, seed, scale=0.3):
    """A tree of float32 like `shapes`, Gaussian; vectors, such as scales of norms, around 1."""
    rng = np.random.default_rng(seed)

    def draw(x):
        return (rng.normal(0, scale, x.shape) + (len(x.shape) == 1)).astype(np.float32)

    return jax.tree.map(draw, shapes)


def dense_layers(sizes, seed):
    """Random dense layers, name -> {"kernel", "bias"}, of sizes name -> (fan_in, fan_out)."""
    rng = np.random.default_rng(seed)

    def layer(shape):
        kernel = rng.normal(size=shape) / np.sqrt(shape[0])
        return {"kernel": kernel.astype("f"), "bias": rng.normal(size=shape[1]).astype("f")}

    return {name: layer(shape) for name, shape in sizes.items()}
