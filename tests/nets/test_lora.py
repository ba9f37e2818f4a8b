"""LoRA: adapters start as nothing, span no more than their rank, and leave all else alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import by_path, differing, equal

from minisub.config import Training
from minisub.nets import fit, lora

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype("f")


PARAMS = {
    "embed": {"embedding": normal(7, 6)},
    "fc": {"kernel": normal(6, 5), "bias": normal(5)},
    "conv": {"kernel": normal(3, 3, 1, 2)},
    "head": {"kernel": normal(5, 4)},
}
ADAPTED = {"fc/kernel", "head/kernel"}
TRAINING = Training(steps=4, learning_rate=0.02, frozen=("embed",), rank=2, alpha=3.0)
TARGET = normal(7, 4)


def loss(params, key):
    """Of a network with a nonlinearity, on all parameters."""
    hidden = params["embed"]["embedding"] @ params["fc"]["kernel"] + params["fc"]["bias"][None]
    out = jnp.tanh(hidden) @ params["head"]["kernel"] + jnp.sum(params["conv"]["kernel"] ** 2)
    return jnp.mean((out - TARGET) ** 2)


@pytest.fixture(scope="module")
def fitted(quick):
    """(training, params) -> (state at the beginning, at the end), in one program."""

    @quick
    def both(training, params):
        begun = fit.begin(training, params, key=KEY)
        return begun, fit.advance(training, loss, begun, KEY, 0, training.steps)

    return both


def test_new_adapters_change_no_bit_and_are_drawn_by_path_as_documented():
    tree = lora.adapted(PARAMS, KEY, 2, 3.0, ("embed",))
    equal(lora.merged(tree), PARAMS)
    assert jax.tree.all(jax.tree.map(lambda a, b: a is b, lora.merged(PARAMS), PARAMS))
    leaves = by_path(tree)
    assert {path.rpartition("/")[0] for path in leaves if lora.trained(path)} == ADAPTED
    for path in ADAPTED:
        rows, columns = by_path(PARAMS)[path].shape
        assert leaves[f"{path}/lora_a"].shape == (rows, 2)
        equal(leaves[f"{path}/lora_b"], np.zeros((2, columns)))
        assert leaves[f"{path}/lora_scale"] == 1.5
    alone, moved = (
        lora.adapted({name: PARAMS["head"]}, KEY, 2, 3.0, ()) for name in ("head", "tail")
    )
    equal(alone["head"], tree["head"])
    assert not np.array_equal(moved["tail"]["kernel"]["lora_a"], tree["head"]["kernel"]["lora_a"])
    wide = lora.adapted({"w": jnp.zeros((400, 3))}, KEY, 50, 1.0, ())["w"]["lora_a"]
    # 20,000 draws of variance 1/400: the mean square is off by 1%, its deviation.
    assert np.mean(np.square(wide)) * 400 == pytest.approx(1, abs=0.04)


def test_a_merged_matrix_is_the_weight_plus_the_scaled_product():
    tree, b = lora.adapted(PARAMS, KEY, 2, 3.0, ()), normal(2, 4)
    tree["head"]["kernel"]["lora_b"] = b
    product = np.float64(tree["head"]["kernel"]["lora_a"]) @ np.float64(b)
    merged, expected = lora.merged(tree), PARAMS["head"]["kernel"] + 3 / 2 * product
    np.testing.assert_allclose(merged["head"]["kernel"], expected, rtol=1e-5, atol=1e-6)
    assert differing(merged, PARAMS) == {"head/kernel"}


def test_training_moves_the_product_in_adapted_matrices_and_nothing_else(fitted):
    begun, state = fitted(TRAINING, PARAMS)
    assert differing(fit.params(state), PARAMS) == ADAPTED
    both = {f"{path}/{name}" for path in ADAPTED for name in lora.ADAPTERS}
    assert differing(state.trained, begun.trained) == by_path(state.trained).keys() == both
    equal(state.frozen, begun.frozen)
    _, plain = fitted(dataclasses.replace(TRAINING, rank=0), PARAMS)
    assert differing(fit.params(plain), PARAMS) == {*ADAPTED, "fc/bias", "conv/kernel"}


@pytest.mark.parametrize(("name", "left"), [("lora_a", "lora_b"), ("head", "lora_a")])
def test_adapters_named_among_the_frozen_keep_their_bits(name, left, fitted):
    training = dataclasses.replace(TRAINING, frozen=("embed", name))
    begun, state = fitted(training, PARAMS)
    equal(state.frozen, begun.frozen)
    moved = differing(state.trained, begun.trained)
    assert moved == by_path(state.trained).keys() and any(path.endswith(left) for path in moved)
    assert all(name not in path.split("/") for path in moved)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_least_squares_are_solved_as_well_as_the_rank_allows(rank, quick):
    """In white inputs what is left are the singular values beyond the rank (Eckart and Young).

    None with adapters of full rank, 3, as without any, rank 0.
    """
    sizes = np.array([2.0, 1.0, 0.5])
    left, right = (
        np.linalg.qr(np.random.default_rng(i).normal(size=(n, 3)))[0] for i, n in enumerate((4, 3))
    )
    start = np.random.default_rng(5).normal(size=(4, 3)).astype("f")
    target = start + (left * sizes[None] @ right.T).astype("f")
    how = {"schedule": "cosine", "learning_rate": 0.05, "frozen": (), "alpha": 2.0}
    training = Training(steps=600, rank=rank, **how)

    @quick
    def solved():
        squares = lambda params, key: jnp.sum((params["w"] - target) ** 2)  # noqa: E731
        state = fit.begin(training, {"w": start}, key=KEY)
        return fit.params(fit.advance(training, squares, state, KEY, 0, 600))["w"]

    change = np.float64(solved()) - start
    assert np.sum((start + change - target) ** 2) == pytest.approx(
        np.sum(sizes[rank or 3 :] ** 2), abs=1e-4
    )
    assert (np.linalg.svd(change, compute_uv=False)[rank or 3 :] < 1e-5).all()
