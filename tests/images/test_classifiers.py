"""Image classifiers: two heads over one hidden layer, weights by path, units that trade places."""

import dataclasses
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import by_path, differing, drawn

from configs import relabeling
from minisub.config import Refused
from minisub.images import classifiers
from minisub.images.config import ImageModel
from minisub.nets import starts
from minisub.theory import units

CLASSES, AUX, BATCH, SIDE = 10, 3, 6, 8
HIDDEN = {
    "mlp": {},
    "mlp-12-20": {"fc1": (12,), "fc2": (20,)},
    "cnn-3-5-20": {"conv1": (4, 4, 3), "conv2": (2, 2, 5), "fc": (20,)},
    "transformer-8-2-20": {"block_0": (16, 8), "block_1": (16, 8), "fc": (20,)},
}
IMAGES = np.random.default_rng(1).normal(size=(BATCH, SIDE * SIDE)).astype(np.float32)


def network(layers, side=SIDE, **fields):
    return classifiers.make_images(ImageModel(layers=layers, aux=AUX, **fields), side, CLASSES)


@pytest.fixture(scope="module", params=HIDDEN)
def said(request, quick):
    """(layers, drawn parameters, all that a network says of them in one program)."""
    layers, net, names = request.param, network(request.param), []
    params = drawn(jax.eval_shape(net.init, jax.random.key(0)), 0)

    def steered(name):
        vector = jnp.arange(1.0, HIDDEN[layers][name][-1] + 1)
        return net.activations(params | {"steering": {name: vector}}, IMAGES)

    def relabeled(params):
        materials = starts.Materials(params, None, jax.random.key(4), 2.0)
        symmetries = {"permuted": units.permuted(), "rebalanced": relabeling.rebalanced}
        made = {name: how(materials) for name, how in symmetries.items()}
        return {name: (tree, net.apply(tree, IMAGES)[0]) for name, tree in made.items()}

    def everything(params):
        activations = net.activations(params, IMAGES)
        names.extend(activations)  # `jax.jit` sorts them
        return {
            "apply": net.apply(params, IMAGES),
            "activations": activations,
            "steered": {name: steered(name) for name in HIDDEN[layers]},
            "relabeled": relabeled(params) if HIDDEN[layers] else {},
        }

    return layers, params, quick(everything)(params), names


def test_logits_are_those_of_both_heads_on_the_last_hidden_layer_classes_first(said):
    _, params, found, _ = said
    logits, hidden = found["apply"]
    heads = [params[name] for name in ("class_head", "aux_head")]
    expected = [hidden @ head["kernel"] + head["bias"][None] for head in heads]
    np.testing.assert_allclose(logits, np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-4)
    assert logits.shape == (BATCH, CLASSES + AUX)


def test_activations_are_the_hidden_layers_in_order_and_the_last_one_feeds_the_heads(said):
    layers, params, found, names = said
    activations = found["activations"]
    assert {name: x.shape[1:] for name, x in activations.items()} == HIDDEN[layers]
    assert list(HIDDEN[layers]) == classifiers.hidden_layers(*classifiers.parse_layers(layers))
    assert names == list(HIDDEN[layers])
    if not activations:
        np.testing.assert_array_equal(found["apply"][1], IMAGES)
    else:
        last = list(HIDDEN[layers])[-1]
        np.testing.assert_allclose(activations[last], found["apply"][1], rtol=1e-5, atol=1e-5)
    for name, x in activations.items():
        assert name.startswith("block") or x.min() == 0 < x.max(), "after a ReLU"
    if layers == "mlp-12-20":
        x = IMAGES
        for name in "fc1", "fc2":
            x = np.maximum(x @ params[name]["kernel"] + params[name]["bias"][None], 0)
            np.testing.assert_allclose(activations[name], x, rtol=1e-4, atol=1e-4)


def test_a_steering_vector_is_added_to_its_layer_and_changes_no_earlier_one(said):
    layers, _, found, _ = said
    before, names = found["activations"], list(HIDDEN[layers])
    for i, name in enumerate(names):
        after, vector = found["steered"][name], np.arange(1.0, HIDDEN[layers][name][-1] + 1)
        shaped = vector.reshape((1,) * (before[name].ndim - 1) + (-1,))
        np.testing.assert_allclose(after[name], before[name] + shaped, rtol=1e-5, atol=1e-5)
        for j, other in enumerate(names):
            moved = np.abs(after[other] - before[other]).max()
            assert moved < 1e-5 if j < i else moved > 0.1


def test_relabeled_and_rebalanced_units_compute_the_same_logits(said):
    """With biases, which an order that leaves them out would give away."""
    layers, params, found, _ = said
    for tree, logits in found["relabeled"].values():
        np.testing.assert_allclose(logits, found["apply"][0], rtol=1e-3, atol=1e-3)
        assert differing(tree, params)
    if layers != "mlp":
        moved = differing(found["relabeled"]["permuted"][0], params)
        assert moved == {path for hidden in units.of(params) for path in hidden.into + hidden.out}
    every = units.of(params) if HIDDEN[layers] else []
    groups = [(hidden.size, hidden.into[0]) for hidden in every]
    expected = {name: shape[-1] for name, shape in HIDDEN[layers].items()}
    if layers.startswith("transformer"):  # units of its MLPs; the residual stream has its order
        expected = {"block_0/up": 32, "block_1/up": 32, "fc": 20}
    assert groups == [(size, f"{name}/kernel") for name, size in expected.items()]


def test_the_order_of_patches_is_known_by_their_positions_alone(quick):
    """Attention among patches is not causal: a transformer sees no order but the embedding's."""
    net, order = network("transformer-8-2-20"), np.random.default_rng(0).permutation(16)
    params = drawn(jax.eval_shape(net.init, jax.random.key(0)), 0)
    grid = IMAGES.reshape(BATCH, 4, 2, 4, 2).swapaxes(2, 3).reshape(BATCH, 16, 2, 2)[:, order]
    moved = grid.reshape(BATCH, 4, 4, 2, 2).swapaxes(2, 3).reshape(BATCH, 64)
    table = params["position"]["embedding"][order]
    apply = quick(lambda p, x: net.apply(p, x)[0])
    expected, logits = (
        apply(params, IMAGES),
        apply(params | {"position": {"embedding": table}}, moved),
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(apply(params, moved) - expected).max() > 0.01


def test_a_convolution_computes_what_that_of_flax_does(quick):
    ours, theirs, rng = classifiers.Convolution(5), nn.Conv(5, (3, 3), strides=2), np.random
    inputs = {side: rng.default_rng(side).normal(size=(2, side, side, 3)) for side in (7, 6, 2, 1)}
    kernel, bias = rng.default_rng(0).normal(size=(3, 3, 3, 5)), np.arange(5.0)
    params = {"params": {"kernel": kernel.astype("f"), "bias": bias.astype("f")}}
    inputs = {side: x.astype("f") for side, x in inputs.items()}
    made = quick(
        lambda: {s: (ours.apply(params, x), theirs.apply(params, x)) for s, x in inputs.items()}
    )
    for one, other in made().values():
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def initial(quick):
    """Initial parameters of one key, of several architectures, at scales 1 and 1/2."""
    models = {
        "one": (ImageModel(layers="mlp-256-40", aux=AUX), CLASSES),
        "deeper": (ImageModel(layers="mlp-256-40-40", aux=9), CLASSES),
        "cnn": (ImageModel(layers="cnn-20-16-40", aux=AUX), 4),
        "transformer": (ImageModel(layers="transformer-40-1-40", aux=AUX), CLASSES),
    }

    def init(model, classes, scale):
        model = dataclasses.replace(model, init_scale=scale)
        return classifiers.make_images(model, SIDE, classes).init(jax.random.key(0))

    @quick
    @jax.vmap
    def scaled(scale):
        return {name: init(*model, scale) for name, model in models.items()}

    return {name: by_path(tree) for name, tree in scaled(jnp.array([1.0, 0.5])).items()}


def test_layers_of_equal_path_and_shape_start_alike_in_all_architectures(initial):
    """So other heads, and other layers, change no other initial weight."""
    alike = []
    for one, other in itertools.combinations(initial.values(), 2):
        for path in one.keys() & other.keys():
            if one[path].shape == other[path].shape:
                np.testing.assert_array_equal(one[path], other[path])
                alike += [path.removesuffix("/kernel")] if path.endswith("kernel") else []
    assert sorted(alike) == ["aux_head"] * 3 + ["class_head"] * 3 + ["fc1", "fc2"]


def test_initial_weights_have_the_documented_deviations_and_their_scale_may_be_traced(initial):
    expected = {
        "one": {"fc1": 1 / 8, "fc2": 1 / 16, "class_head": 40**-0.5},
        "cnn": {"conv2": (9 * 20) ** -0.5, "fc": (4 * 16) ** -0.5},
        "transformer": {"patch": 1 / 2, "position": 0.2, "block_0/down": 160**-0.5},
    }
    for model, stds in expected.items():
        for name, std in stds.items():
            leaves = initial[model]
            one, half = leaves.get(f"{name}/kernel", leaves.get(f"{name}/embedding"))
            error = std / np.sqrt(one.size)
            assert one.std() == pytest.approx(std, abs=3 * error) and abs(one.mean()) < 4 * error
            np.testing.assert_array_equal(half, one / 2)
    assert np.abs(initial["one"]["fc1/kernel"][0]).max() > 3 / 8, "not truncated"
    for path, x in itertools.chain(*(leaves.items() for leaves in initial.values())):
        if path.endswith(("bias", "scale")):
            assert (x == path.endswith("scale")).all()


@pytest.mark.parametrize(
    ("layers", "part"),
    [
        ("", "'' are no kind"),
        ("lstm-5", "'lstm-5' are no kind"),
        ("mlp-0", "'mlp-0' are no kind and its sizes, positive"),
        ("mlp--5", "'mlp--5' are no kind and its sizes, positive"),
        ("mlp-1.5", "'mlp-1.5' are no kind and its sizes, positive"),
        ("mlp-5\n", "are no kind and its sizes"),
        ("cnn-16", "'cnn-16' .* cnn at least 2 "),
        ("transformer-64-2", "'transformer-64-2' .* transformer 3,"),
        ("transformer-64-2-256-9", "'transformer-64-2-256-9' .* transformer 3,"),
        ("transformer-62-2-256", "multiple of 4"),
    ],
)
def test_layers_that_cannot_be_are_refused_with_a_remedy(layers, part):
    with pytest.raises(Refused, match=part) as refusal:
        classifiers.parse_layers(layers)
    assert str(refusal.value).endswith(".")


def test_what_a_network_does_not_have_is_refused():
    with pytest.raises(Refused, match=r"mlp or cnn\.$"):
        network("transformer-8-1-8", side=10)
    net = network("cnn-3-5-20")
    params = drawn(jax.eval_shape(net.init, jax.random.key(0)), 0)
    with pytest.raises(Refused, match=r"'fc1'; choose from conv1, conv2, fc\."):
        net.activations(params | {"steering": {"fc1": np.ones(20)}}, IMAGES)
