"""Hidden units in another order: every weight is kept, and so is the function."""

import jax
import numpy as np
import pytest
from same import by_path, dense_layers, differing, equal

from configs import relabeling
from minisub.config import Refused
from minisub.nets import starts
from minisub.theory import units

SIZES = {"fc1": (16, 32), "fc2": (32, 24), "class_head": (24, 3), "aux_head": (24, 2)}


ORIGIN = dense_layers(SIZES, 0)
STARTS = {
    "both": units.permuted(),
    "fc1": units.permuted("fc1"),
    "fc2": units.permuted("fc2"),
    "rebalanced": relabeling.rebalanced,
}


def logits(params):
    """A ReLU network on fixed inputs."""
    x = np.random.default_rng(9).normal(size=(7, 16)).astype("f")
    for name in "fc1", "fc2":
        x = jax.nn.relu(x @ params[name]["kernel"] + params[name]["bias"][None])
    heads = [params[name] for name in ("class_head", "aux_head")]
    return np.concatenate([x @ head["kernel"] + head["bias"][None] for head in heads], axis=1)


@pytest.fixture(scope="module")
def made(quick):
    """seed -> {name of a start: parameters}, in one program for all."""

    @quick
    def every(seed):
        given = starts.Materials(ORIGIN, None, jax.random.key(seed), 0.5)
        return {name: starts.make(how, (), given) for name, how in STARTS.items()}

    return every


@pytest.fixture(scope="module")
def found(made):
    return made(5)


def test_symmetries_change_the_weights_of_chosen_units_and_not_the_function(found):
    changed = {
        "both": set(SIZES),
        "fc1": {"fc1", "fc2"},
        "fc2": {"fc2", "class_head", "aux_head"},
        "rebalanced": set(SIZES),
    }
    for name, expected in changed.items():
        np.testing.assert_allclose(logits(found[name]), logits(ORIGIN), rtol=1e-4, atol=1e-5)
        assert {path.split("/")[0] for path in differing(found[name], ORIGIN)} == expected


def test_permuted_keeps_every_weight_in_an_order_of_its_key_and_rebalanced_scales(made, found):
    other = made(6)["both"]
    for path, x in by_path(found["both"]).items():
        np.testing.assert_array_equal(np.sort(x.ravel()), np.sort(by_path(ORIGIN)[path].ravel()))
        if path.endswith("kernel"):
            assert (x != by_path(other)[path]).any()
    scaled = found["rebalanced"]
    equal(scaled["fc1"], jax.tree.map(lambda x: x / 2, ORIGIN["fc1"]))
    for name in "class_head", "aux_head":
        equal(scaled[name], ORIGIN[name] | {"kernel": ORIGIN[name]["kernel"] * 2})


def test_the_order_of_units_does_not_depend_on_what_else_is_permuted(found):
    equal(found["fc1"]["fc1"], found["both"]["fc1"])


def layer(kernel):
    """A layer with a bias of one value for each unit."""
    return {"kernel": kernel, "bias": np.arange(kernel.shape[-1], dtype=float)}


def test_a_permutation_acts_alike_on_every_part_that_has_all_units():
    """Of a dense layer behind a convolution each place, of attention queries, keys and values."""
    place, four = np.arange(3 * 4.0)[:, None], np.arange(4.0)
    before = {
        "conv1": layer(four[None, None, None]),
        "fc": layer(place),
        "class_head": layer(np.ones((1, 2))),
        "aux_head": layer(np.ones((1, 2))),
        "block_0": {
            "qkv": {"kernel": np.arange(3 * 4 * 2.0)[None]},
            "out": {"kernel": np.arange(4 * 2.0)[:, None]},
        },
    }
    given = starts.Materials(before, None, jax.random.key(3))
    after = starts.make(units.permuted(heads=4), (), given)
    order = after["conv1"]["kernel"].ravel().astype(int)
    assert list(order) != [0, 1, 2, 3]
    np.testing.assert_array_equal(after["conv1"]["bias"], order)
    np.testing.assert_array_equal(
        after["fc"]["kernel"].reshape(3, 4), place.reshape(3, 4)[:, order]
    )
    heads = after["block_0"]["out"]["kernel"].reshape(4, 2)
    order = (heads[:, 0] / 2).astype(int)
    assert list(order) != [0, 1, 2, 3]
    np.testing.assert_array_equal(heads, np.arange(8.0).reshape(4, 2)[order])
    expected = np.arange(24.0).reshape(3, 4, 2)[:, order]
    np.testing.assert_array_equal(after["block_0"]["qkv"]["kernel"].reshape(3, 4, 2), expected)


def test_layers_that_feed_no_hidden_units_are_refused():
    given = starts.Materials(ORIGIN, None, jax.random.key(0))
    for layers in ("class_head",), ("~fc1", "~fc2"):
        with pytest.raises(Refused, match="hidden units"):
            units.permuted(*layers)(given)
    with pytest.raises(Refused, match="fc9"):
        units.permuted("fc9")(given)
    with pytest.raises(Refused, match="hidden units"):
        relabeling.rebalanced(given._replace(origin={"class_head": ORIGIN["class_head"]}))
