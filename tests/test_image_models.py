"""Image models: two heads over one hidden layer, weights by path, units that may trade places."""

import dataclasses
import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import image_models
from minisub.config import Refused
from minisub.image_config import ImageModel

KINDS = ("mlp-12-20", "cnn-3-5-20", "transformer-8-2-20")
CLASSES, AUX, BATCH = 10, 3, 6


def model(layers, **fields):
    return ImageModel(layers=layers, aux=AUX, **fields)


@functools.cache
def started(layers, side=8):
    """A compiled network and its initial parameters."""
    network = image_models.make_images(model(layers), side, CLASSES)
    network = network._replace(apply=jax.jit(network.apply))
    return network, jax.jit(network.init)(jax.random.key(0))


def images(side):
    return jax.random.normal(jax.random.key(1), (BATCH, side * side))


def by_path(params):
    """A nested dict of arrays as a flat one, "fc1/kernel" -> array."""
    pairs = jax.tree.leaves_with_path(params)
    return {jax.tree_util.keystr(p, simple=True, separator="/"): leaf for p, leaf in pairs}


def permuted(params, relabelings, rng):
    """Every group of hidden units in an order of its own."""
    flat = {path: np.asarray(leaf) for path, leaf in by_path(params).items()}
    for size, members in relabelings:
        order = rng.permutation(size)
        for path, axis, blocks in members:
            assert flat[path].shape[axis] == blocks * size
            within = (np.arange(blocks)[:, None] * size + order[None]).ravel()
            flat[path] = np.take(flat[path], within, axis=axis)
    return jax.tree.map_with_path(
        lambda p, _: flat[jax.tree_util.keystr(p, simple=True, separator="/")], params
    )


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("layers", KINDS)
def test_every_kind_gives_logits_and_the_last_hidden_layer(layers, side):
    network, params = started(layers, side)
    logits, hidden = network.apply(params, images(side))
    assert logits.shape == (BATCH, CLASSES + AUX)
    assert hidden.shape == (BATCH, 20)
    assert float(hidden.min()) == 0 < float(hidden.max())


@pytest.mark.parametrize("layers", KINDS)
def test_a_head_gives_its_own_logits_alone(layers):
    network, params = started(layers)

    def energies(params):
        logits, _ = network.apply(params, images(8))
        return jnp.sum(logits[:, :CLASSES] ** 2), jnp.sum(logits[:, CLASSES:] ** 2)

    of_classes, of_aux = jax.jit(jax.jacrev(energies))(params)
    for grads, own, other in (
        (of_classes, "class_head", "aux_head"),
        (of_aux, "aux_head", "class_head"),
    ):
        assert not np.any(grads[other]["kernel"])
        assert not np.any(grads[other]["bias"])
        assert np.all(np.any(grads[own]["kernel"], axis=0))


@pytest.mark.parametrize("layers", KINDS)
def test_logits_are_those_of_the_heads_on_the_hidden_layer(layers):
    network, params = started(layers)
    logits, hidden = network.apply(params, images(8))
    outputs = [hidden @ params[head]["kernel"] for head in ("class_head", "aux_head")]
    np.testing.assert_allclose(logits, np.concatenate(outputs, axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", [*KINDS, "mlp"])
def test_activations_are_the_hidden_layers_in_order(layers):
    network, params = started(layers)
    found = network.activations(params, images(8))
    assert {name: x.shape[1:] for name, x in found.items()} == {
        "mlp-12-20": {"fc1": (12,), "fc2": (20,)},
        "cnn-3-5-20": {"conv1": (4, 4, 3), "conv2": (2, 2, 5), "fc": (20,)},
        "transformer-8-2-20": {"block_0": (16, 8), "block_1": (16, 8), "fc": (20,)},
        "mlp": {},
    }[layers]
    names = list(found)
    assert names == image_models.hidden_layers(*image_models.parse_layers(layers))
    assert set(params) - set(names) <= {*image_models.HEADS, "patch", "position", "final_norm"}
    for name, x in found.items():
        if not name.startswith("block"):
            assert float(x.min()) == 0 < float(x.max())  # after a ReLU
    if names:
        expected = network.apply(params, images(8))[1]
        np.testing.assert_allclose(found[names[-1]], expected, rtol=1e-5, atol=1e-6)


def test_the_activations_of_an_mlp_are_those_of_its_formula():
    (network, params), x = started("mlp-12-20"), images(8)
    found = network.activations(params, x)
    for name in "fc1", "fc2":
        x = np.maximum(x @ params[name]["kernel"] + params[name]["bias"][None], 0)
        np.testing.assert_allclose(found[name], x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", KINDS)
def test_a_steering_vector_is_added_to_its_layer_and_leaves_earlier_ones(layers):
    (network, params), x = started(layers), images(8)
    before, logits = network.activations(params, x), network.apply(params, x)[0]
    assert not set(params) & {"steering"}
    names = list(before)
    for i, name in enumerate(names):
        width = before[name].shape[-1]
        vector = jnp.arange(1.0, width + 1)
        after = network.activations(params | {"steering": {name: vector}}, x)
        shaped = vector.reshape((1,) * (before[name].ndim - 1) + (width,))
        np.testing.assert_array_equal(after[name], before[name] + shaped)
        for earlier in names[:i]:
            np.testing.assert_array_equal(after[earlier], before[earlier])
        for later in names[i + 1 :]:
            assert float(jnp.abs(after[later] - before[later]).max()) > 0.01
        still, _ = network.apply(params | {"steering": {name: jnp.zeros(width)}}, x)
        np.testing.assert_allclose(still, logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layers", KINDS)
def test_steering_the_last_layer_steers_the_heads_by_their_kernels(layers):
    """The logits move by vector @ kernel, and so does the gradient with respect to the vector."""
    (network, params), x = started(layers), images(8)
    last = list(network.activations(params, x))[-1]
    vectors = jax.random.normal(jax.random.key(3), (4, 20))
    kernel = np.concatenate([params[head]["kernel"] for head in image_models.HEADS], axis=1)

    def logits(vector):
        return network.apply(params | {"steering": {last: vector}}, x)[0]

    moved = jax.vmap(logits)(vectors) - network.apply(params, x)[0][None]
    expected = np.broadcast_to((vectors @ kernel)[:, None], moved.shape)
    np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-4)
    grads = jax.grad(lambda vector: jnp.mean(logits(vector)[:, 0]))(vectors[0])
    np.testing.assert_allclose(grads, kernel[:, 0], rtol=1e-4, atol=1e-5)


def test_a_layer_that_is_not_there_cannot_be_steered():
    network, params = started("cnn-3-5-20")
    with pytest.raises(Refused, match=r"'fc1'; choose from conv1, conv2, fc\.$"):
        network.activations(params | {"steering": {"fc1": jnp.ones(20)}}, images(8))


def test_a_convolution_computes_what_that_of_flax_does():
    ours, theirs = image_models.Convolution(5), nn.Conv(5, (3, 3), strides=2)
    for side in 28, 7, 2, 1:
        x = jax.random.normal(jax.random.key(side), (2, side, side, 3))
        params = ours.init(jax.random.key(0), x)
        params["params"]["bias"] = jnp.arange(5.0)
        expected = theirs.apply(params, x)
        np.testing.assert_allclose(ours.apply(params, x), expected, rtol=1e-5, atol=1e-5)


def test_the_order_of_patches_is_known_by_their_positions_alone():
    """Attention among patches is not causal: a transformer sees no order but the embedding's."""
    (network, params), x = started("transformer-8-2-20"), images(8)
    order = np.random.default_rng(0).permutation(16)
    grid = x.reshape(BATCH, 4, 2, 4, 2).swapaxes(2, 3).reshape(BATCH, 16, 2, 2)[:, order]
    moved = grid.reshape(BATCH, 4, 4, 2, 2).swapaxes(2, 3).reshape(BATCH, 64)
    table = params["position"]["embedding"][order]
    expected, _ = network.apply(params, x)
    logits, _ = network.apply(params | {"position": {"embedding": table}}, moved)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert float(jnp.abs(network.apply(params, moved)[0] - expected).max()) > 0.01


@pytest.mark.parametrize("layers", KINDS)
def test_other_heads_change_no_other_initial_weight(layers):
    config = model(layers)
    _, one = started(layers)
    more = image_models.make_images(dataclasses.replace(config, aux=9), 8, CLASSES)
    fewer = image_models.make_images(config, 8, CLASSES - 1)
    for network, redrawn in (more, "aux_head"), (fewer, "class_head"):
        other = jax.jit(network.init)(jax.random.key(0))
        assert set(other) == set(one)
        for name in set(one) - {redrawn}:
            jax.tree.map(np.testing.assert_array_equal, one[name], other[name])


def test_layers_of_equal_path_and_shape_start_alike_in_all_architectures():
    trees = [
        by_path(started(layers)[1])
        for layers in ("mlp-12-20", "mlp-12-20-20", "cnn-3-5-20", "cnn-3-20", "transformer-20-1-20")
    ]
    shared = 0
    for one, other in itertools.pairwise(trees):
        for path in set(one) & set(other):
            if one[path].shape == other[path].shape:
                np.testing.assert_array_equal(one[path], other[path])
                shared += path.endswith("kernel")
    assert shared == 4 + 2 + 3 + 2


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(
    "layers, stds",
    [
        ("mlp-256-400", {"fc1": 784**-0.5, "fc2": 256**-0.5, "class_head": 400**-0.5}),
        ("cnn-64-128-64", {"conv2": (9 * 64) ** -0.5, "fc": (49 * 128) ** -0.5}),
        (
            "transformer-256-1-256",
            {"patch": 1 / 7, "position": 0.2, "block_0/down": 1024**-0.5, "fc": 1 / 16},
        ),
    ],
)
def test_initial_weights_have_the_documented_deviations(layers, stds, scale):
    config = model(layers, init_scale=scale)
    params = jax.jit(image_models.make_images(config, 28, 100).init)(jax.random.key(0))
    flat = by_path(params)
    for name, std in stds.items():
        leaf = np.asarray(flat.get(f"{name}/kernel", flat.get(f"{name}/embedding")))
        assert leaf.std() == pytest.approx(std * scale, rel=0.03)
        assert abs(leaf.mean()) < 0.03 * std
        assert np.abs(leaf).max() > 3 * std * scale  # not truncated
    assert all(not np.any(leaf) for path, leaf in flat.items() if path.endswith("bias"))
    assert all(np.all(leaf == 1) for path, leaf in flat.items() if path.endswith("scale"))


def test_the_scale_of_initial_weights_may_be_traced():
    def init(scale):
        config = model("mlp-12-20", init_scale=scale)
        return image_models.make_images(config, 8, CLASSES).init(jax.random.key(0))

    traced = jax.jit(jax.vmap(init))(jnp.array([0.5, 2.0]))
    for i, scale in enumerate((0.5, 2.0)):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-6), traced, init(scale)
        )


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("layers", [*KINDS, "mlp-7", "cnn-4-20"])
def test_relabeled_hidden_units_compute_the_same_logits(layers, side):
    network, params = started(layers, side)
    # Biases start at 0, where an order that leaves them out would go unnoticed.
    keys = iter(jax.random.split(jax.random.key(2), len(jax.tree.leaves(params))))
    params = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(next(keys), x.shape), params)
    other = permuted(params, network.relabelings, np.random.default_rng(0))
    expected, _ = network.apply(params, images(side))
    logits, _ = network.apply(other, images(side))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    for _, members in network.relabelings:
        for path, _, _ in members:
            assert np.any(by_path(other)[path] != by_path(params)[path])


def test_relabelings_name_every_hidden_layer():
    groups = {
        layers: [
            (size, members[0][0]) for size, members in image_models.relabelings(model(layers), 28)
        ]
        for layers in KINDS
    }
    assert groups == {
        "mlp-12-20": [(12, "fc1/kernel"), (20, "fc2/kernel")],
        "cnn-3-5-20": [(3, "conv1/kernel"), (5, "conv2/kernel"), (20, "fc/kernel")],
        "transformer-8-2-20": [
            (32, "block_0/up/kernel"),
            (32, "block_1/up/kernel"),
            (20, "fc/kernel"),
        ],
    }


def test_flops_of_an_mlp_are_those_of_its_three_products():
    config, b = model("mlp-256-256"), 1024
    first = 2 * b * 784 * 256
    assert image_models.image_flops(config, 28, 10, b) == first + 2 * b * (256 * 256 + 256 * 13)
    assert image_models.image_flops_first(config, 28, 10, b) == first


@pytest.mark.parametrize("layers", ["mlp-256-256", "cnn-16-32-256", "transformer-64-2-256"])
def test_flops_count_the_matrix_products_of_the_compiled_forward_pass(layers):
    """XLA counts element-wise work too, so its figure is a little larger, never smaller."""
    network = image_models.make_images(model(layers), 28, CLASSES)
    params = jax.eval_shape(network.init, jax.random.key(0))
    pixels = jax.ShapeDtypeStruct((32, 784), jnp.float32)
    counted = jax.jit(network.apply).lower(params, pixels).compile().cost_analysis()["flops"]
    assert 0.9 * counted < image_models.image_flops(model(layers), 28, CLASSES, 32) <= counted


@pytest.mark.parametrize(
    "layers, part",
    [
        ("", "mlp-, cnn-"),
        ("lstm-5", "mlp-, cnn-"),
        ("mlp-0", "positive"),
        ("mlp--5", "positive"),
        ("mlp-1.5", "positive"),
        ("cnn-16", "at least 2,"),
        ("transformer-64-2", "give 3,"),
        ("transformer-64-2-256-9", "give 3,"),
        ("transformer-62-2-256", "multiple of 4"),
    ],
)
def test_layers_that_cannot_be_are_refused_with_a_remedy(layers, part):
    with pytest.raises(Refused, match=part) as refusal:
        image_models.parse_layers(layers)
    assert str(refusal.value).endswith(".")


def test_a_side_that_does_not_divide_into_patches_is_refused():
    with pytest.raises(Refused, match=r"mlp or cnn\.$"):
        image_models.make_images(model("transformer-8-1-8"), 10, CLASSES)
