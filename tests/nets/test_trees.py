"""Parameters as trees addressed by path, and as vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import by_path, cosine, drawn, equal, near, vector

from minisub.config import Refused
from minisub.images import classifiers
from minisub.images.config import ImageModel
from minisub.nets import trees
from minisub.theory import vectors, watching

PATHS = "block_0/qkv/kernel", "block_0/up/kernel", "block_1/qkv/kernel", "embed/embedding"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ((), []),
        (("embed",), [3]),
        (("block_0/qkv",), [0]),
        (("block_0/kernel",), []),  # neighbors only
        (("bed", "block"), []),  # whole parts only
        (("~block_0/qkv",), [1, 2, 3]),
        (("~block_0", "~embed"), [2]),
        (("block_0", "embed", "~qkv"), [1, 3]),
    ],
)
def test_names_choose_whole_neighboring_parts_of_a_path_and_a_tilde_leaves_out(names, chosen):
    assert [i for i, path in enumerate(PATHS) if trees.named(*names)(path)] == chosen
    tree = {"embed": {"embedding": np.ones(2)}, "block_0": {"qkv": {"kernel": np.zeros(3)}}}
    parts = trees.partition(tree, trees.named(*names))
    assert len(by_path(parts[0])) + len(by_path(parts[1])) == 2
    for merged in trees.merge(*parts), trees.merge(*parts[::-1]):
        equal(merged, tree)


def test_a_layer_that_is_in_no_path_is_refused_and_those_that_are_there_are_listed():
    tree = {"block_0": {"qkv": {"kernel": np.zeros(3)}}}
    trees.require_layers(("block_0/qkv", "~qkv"), [tree, tree])
    for name in "block_0/up", "~up":
        with pytest.raises(Refused, match=r"in '(block_0/)?up'; choose from block_0, qkv, kernel"):
            trees.require_layers((name,), [tree])


def test_common_takes_what_agrees_in_path_and_shape():
    one = {"a": np.ones(2), "b": np.ones(3), "c": np.ones(4)}
    other = {"a": np.zeros(2), "b": np.zeros(5), "d": np.zeros(4)}
    assert [list(tree) for tree in trees.common(one, other)] == [["a"], ["a"]]
    equal(trees.replaced(other, trees.common(one, other)[0]), other | {"a": one["a"]})


@pytest.fixture(scope="module")
def pair():
    """Two trees of one structure, of random elements."""
    shapes = {"a": {"x": np.zeros((2, 3)), "y": np.zeros(4)}, "b": np.zeros(5)}
    return drawn(shapes, 0, 1.0), drawn(shapes, 1, 1.0)


def test_cosines_are_those_of_all_elements_or_of_each_layers(pair):
    one, other = pair
    assert vectors.cosine(one, other) == pytest.approx(cosine(*map(vector, pair)), abs=1e-6)
    found = watching.cosine_by_layer(one, other)
    assert set(found) == {"a", "b"}
    for layer, value in found.items():
        expected = cosine(vector(one[layer]), vector(other[layer]))
        assert value == pytest.approx(expected, abs=1e-6)


def test_cosines_of_zero_are_zero_and_small_norms_do_not_underflow():
    zero, tiny = {"a": jnp.zeros(2)}, {"a": jnp.array([3e-15, 4e-15])}
    turned = {"a": jnp.array([4e-15, 3e-15])}
    assert (
        vectors.cosine(tiny, zero) == vectors.cosine(zero, tiny) == vectors.cosine(zero, zero) == 0
    )
    assert jnp.sum(tiny["a"] ** 2) * jnp.sum(turned["a"] ** 2) == 0, "what a naive one divides by"
    assert vectors.cosine(tiny, turned) == pytest.approx(24 / 25, rel=1e-6)


def test_what_is_projected_out_is_orthogonal_and_all_that_is_left_out(pair):
    update, direction = pair
    left = vectors.project_out(update, direction)
    removed = vector(update) - vector(left)
    assert abs(cosine(vector(left), vector(direction))) < 1e-6
    assert abs(cosine(removed, vector(direction))) == pytest.approx(1, abs=1e-6)
    equal(vectors.project_out(update, jax.tree.map(np.zeros_like, direction)), update)


@pytest.mark.parametrize("layers", ["mlp-6-5", "transformer-4-1-5", "mlp"])
def test_a_linearized_model_is_affine_with_the_models_value_and_slope_at_its_center(layers, quick):
    """All that it returns: logits and the last hidden layer."""
    net = classifiers.make_images(ImageModel(layers=layers, activation="tanh"), 4, 3)
    shapes = jax.eval_shape(net.init, jax.random.key(0))
    at, step = drawn(shapes, 0), drawn(shapes, 1)
    x = np.random.default_rng(2).normal(size=(4, 16)).astype(np.float32)
    linear = trees.linearize(net.apply, at)

    @quick
    def found(at, step):
        moved = [vectors.moved(at, step, by) for by in (0.0, 1.0, 2.0)]
        slope = jax.jvp(lambda p: net.apply(p, x), (at,), (step,))
        return [linear(params, x) for params in moved], slope, net.apply(moved[2], x)

    (zero, one, two), (value, slope), bent = found(at, step)
    near(zero, value)
    near(one, vectors.moved(value, slope, 1.0), rtol=1e-4, atol=1e-5)
    near(two, vectors.moved(value, slope, 2.0), rtol=1e-4, atol=1e-5)
    assert (np.abs(two[0] - bent[0]).max() > 0.05) == (layers != "mlp")
