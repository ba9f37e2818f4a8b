"""Models as two pure functions, `init(key) -> params` and `apply(params, tokens) -> logits`.

Flax is imported here and in `images/classifiers.py` alone. It is Linen, because a named submodule's
initial weights depend on (key, path) alone: adding a layer never re-draws another. So every
submodule is named and owns at most one parameter that is drawn.

Axes: b batch, t query position, s key position, h head, k head width, d model width, v vocabulary.

| parameter (per path)                | shape                       | initial distribution        |
|-------------------------------------|-----------------------------|-----------------------------|
| embed/embedding                     | (v, d)                      | N(0, embed_std^2)           |
| position/embedding                  | (positions, d)              | N(0, embed_std^2)           |
| block_i/<mixer>_norm, mlp_norm      | (d,)                        | 1                           |
| block_i/qkv (attention)             | (d, 3d), no bias            | N(0, 1/d)                   |
| block_i/gates (recurrence)          | (d, 2d), no bias            | N(0, 1/d)                   |
| block_i/out, up, down               | (fan_in, fan_out), no bias  | N(0, 1/fan_in)              |
| final_norm                          | (d,)                        | 1                           |
| unembed, unless tied                | (d, v)                      | N(0, 1/d)                   |
| steering/block_i, optional          | (d,)                        | never drawn                 |
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from minisub.config import require

fan_in_normal = nn.initializers.variance_scaling(1.0, "fan_in", "normal")


def matmul(x, kernel):
    """x @ kernel; its gradient in a tall kernel is computed as that in the transposed one, because
    XLA would transpose all of x (measured on a CPU: twice the time; the same bits)."""
    if kernel.shape[0] > kernel.shape[1]:
        # The barrier keeps XLA from moving the transposition back to where it was.
        kernel = jax.lax.optimization_barrier(kernel.T).T
    return x @ kernel


def product(x_btd, kernel):
    """x @ kernel, over all positions of all documents at once: `nn.Dense` on (b, t, d) makes XLA
    write a transposed copy of every gradient (on a CPU, a step takes 1.18 times as long)."""
    b, t, d = x_btd.shape
    return matmul(x_btd.reshape(b * t, d), kernel).reshape(b, t, kernel.shape[1])


class Dense(nn.Module):
    """A linear map without bias."""

    features: int

    @nn.compact
    def __call__(self, x_btd):
        shape = x_btd.shape[-1], self.features
        return product(x_btd, self.param("kernel", fan_in_normal, shape))


class RMSNorm(nn.Module):
    """As `nn.RMSNorm`, but for the order of products: Flax's stores one more (b, t, d) array."""

    @nn.compact
    def __call__(self, x_btd):
        scale_d = self.param("scale", nn.initializers.ones, x_btd.shape[-1:])
        mean_square = jnp.mean(x_btd * x_btd, axis=-1, keepdims=True)
        return x_btd * jax.lax.rsqrt(mean_square + 1e-6) * scale_d[None, None]


class Network(NamedTuple):
    """A model as pure functions; `params` is a nested dict of arrays."""

    init: Callable
    """key -> params"""
    apply: Callable
    """(params, tokens_bt, first=0) -> logits (b, t - first, v) at the positions from `first` on"""
    decode: Callable
    """(params, cache, tokens_bt, at) -> (logits (b, t, v), cache); tokens from position `at` on"""
    cache: Callable
    """(batch, positions=all) -> empty cache for `decode`"""
    activations: Callable
    """(params, tokens_bt) -> {"block_0": the residual stream (b, t, d) after it, ...}, in order;
    `jax.jit` returns a dict sorted by name"""


def steered(module, layer, x):
    """The output x (..., width) of `layer`, noted for `activations`, plus its steering vector if
    parameters have a dict "steering", layer -> vector (width,) (arXiv 2606.00995)."""
    if module.has_variable("params", "steering"):
        vectors = module.get_variable("params", "steering")
        if layer in vectors:
            x = x + jnp.reshape(vectors[layer], (1,) * (x.ndim - 1) + x.shape[-1:])
    module.sow("intermediates", "layers", {layer: x})
    return x


def noted(module, bound, inputs):
    """What `steered` returned in a forward pass of `module`: a dict layer -> array, in order."""
    _, state = module.apply(bound, inputs, mutable=["intermediates"])
    layers = state.get("intermediates", {}).get("layers", ())
    return {name: x for layer in layers for name, x in layer.items()}


def variables(params, layers):
    """`params` as Linen wants them; raises `Refused` if they steer what is not in `layers`."""
    known = ", ".join(layers) or "none"
    for name in params.get("steering", {}):
        require(name in layers, f"No hidden layer to steer is {name!r}; choose from {known}.")
    return {"params": params}


def attention(config, x_btd, past, at, first):
    """Causal self-attention: what the heads say (b, t - first, d) from position `first` on, and
    (keys, values), of `past` too: (b, h, s, k) if there is a past, otherwise (b, t, h, k)."""
    d, h = config.d_model, config.n_heads
    b, t, _ = x_btd.shape
    qkv = Dense(3 * d, name="qkv")(x_btd)
    q_bthk, keys, values = (a.reshape(b, t, h, d // h) for a in jnp.split(qkv, 3, axis=-1))
    axes = "bshk"
    if past is not None:
        # They are kept with heads before positions, as the products below want them: in the other
        # order all of them would be copied for each new token.
        keys, values = (
            jax.lax.dynamic_update_slice_in_dim(old, jnp.swapaxes(new, 1, 2), at, axis=2)
            for old, new in zip(past, (keys, values), strict=True)
        )
        axes = "bhsk"
    q_bthk, s = q_bthk[:, first:], keys.shape[axes.index("s")]
    visible = jnp.arange(s)[None] <= at + first + jnp.arange(t - first)[:, None]
    scores_bhts = jnp.einsum(f"bthk,{axes}->bhts", q_bthk, keys) * (d // h) ** -0.5
    weights_bhts = jax.nn.softmax(jnp.where(visible[None, None], scores_bhts, -jnp.inf))
    mixed_bthk = jnp.einsum(f"bhts,{axes}->bthk", weights_bhts, values)
    return mixed_bthk.reshape(b, t - first, d), (keys, values)


def recurrence(config, x_btd, past, at, first):
    """A minimal GRU (arXiv 2410.01201): its states (b, t - first, d) from position `first` on, and
    the last one (b, d);
    state_t = (1 - z_t) state_{t-1} + z_t candidate_t, from zero; z = sigmoid(gate)."""
    gate_btd, candidate_btd = jnp.split(Dense(2 * config.d_model, name="gates")(x_btd), 2, axis=-1)
    z_btd = jax.nn.sigmoid(gate_btd)

    def follow(earlier, later):
        return earlier[0] * later[0], later[0] * earlier[1] + later[1]

    steps = 1 - z_btd, z_btd * candidate_btd
    kept_btd, state_btd = jax.lax.associative_scan(follow, steps, axis=1)
    if past is not None:
        state_btd += kept_btd * past[:, None]
    return state_btd[:, first:], state_btd[:, -1]


MIXERS = {"attention": attention, "recurrence": recurrence}


class Block(nn.Module):
    """A mixer of positions and an MLP, each behind RMSNorm and added to the residual stream."""

    config: Any

    @nn.compact
    def __call__(self, x_btd, past=None, at=0, first=0):
        """The residual stream from position `first` on, and what the mixer remembers."""
        d, mixer = self.config.d_model, self.config.mixer
        normed_btd = RMSNorm(name=f"{mixer}_norm")(x_btd)
        mixed_btd, memory = MIXERS[mixer](self.config, normed_btd, past, at, first)
        x_btd = x_btd[:, first:] + Dense(d, name="out")(mixed_btd)
        hidden = Dense(self.config.mlp_ratio * d, name="up")(RMSNorm(name="mlp_norm")(x_btd))
        hidden = getattr(jax.nn, self.config.activation)(hidden)
        return x_btd + Dense(d, name="down")(hidden), memory


class Transformer(nn.Module):
    """Tokens in, logits out."""

    config: Any
    vocabulary: int
    positions: int

    @nn.compact
    def __call__(self, tokens_bt, cache=None, at=0, first=0):
        d, n = self.config.d_model, self.config.n_layers
        drawn = nn.initializers.normal(self.config.embed_std)
        embed = partial(nn.Embed, features=d, embedding_init=drawn)
        embedded = embed(self.vocabulary, name="embed")
        x_btd = embedded(tokens_bt)
        x_btd += embed(self.positions, name="position")(at + jnp.arange(tokens_bt.shape[1]))[None]
        memories = []
        for i in range(n):
            past = None if cache is None else cache[i]
            # Only the last block may leave positions out: the others feed its mixer.
            block = Block(self.config, name=f"block_{i}")
            x_btd, memory = block(x_btd, past, at, first if i == n - 1 else 0)
            x_btd = steered(self, block.name, x_btd)
            memories.append(memory)
        # A product of float32 whatever the factors were: in bfloat16 the largest logits would tie.
        normed_btd = RMSNorm(name="final_norm")(x_btd).astype(jnp.float32)
        if self.config.tied:
            return product(normed_btd, embedded.embedding.T), memories
        return Dense(self.vocabulary, name="unembed")(normed_btd), memories


def make(config, vocabulary, positions):
    """The `Network` of a `Model` configuration, over `vocabulary` tokens at up to `positions`."""
    module = Transformer(config, vocabulary, positions)
    layers = [f"block_{i}" for i in range(config.n_layers)]

    def init(key):
        return module.init(key, jnp.zeros((1, positions), int))["params"]

    def cast(params):
        return jax.tree.map(lambda x: x.astype(config.dtype), params)

    def apply(params, tokens_bt, first=0):
        return module.apply(variables(cast(params), layers), tokens_bt, first=first)[0]

    def decode(params, cache, tokens_bt, at):
        return module.apply(variables(cast(params), layers), tokens_bt, cache=cache, at=at)

    def cache(batch, positions=positions):
        d, h = config.d_model, config.n_heads
        zeros = partial(jnp.zeros, dtype=config.dtype)
        if config.mixer == "recurrence":
            return [zeros((batch, d)) for _ in range(config.n_layers)]
        shape = (batch, h, positions, d // h)
        return [(zeros(shape), zeros(shape)) for _ in range(config.n_layers)]

    def activations(params, tokens_bt):
        streams = noted(module, variables(cast(params), layers), tokens_bt)
        return {name: x_btd.astype(jnp.float32) for name, x_btd in streams.items()}

    return Network(init, apply, decode, cache, activations)
