"""The transformer is its formula, causal, cached as uncached, and drawn by paths alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import by_path, differing, drawn, equal, near

from configs import relabeling
from minisub.config import Model, Refused
from minisub.nets import starts, transformer
from minisub.theory import units

VOCABULARY, POSITIONS, BATCH = 11, 6, 3
SMALL = Model(n_layers=2, d_model=8, n_heads=4)
KINDS = {
    "attention": SMALL,
    "recurrence": dataclasses.replace(SMALL, mixer="recurrence", tied=True, activation="gelu"),
}
TOKENS = np.random.default_rng(1).integers(0, VOCABULARY, (BATCH, POSITIONS))


def network(config):
    return transformer.make(config, VOCABULARY, POSITIONS)


def parameters(config, seed=0):
    """Drawn ones, of norms too, with a steering vector at both blocks."""
    params = drawn(jax.eval_shape(network(config).init, jax.random.key(0)), seed)
    rng = np.random.default_rng(seed + 50)
    return params | {
        "steering": {f"block_{i}": rng.normal(size=8).astype(np.float32) for i in range(2)}
    }


def normed(x, scale):
    return x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + 1e-6) * scale


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def by_hand(config, params):
    """(residual stream after each block, logits), one document and head at a time."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    kernel = p["embed"]["embedding"].T if config.tied else p["unembed"]["kernel"]
    x, streams = p["embed"]["embedding"][TOKENS] + p["position"]["embedding"][None], {}
    for name in "block_0", "block_1":
        b, mixed = p[name], np.zeros_like(x)
        inputs = normed(x, b[f"{config.mixer}_norm"]["scale"])
        for i in range(BATCH):
            if config.mixer == "attention":
                q, k, v = np.split(inputs[i] @ b["qkv"]["kernel"], 3, axis=-1)
                for head in np.split(np.arange(8), config.n_heads):
                    for t in range(POSITIONS):
                        scores = k[: t + 1, head] @ q[t, head] / np.sqrt(len(head))
                        mixed[i, t, head] = softmax(scores) @ v[: t + 1, head]
            else:
                gate, candidate = np.split(inputs[i] @ b["gates"]["kernel"], 2, axis=-1)
                state, z = np.zeros(8), 1 / (1 + np.exp(-gate))
                for t in range(POSITIONS):
                    state = mixed[i, t] = (1 - z[t]) * state + z[t] * candidate[t]
        x = x + mixed @ b["out"]["kernel"]
        hidden = normed(x, b["mlp_norm"]["scale"]) @ b["up"]["kernel"]
        active = np.maximum(hidden, 0) if config.activation == "relu" else jax.nn.gelu(hidden)
        x = x + np.asarray(active) @ b["down"]["kernel"] + p["steering"][name]
        streams[name] = x
    return streams, normed(x, p["final_norm"]["scale"]) @ kernel


@pytest.fixture(scope="module", params=KINDS)
def said(request, quick):
    """(config, parameters, all that its network says of them in one program)."""
    config = KINDS[request.param]
    net, params = network(config), parameters(config)

    def decoded(params):
        cache, parts = net.cache(BATCH), []
        for first, last in (0, 2), (2, 3), (3, POSITIONS):
            logits, cache = net.decode(params, cache, TOKENS[:, first:last], first)
            parts.append(logits)
        return jnp.concatenate(parts, axis=1)

    def energies(table):
        moved = params | {"position": {"embedding": table}}
        return jnp.sum(net.apply(moved, TOKENS) ** 2, axis=(0, 2))

    def relabeled(how):
        plain = {name: x for name, x in params.items() if name != "steering"}
        other = how(starts.Materials(plain, None, jax.random.key(7), 2.0))
        return other, net.apply(other | {"steering": params["steering"]}, TOKENS)

    into = {"attention": "qkv", "recurrence": "gates"}[config.mixer]
    symmetries = {
        "mixer": (units.permuted(into, heads=config.n_heads), {into, "out"}),
        "mlp": (units.permuted("up"), {"up", "down"}),
        "both": (units.permuted(heads=config.n_heads), {into, "out", "up", "down"}),
        # Of these units, those of the MLP alone are ReLUs.
        "scaled": (relabeling.rebalanced, {"up", "down"}),
    }

    @quick
    def everything(params):
        return {
            "logits": net.apply(params, TOKENS),
            "late": net.apply(params, TOKENS, 4),
            "decoded": decoded(params),
            "streams": net.activations(params, TOKENS),
            "reached": jax.jacrev(energies)(params["position"]["embedding"]),
            "relabeled": {name: relabeled(how) for name, (how, _) in symmetries.items()},
        }

    return config, params, everything(params), symmetries


def test_logits_and_streams_are_those_of_the_formula_with_steering(said):
    config, params, found, _ = said
    streams, logits = by_hand(config, params)
    near(found["streams"], streams, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["logits"], logits, rtol=1e-4, atol=1e-4)
    control, _ = by_hand(config, params | {"steering": {"block_0": 0.0, "block_1": 0.0}})
    assert np.abs(control["block_0"] - streams["block_0"]).max() > 0.1


def test_decoding_with_a_cache_and_leaving_positions_out_change_nothing(said):
    _, _, found, _ = said
    np.testing.assert_allclose(found["decoded"], found["logits"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["late"], found["logits"][:, 4:], rtol=1e-4, atol=1e-5)
    assert found["late"].shape == (BATCH, 2, VOCABULARY)


def test_logits_depend_on_no_later_position_and_on_every_earlier_one(said):
    """Exactly: slopes of a position's logits in the embedding of another are zero, or are not."""
    reached = np.any(np.asarray(said[2]["reached"]) != 0, axis=2)
    np.testing.assert_array_equal(reached, np.tri(POSITIONS, dtype=bool))


def test_relabeled_units_compute_the_same_logits_from_other_weights(said):
    config, params, found, symmetries = said
    plain = {name: x for name, x in params.items() if name != "steering"}
    for name, (_, moved) in symmetries.items():
        if name == "scaled" and config.activation != "relu":
            continue
        other, logits = found["relabeled"][name]
        np.testing.assert_allclose(logits, found["logits"], rtol=1e-4, atol=1e-4)
        expected = {f"block_{i}/{layer}/kernel" for i in range(2) for layer in moved}
        assert differing(other, plain) == expected


def test_in_bfloat16_what_is_trained_logits_and_gradients_stay_float32(quick):
    config = dataclasses.replace(SMALL, dtype="bfloat16")
    rough, fine, params = network(config), network(SMALL), parameters(SMALL)
    assert jax.eval_shape(rough.init, jax.random.key(0)) == jax.eval_shape(
        fine.init, jax.random.key(0)
    )

    @quick
    def both(params):
        logits, cache = rough.decode(params, rough.cache(BATCH), TOKENS, 0)
        slopes = [
            jax.grad(lambda p, n=n: jnp.sum(n.apply(p, TOKENS)[..., 0] ** 2))(params)
            for n in (rough, fine)
        ]
        return rough.apply(params, TOKENS), logits, cache, fine.apply(params, TOKENS), slopes

    logits, decoded, cache, exact, slopes = both(params)
    assert {x.dtype for x in jax.tree.leaves((logits, slopes))} == {jnp.dtype("float32")}
    assert {x.dtype for x in jax.tree.leaves(cache)} == {jnp.dtype("bfloat16")}
    assert np.any(logits != np.asarray(logits).astype("bfloat16").astype("float32"))
    np.testing.assert_allclose(decoded, logits, atol=0.1)
    np.testing.assert_allclose(logits, exact, atol=0.2)
    one, other = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(s)]) for s in slopes)
    assert 0.99 < one @ other / np.linalg.norm(one) / np.linalg.norm(other) < 1 - 1e-6


@pytest.fixture(scope="module")
def initial(quick):
    """Initial parameters of one key: of a small model, a deeper, a tied and a wide one."""
    configs = {
        "small": SMALL,
        "deeper": dataclasses.replace(SMALL, n_layers=3),
        "tied": dataclasses.replace(SMALL, tied=True),
        "wide": Model(n_layers=1, d_model=256, n_heads=4),
    }
    return quick(lambda key: {name: network(c).init(key) for name, c in configs.items()})(
        jax.random.key(0)
    )


def test_no_layer_more_or_less_changes_another_initial_weight_and_none_steers(initial):
    small, deeper, tied = (initial[name] for name in ("small", "deeper", "tied"))
    assert set(deeper) - set(small) == {"block_2"} and set(small) - set(tied) == {"unembed"}
    equal({name: deeper[name] for name in small}, small)
    equal(tied, {name: small[name] for name in tied})
    assert set(small) == {"block_0", "block_1", "embed", "position", "final_norm", "unembed"}


def test_initial_weights_have_the_documented_deviations(initial):
    leaves = by_path(initial["wide"])
    expected = {
        "embed/embedding": 0.2,
        "position/embedding": 0.2,
        "block_0/qkv/kernel": 1 / 16,
        "block_0/down/kernel": 1 / 32,
        "unembed/kernel": 1 / 16,
    }
    for path, std in expected.items():
        x = leaves[path]
        error = std / np.sqrt(x.size)
        assert x.std() == pytest.approx(std, abs=4 * error)
        assert abs(x.mean()) < 4 * error
    assert all((leaves[f"{name}/scale"] == 1).all() for name in ("final_norm", "block_0/mlp_norm"))


def test_a_layer_that_is_not_there_cannot_be_steered():
    params = parameters(SMALL) | {"steering": {"block_2": np.ones(8)}}
    with pytest.raises(Refused, match=r"'block_2'; choose from block_0, block_1\."):
        jax.eval_shape(network(SMALL).apply, params, TOKENS)


def test_a_tall_product_has_the_gradient_of_the_plain_one(quick):
    rng = np.random.default_rng(0)
    x, tall, wide = (rng.normal(size=s).astype("f") for s in ((5, 9), (9, 4), (9, 12)))

    def energies(kernels, product):
        return sum(jnp.sum(jnp.sin(product(x, kernel))) for kernel in kernels)

    slopes = [jax.grad(lambda k, f=f: energies(k, f)) for f in (transformer.matmul, jnp.matmul)]
    near(*quick(lambda k: [slope(k) for slope in slopes])([tall, wide]))
