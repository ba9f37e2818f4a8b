"""The models: causal, cached as uncached, their initial weights dependent on paths alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import models, starts
from minisub.config import Refused
from minisub.token_config import Model

VOCABULARY, POSITIONS = 11, 6
SMALL = Model(n_layers=2, d_model=8, n_heads=2)


@pytest.fixture(scope="module")
def network():
    return models.make(SMALL, VOCABULARY, POSITIONS)


@pytest.fixture(scope="module")
def params(network, quick):
    return quick(network.init)(jax.random.key(0))


@pytest.fixture(scope="module", params=models.MIXERS)
def kind(request, quick):
    """(config, network, initial parameters) with every mixer, one of them tied."""
    mixer = request.param
    config = dataclasses.replace(SMALL, n_heads=4, mixer=mixer, tied=mixer == "recurrence")
    network = models.make(config, VOCABULARY, POSITIONS)
    return config, network, quick(network.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def tokens():
    return jax.random.randint(jax.random.key(1), (3, POSITIONS), 0, VOCABULARY)


def test_logits_do_not_depend_on_later_tokens_and_do_on_earlier_ones(kind, tokens, quick):
    """By the gradient of one position's logits with respect to every position embedding."""
    _, network, params = kind

    def logit(table, position):
        moved = params | {"position": {"embedding": table}}
        return jnp.sum(network.apply(moved, tokens)[:, position] ** 2)

    slopes = quick(jax.grad(logit))
    for position in range(POSITIONS):
        grads = slopes(params["position"]["embedding"], position)
        reached = np.abs(np.asarray(grads)).sum(axis=1) > 0
        assert reached.tolist() == [p <= position for p in range(POSITIONS)]


def test_decoding_with_a_cache_equals_the_full_pass(kind, tokens, quick):
    """The prompt first, then a token at a time, then the rest at once."""
    _, network, params = kind
    full, decode = quick(network.apply)(params, tokens), quick(network.decode)
    cache = network.cache(3)
    for start, end in (0, 2), (2, 3), (3, 4), (4, POSITIONS):
        logits, cache = decode(params, cache, tokens[:, start:end], start)
        np.testing.assert_allclose(logits, full[:, start:end], rtol=1e-5, atol=1e-6)


def test_leaving_out_the_first_positions_leaves_the_others_as_they_are(kind, tokens, quick):
    _, network, params = kind
    full, last = quick(lambda p: (network.apply(p, tokens), network.apply(p, tokens, 4)))(params)
    assert last.shape == (3, POSITIONS - 4, VOCABULARY)
    np.testing.assert_allclose(last, full[:, 4:], rtol=1e-5, atol=1e-6)


def test_the_recurrence_is_its_formula_one_position_at_a_time(quick):
    block = models.Block(dataclasses.replace(SMALL, mixer="recurrence"))
    x_btd = np.random.default_rng(0).normal(size=(3, POSITIONS, 8)).astype(np.float32)
    params = quick(block.init)(jax.random.key(4), x_btd)["params"]
    assert set(params) == {"recurrence_norm", "gates", "out", "mlp_norm", "up", "down"}
    silent = params | {"down": {"kernel": np.zeros((32, 8), np.float32)}}
    made, last = quick(block.apply)({"params": silent}, x_btd)
    normed = x_btd / np.sqrt(np.mean(np.square(x_btd), axis=-1, keepdims=True) + 1e-6)
    gate, candidate = np.split(normed @ np.asarray(params["gates"]["kernel"]), 2, axis=-1)
    z, state, states = 1 / (1 + np.exp(-gate)), np.zeros((3, 8)), []
    for t in range(POSITIONS):
        state = (1 - z[:, t]) * state + z[:, t] * candidate[:, t]
        states.append(state)
    expected = x_btd + np.stack(states, axis=1) @ np.asarray(params["out"]["kernel"])
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last, state, rtol=1e-5, atol=1e-6)


def test_a_tied_model_is_one_whose_unembedding_is_the_transposed_embedding(
    network, params, tokens, quick
):
    tied = models.make(dataclasses.replace(SMALL, tied=True), VOCABULARY, POSITIONS)
    drawn = quick(tied.init)(jax.random.key(0))
    assert set(params) - set(drawn) == {"unembed"} and not set(drawn) - set(params)
    for name, tree in drawn.items():
        jax.tree.map(np.testing.assert_array_equal, tree, params[name])
    kernel = models.unembedding(drawn)
    np.testing.assert_array_equal(kernel, drawn["embed"]["embedding"].T)
    equal = drawn | {"unembed": {"kernel": kernel}}
    assert models.unembedding(equal) is kernel
    said, other = (
        quick(lambda p, n=n: (n.apply(p, tokens), n.lens(p, tokens))) for n in (tied, network)
    )
    for a, b, control in zip(said(drawn), other(equal), other(params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert float(jnp.abs(a - control).max()) > 0.1


def test_bfloat16_rounds_weights_and_activations_and_neither_logits_nor_gradients(
    kind, tokens, quick
):
    config, full, params = kind
    network = models.make(dataclasses.replace(config, dtype="bfloat16"), VOCABULARY, POSITIONS)
    assert jax.eval_shape(network.init, jax.random.key(0)) == jax.eval_shape(lambda: params)

    @quick
    def passes(params):
        first, cache = network.decode(params, network.cache(3), tokens[:, :4], 0)
        second, again = network.decode(params, cache, tokens[:, 4:], 4)
        decoded = jnp.concatenate([first, second], axis=1)
        logits, lens = network.apply(params, tokens), network.lens(params, tokens)
        return logits, decoded, lens[-1], network.activations(params, tokens), (cache, again)

    def slope(net):
        grads = quick(jax.grad(lambda p: jnp.sum(net.apply(p, tokens)[..., 0] ** 2)))(params)
        assert {x.dtype for x in jax.tree.leaves(grads)} == {jnp.dtype("float32")}
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(grads)])

    logits, *others, streams, caches = passes(params)
    exact, rough, fine = quick(full.apply), slope(network), slope(full)
    for other in *others, exact(params, tokens):
        assert other.dtype == jnp.float32
        np.testing.assert_allclose(logits, other, atol=0.1)
    assert {x.dtype for x in (logits, *streams.values())} == {jnp.dtype("float32")}
    assert {x.dtype for x in jax.tree.leaves(caches)} == {jnp.dtype("bfloat16")}
    assert 0.999 < rough @ fine / np.linalg.norm(rough) / np.linalg.norm(fine) < 1 - 1e-6
    rounded = jax.tree.map(lambda x: np.asarray(x).astype("bfloat16").astype("float32"), params)
    np.testing.assert_array_equal(logits, passes(rounded)[0])
    # More than the weights are rounded, and logits are not.
    assert np.abs(logits - exact(rounded, tokens)).max() > 1e-3
    assert np.any(logits != np.asarray(logits).astype("bfloat16").astype("float32"))


def test_relabeled_heads_channels_and_hidden_units_compute_the_same_logits(kind, tokens, quick):
    config, network, params = kind
    into = {"attention": "qkv", "recurrence": "gates"}[config.mixer]
    moved = {(into,): {into, "out"}, ("up",): {"up", "down"}, (): {into, "out", "up", "down"}}
    materials = starts.Materials(params, None, jax.random.key(7), 2.0, None, network.relabelings)
    made = [("permuted", layers, names) for layers, names in moved.items()]
    # Of these units, those of the MLP alone are ReLUs.
    made += [("rebalanced", (), moved["up",])]
    others = quick(lambda: [starts.make(start, layers, materials) for start, layers, _ in made])()
    apply = quick(network.apply)
    expected = apply(params, tokens)
    for other, (_, _, names) in zip(others, made, strict=True):
        np.testing.assert_allclose(apply(other, tokens), expected, rtol=1e-5, atol=1e-5)
        same = jax.tree.map(np.array_equal, other, params)
        differ = {starts.path_name(p) for p, equal in jax.tree.leaves_with_path(same) if not equal}
        assert differ == {f"block_{i}/{name}/kernel" for i in range(2) for name in names}
    with pytest.raises(Refused, match="hidden units"):
        starts.make("rebalanced", (into,), materials)


@pytest.fixture(scope="module")
def steered(params):
    """The same parameters with a vector at both layers."""
    keys = jax.random.split(jax.random.key(2))
    vectors = {f"block_{i}": jax.random.normal(keys[i], (8,)) for i in range(2)}
    return params | {"steering": vectors}


def test_the_lens_reads_the_residual_stream_after_each_block(network, params, steered, tokens):
    for tree in params, steered:
        streams, lens = network.activations(tree, tokens), network.lens(tree, tokens)
        assert list(streams) == ["block_0", "block_1"]
        assert lens.shape == (2, 3, POSITIONS, VOCABULARY)
        np.testing.assert_array_equal(lens[-1], network.apply(tree, tokens))
        for x_btd, logits in zip(streams.values(), lens, strict=True):
            normed = x_btd / np.sqrt(np.mean(np.square(x_btd), axis=-1, keepdims=True) + 1e-6)
            expected = normed @ tree["unembed"]["kernel"]  # the norm's scales are still 1
            np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_the_lens_sees_early_what_a_network_says_whose_other_blocks_add_nothing(
    network, params, tokens
):
    scaled = params | {"final_norm": {"scale": jnp.arange(1.0, 9)}}
    silent = jax.tree.map(jnp.zeros_like, params["block_1"])
    said = network.apply(scaled | {"block_1": silent}, tokens)
    lens = jax.jit(network.lens)(scaled, tokens)
    np.testing.assert_allclose(lens[0], said, rtol=1e-5, atol=1e-5)
    assert float(jnp.abs(lens[1] - said).max()) > 0.1


def test_no_start_draws_a_steering_vector(params):
    blocks = {"block_0", "block_1"}
    assert set(params) == blocks | {"embed", "position", "final_norm", "unembed"}


def test_a_steering_vector_of_zero_changes_nothing(network, params, tokens):
    still = params | {"steering": {"block_0": jnp.zeros(8)}}
    np.testing.assert_array_equal(network.apply(still, tokens), network.apply(params, tokens))


def test_a_steering_vector_is_added_to_its_layer_and_leaves_earlier_ones(network, params, tokens):
    vector = jnp.arange(8.0)
    before = network.activations(params, tokens)
    after = network.activations(params | {"steering": {"block_1": vector}}, tokens)
    np.testing.assert_array_equal(after["block_0"], before["block_0"])
    np.testing.assert_array_equal(after["block_1"], before["block_1"] + vector[None, None])
    early = network.activations(params | {"steering": {"block_0": vector}}, tokens)
    np.testing.assert_array_equal(early["block_0"], before["block_0"] + vector[None, None])
    moved = early["block_1"] - before["block_1"]
    assert float(jnp.abs(moved - vector[None, None]).max()) > 0.1  # block_1 reads what was added


def test_steering_reaches_every_way_to_the_logits(network, params, steered, tokens):
    """Decoding with a cache, positions left out, and many vectors at once; all under jit."""
    full = jax.jit(network.apply)(steered, tokens)
    assert float(jnp.abs(full - network.apply(params, tokens)).max()) > 0.1
    last = jax.jit(network.apply, static_argnums=2)(steered, tokens, 4)
    np.testing.assert_allclose(last, full[:, 4:], rtol=1e-5, atol=1e-6)
    decode, cache = jax.jit(network.decode), network.cache(3)
    for start, end in (0, 2), (2, 3), (3, POSITIONS):
        logits, cache = decode(steered, cache, tokens[:, start:end], start)
        np.testing.assert_allclose(logits, full[:, start:end], rtol=1e-5, atol=1e-6)

    def at_scale(scale):
        scaled = jax.tree.map(lambda x: scale * x, steered["steering"])
        return network.apply(params | {"steering": scaled}, tokens)

    mapped = jax.jit(jax.vmap(at_scale))(jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(mapped[0], network.apply(params, tokens), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mapped[1], full, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_a_steering_vector_is_that_of_the_stream_it_is_added_to(
    network, params, tokens
):
    """At the last block, by the formula of the head; at the first, by finite differences."""

    def loss(vectors):
        logits = network.apply(params | {"steering": vectors}, tokens)
        return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - logits[..., 0])

    def read(x_btd):
        mean_square = jnp.mean(x_btd * x_btd, axis=-1, keepdims=True)
        logits = x_btd * jax.lax.rsqrt(mean_square + 1e-6) @ params["unembed"]["kernel"]
        return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - logits[..., 0])

    vectors = {"block_0": 0.1 * jnp.arange(8.0), "block_1": jnp.ones(8)}
    grads = jax.jit(jax.grad(loss))(vectors)
    stream = network.activations(params | {"steering": vectors}, tokens)["block_1"]
    expected = jnp.sum(jax.grad(read)(stream), axis=(0, 1))
    np.testing.assert_allclose(grads["block_1"], expected, rtol=1e-4, atol=1e-6)
    for i, unit in enumerate(jnp.eye(8)):
        ends = (vectors["block_0"] + step * unit for step in (1e-2, -1e-2))
        high, low = (loss(vectors | {"block_0": end}) for end in ends)
        slope = (high - low) / 2e-2
        assert float(grads["block_0"][i]) == pytest.approx(float(slope), abs=1e-3)
    assert float(jnp.abs(grads["block_0"]).max()) > 0.02


def test_a_layer_that_is_not_there_cannot_be_steered(network, params, tokens):
    with pytest.raises(Refused, match=r"'block_2'; choose from block_0, block_1\.$"):
        network.apply(params | {"steering": {"block_2": jnp.ones(8)}}, tokens)


def test_a_further_block_changes_no_other_initial_weight(params, quick):
    deeper = models.make(Model(n_layers=3, d_model=8, n_heads=2), VOCABULARY, POSITIONS)
    more = quick(deeper.init)(jax.random.key(0))
    assert set(more) - set(params) == {"block_2"}
    for name, tree in params.items():
        jax.tree.map(np.testing.assert_array_equal, tree, more[name])


def test_initial_weights_have_the_documented_deviations(quick):
    wide = models.make(Model(n_layers=1, d_model=256, n_heads=4), 500, 50)
    params = quick(wide.init)(jax.random.key(0))
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


@pytest.mark.parametrize("mixer", models.MIXERS)
def test_flops_count_the_matrix_products_of_the_compiled_forward_pass(mixer, quick):
    """XLA counts element-wise work too, so its figure is a little larger, never smaller."""
    config = Model(n_layers=2, d_model=64, n_heads=4, mixer=mixer, tied=mixer == "recurrence")
    network = models.make(config, 133, 13)
    params = jax.eval_shape(network.init, jax.random.key(0))
    tokens = jax.ShapeDtypeStruct((32, 13), jnp.int32)
    for first in 0, 3:
        compiled = quick(network.apply, static_argnums=2).lower(params, tokens, first).compile()
        counted = compiled.cost_analysis()["flops"]
        ours = models.flops(config, 133, 32, 13, 13 - first)
        assert 0.9 * counted < ours <= counted
