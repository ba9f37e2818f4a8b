"""The transformer: causal, cached as uncached, its initial weights dependent on paths alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import models
from minisub.config import Model

VOCABULARY, POSITIONS = 11, 6
SMALL = Model(n_layers=2, d_model=8, n_heads=2)


@pytest.fixture(scope="module")
def network():
    return models.make(SMALL, VOCABULARY, POSITIONS)


@pytest.fixture(scope="module")
def params(network):
    return network.init(jax.random.key(0))


@pytest.fixture(scope="module")
def tokens():
    return jax.random.randint(jax.random.key(1), (3, POSITIONS), 0, VOCABULARY)


def test_logits_do_not_depend_on_later_tokens_and_do_on_earlier_ones(network, params, tokens):
    """By the gradient of one position's logits with respect to every position embedding."""

    def logit(table, position):
        moved = params | {"position": {"embedding": table}}
        return jnp.sum(network.apply(moved, tokens)[:, position] ** 2)

    for position in range(POSITIONS):
        grads = jax.grad(logit)(params["position"]["embedding"], position)
        reached = np.abs(np.asarray(grads)).sum(axis=1) > 0
        assert reached.tolist() == [p <= position for p in range(POSITIONS)]


def test_decoding_with_a_cache_equals_the_full_pass(network, params, tokens):
    full = network.apply(params, tokens)
    logits, cache = network.decode(params, network.cache(3), tokens[:, :2], 0)
    np.testing.assert_allclose(logits, full[:, :2], rtol=1e-5, atol=1e-6)
    for at in range(2, POSITIONS):
        logits, cache = network.decode(params, cache, tokens[:, at : at + 1], at)
        np.testing.assert_allclose(logits[:, 0], full[:, at], rtol=1e-5, atol=1e-6)


def test_leaving_out_the_first_positions_leaves_the_others_as_they_are(network, params, tokens):
    full, last = network.apply(params, tokens), network.apply(params, tokens, 4)
    assert last.shape == (3, POSITIONS - 4, VOCABULARY)
    np.testing.assert_allclose(last, full[:, 4:], rtol=1e-5, atol=1e-6)


def test_a_further_block_changes_no_other_initial_weight(params):
    deeper = models.make(Model(n_layers=3, d_model=8, n_heads=2), VOCABULARY, POSITIONS)
    more = deeper.init(jax.random.key(0))
    assert set(more) - set(params) == {"block_2"}
    for name, tree in params.items():
        jax.tree.map(np.testing.assert_array_equal, tree, more[name])


def test_initial_weights_have_the_documented_deviations():
    wide = models.make(Model(n_layers=1, d_model=256, n_heads=4), 500, 50)
    params = wide.init(jax.random.key(0))
    for path, std in (
        (("embed", "embedding"), 0.2),
        (("position", "embedding"), 0.2),
        (("block_0", "qkv", "kernel"), 256**-0.5),
        (("block_0", "down", "kernel"), 1024**-0.5),
        (("unembed", "kernel"), 256**-0.5),
    ):
        leaf = params
        for name in path:
            leaf = leaf[name]
        assert float(jnp.std(leaf)) == pytest.approx(std, rel=0.03)
        assert abs(float(jnp.mean(leaf))) < 0.03 * std * 3


def test_flops_count_the_matrix_products_of_the_compiled_forward_pass():
    """XLA counts element-wise work too, so its figure is a little larger, never smaller."""
    config = Model(n_layers=2, d_model=64, n_heads=4)
    network = models.make(config, 133, 13)
    params = jax.eval_shape(network.init, jax.random.key(0))
    tokens = jax.ShapeDtypeStruct((32, 13), jnp.int32)
    for first in 0, 3:
        compiled = jax.jit(network.apply, static_argnums=2).lower(params, tokens, first).compile()
        counted = compiled.cost_analysis()["flops"]
        ours = models.flops(config, 133, 32, 13, 13 - first)
        assert 0.9 * counted < ours <= counted
