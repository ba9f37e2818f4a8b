"""The models: causal, cached as uncached, their initial weights dependent on paths alone."""

import dataclasses
import functools

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
def params(network):
    return network.init(jax.random.key(0))


@pytest.fixture(scope="module")
def changed():
    """A function: fields of a small model -> its compiled network and initial parameters."""

    @functools.cache
    def made(**fields):
        net = models.make(dataclasses.replace(SMALL, **fields), VOCABULARY, POSITIONS)
        names = {"init": (), "apply": ("first",), "decode": ("at",), "lens": ()}
        fast = {n: jax.jit(getattr(net, n), static_argnames=x) for n, x in names.items()}
        return net._replace(**fast), fast["init"](jax.random.key(0))

    return made


@pytest.fixture(scope="module", params=models.MIXERS)
def kind(request, changed):
    """Network and initial parameters with every mixer, one of them tied."""
    return changed(mixer=request.param, tied=request.param == "recurrence")


@pytest.fixture(scope="module")
def tokens():
    return jax.random.randint(jax.random.key(1), (3, POSITIONS), 0, VOCABULARY)


def test_logits_do_not_depend_on_later_tokens_and_do_on_earlier_ones(kind, tokens, quick):
    """By the gradient of one position's logits with respect to every position embedding."""
    network, params = kind

    def logit(table, position):
        moved = params | {"position": {"embedding": table}}
        return jnp.sum(network.apply(moved, tokens)[:, position] ** 2)

    slopes = quick(jax.grad(logit))
    for position in range(POSITIONS):
        grads = slopes(params["position"]["embedding"], position)
        reached = np.abs(np.asarray(grads)).sum(axis=1) > 0
        assert reached.tolist() == [p <= position for p in range(POSITIONS)]


def test_decoding_with_a_cache_equals_the_full_pass(kind, tokens):
    """The prompt first, then a token at a time, then the rest at once."""
    network, params = kind
    full, cache = network.apply(params, tokens), network.cache(3)
    for start, end in (0, 2), (2, 3), (3, 4), (4, POSITIONS):
        logits, cache = network.decode(params, cache, tokens[:, start:end], start)
        np.testing.assert_allclose(logits, full[:, start:end], rtol=1e-5, atol=1e-6)


def test_leaving_out_the_first_positions_leaves_the_others_as_they_are(kind, tokens):
    network, params = kind
    full, last = network.apply(params, tokens), network.apply(params, tokens, 4)
    assert last.shape == (3, POSITIONS - 4, VOCABULARY)
    np.testing.assert_allclose(last, full[:, 4:], rtol=1e-5, atol=1e-6)


def test_the_recurrence_is_its_formula_one_position_at_a_time():
    block = models.Block(dataclasses.replace(SMALL, mixer="recurrence"))
    x_btd = jax.random.normal(jax.random.key(3), (3, POSITIONS, 8))
    params = block.init(jax.random.key(4), x_btd)["params"]
    assert set(params) == {"recurrence_norm", "gates", "out", "mlp_norm", "up", "down"}
    silent = params | {"down": jax.tree.map(jnp.zeros_like, params["down"])}
    made, last = block.apply({"params": silent}, x_btd)
    normed = x_btd / np.sqrt(np.mean(np.square(x_btd), axis=-1, keepdims=True) + 1e-6)
    gate, candidate = np.split(normed @ np.asarray(params["gates"]["kernel"]), 2, axis=-1)
    z, state, states = 1 / (1 + np.exp(-gate)), np.zeros((3, 8)), []
    for t in range(POSITIONS):
        state = (1 - z[:, t]) * state + z[:, t] * candidate[:, t]
        states.append(state)
    expected = x_btd + np.stack(states, axis=1) @ params["out"]["kernel"]
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last, state, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mixer", models.MIXERS)
def test_a_tied_model_is_one_whose_unembedding_is_the_transposed_embedding(mixer, changed, tokens):
    (tied, params), (untied, drawn) = (changed(mixer=mixer, tied=t) for t in (True, False))
    assert set(drawn) - set(params) == {"unembed"}
    for name, tree in params.items():
        jax.tree.map(np.testing.assert_array_equal, tree, drawn[name])
    kernel = models.unembedding(params)
    np.testing.assert_array_equal(kernel, params["embed"]["embedding"].T)
    equal = params | {"unembed": {"kernel": kernel}}
    assert models.unembedding(equal) is kernel
    for one, other in (tied.apply, untied.apply), (tied.lens, untied.lens):
        said = one(params, tokens)
        np.testing.assert_allclose(said, other(equal, tokens), rtol=1e-6, atol=1e-6)
        assert float(jnp.abs(said - other(drawn, tokens)).max()) > 0.1


def test_bfloat16_rounds_weights_and_activations_and_neither_logits_nor_gradients(
    kind, changed, tokens, quick
):
    (full, params), tied = kind, "unembed" not in kind[1]
    fields = {"mixer": "recurrence" if tied else "attention", "tied": tied}
    network, drawn = changed(dtype="bfloat16", **fields)
    jax.tree.map(np.testing.assert_array_equal, drawn, params)
    rounded = jax.tree.map(lambda x: x.astype("bfloat16").astype("float32"), params)
    logits = network.apply(params, tokens)
    np.testing.assert_array_equal(logits, network.apply(rounded, tokens))
    assert (logits != full.apply(rounded, tokens)).any()  # more than the weights are rounded
    np.testing.assert_allclose(logits, full.apply(params, tokens), atol=0.1)
    assert logits.dtype == jnp.float32 and (logits != logits.astype("bfloat16")).any()
    np.testing.assert_allclose(network.lens(params, tokens)[-1], logits, atol=0.1)
    streams = jax.eval_shape(network.activations, params, tokens)
    assert {x.dtype for x in streams.values()} == {jnp.dtype("float32")}
    cache = network.cache(3)
    for start, end in (0, 4), (4, POSITIONS):
        assert {x.dtype for x in jax.tree.leaves(cache)} == {jnp.dtype("bfloat16")}
        decoded, cache = network.decode(params, cache, tokens[:, start:end], start)
        assert decoded.dtype == jnp.float32
        np.testing.assert_allclose(decoded, logits[:, start:end], atol=0.1)

    def slope(net):
        grads = quick(jax.grad(lambda p: jnp.sum(net.apply(p, tokens)[..., 0] ** 2)))(params)
        assert {x.dtype for x in jax.tree.leaves(grads)} == {jnp.dtype("float32")}
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(grads)])

    rough, fine = slope(network), slope(full)
    assert 0.999 < rough @ fine / np.linalg.norm(rough) / np.linalg.norm(fine) < 1 - 1e-6


@pytest.mark.parametrize("mixer", models.MIXERS)
def test_relabeled_heads_channels_and_hidden_units_compute_the_same_logits(mixer, changed, tokens):
    network, params = changed(mixer=mixer, n_heads=4)
    expected = network.apply(params, tokens)
    into = {"attention": "qkv", "recurrence": "gates"}[mixer]
    moved = {(into,): {into, "out"}, ("up",): {"up", "down"}}
    moved[()] = set().union(*moved.values())
    materials = starts.Materials(params, None, jax.random.key(7), 2.0, None, network.relabelings)
    for layers, names in moved.items():
        other = starts.make("permuted", layers, materials)
        np.testing.assert_allclose(network.apply(other, tokens), expected, rtol=1e-5, atol=1e-5)
        for block in "block_0", "block_1":
            differ = jax.tree.map(lambda a, b: (a != b).any(), other[block], params[block])
            assert {name for name in differ if any(jax.tree.leaves(differ[name]))} == names
    # Of these, hidden units alone are ReLUs.
    balanced = starts.make("rebalanced", (), materials)
    np.testing.assert_allclose(network.apply(balanced, tokens), expected, rtol=1e-5, atol=1e-5)
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


@pytest.mark.parametrize("mixer", models.MIXERS)
def test_flops_count_the_matrix_products_of_the_compiled_forward_pass(mixer):
    """XLA counts element-wise work too, so its figure is a little larger, never smaller."""
    config = Model(n_layers=2, d_model=64, n_heads=4, mixer=mixer, tied=mixer == "recurrence")
    network = models.make(config, 133, 13)
    params = jax.eval_shape(network.init, jax.random.key(0))
    tokens = jax.ShapeDtypeStruct((32, 13), jnp.int32)
    for first in 0, 3:
        compiled = jax.jit(network.apply, static_argnums=2).lower(params, tokens, first).compile()
        counted = compiled.cost_analysis()["flops"]
        ours = models.flops(config, 133, 32, 13, 13 - first)
        assert 0.9 * counted < ours <= counted
