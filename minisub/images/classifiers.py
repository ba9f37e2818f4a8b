"""Image classifiers as pure functions, `init(key) -> params` and `apply(params, images)`.

As in `nets/transformer.py`, initial weights depend on (key, path) alone: a layer is drawn alike in
all architectures that have it under one name and shape, and the kernel before the bias beside it.

Axes: b batch, s side of the (square) images, p patch, c channel, d model width, w width.

| parameter (per path)                 | shape                    | initial distribution           |
|--------------------------------------|--------------------------|--------------------------------|
| fc1, fc2, ... (mlp), fc (the others),| (fan_in, fan_out)        | N(0, init_scale^2 / fan_in)    |
| class_head, aux_head                 |                          |                                |
| conv1, conv2, ... (cnn)              | (3, 3, c_in, c_out)      | N(0, init_scale^2 / (9 c_in))  |
| their biases                         | (fan_out or c_out,)      | 0                              |
| patch (transformer)                  | (pixels, d), no bias     | N(0, init_scale^2 / pixels)    |
| position/embedding (transformer)     | (16, d)                  | N(0, (init_scale embed_std)^2) |
| block_i, final_norm (transformer)    | as in transformer.py     | so too, kernels * init_scale   |
| steering/<hidden layer>, optional    | (w, c_out or d,)         | never drawn                    |
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from minisub.config import Model, require
from minisub.nets.transformer import (
    Block,
    Dense,
    RMSNorm,
    fan_in_normal,
    matmul,
    noted,
    steered,
    variables,
)

HEADS = ("class_head", "aux_head")
LAYERS = re.compile(r"mlp(-[1-9][0-9]*)*|cnn(-[1-9][0-9]*){2,}|transformer(-[1-9][0-9]*){3}")
ATTENTION_HEADS = 4
PATCHES_A_SIDE = 4
PATCHES = PATCHES_A_SIDE**2


class ImageNetwork(NamedTuple):
    """A classifier as pure functions; `params` is a nested dict of arrays."""

    init: Callable
    """key -> params"""
    apply: Callable
    """(params, images (b, s * s)) -> (logits (b, classes + aux), class logits first; the last
    hidden layer (b, w), after its activation)"""
    activations: Callable
    """(params, images) -> {hidden layer: its output}, in order: fc1, ..., conv1, ..., fc after
    their activation and steering, (b, w) or (b, s, s, c); block_i (b, p, d), the residual stream"""


class Convolution(nn.Module):
    """3 by 3 convolution with stride 2 and bias, zero-padded to half the side, rounded up.

    A matrix product of patches: under `jax.vmap` over parameters, `nn.Conv` is a grouped one
    (measured on a CPU, 5 repeats: a gradient of cnn-16-32-256 takes 2.4 times as long).
    """

    features: int

    @nn.compact
    def __call__(self, x_bssc):
        b, s, _, c = x_bssc.shape
        kernel = self.param("kernel", fan_in_normal, (3, 3, c, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        half = (s + 1) // 2  # The side that is left.
        padding = 2 * half + 1 - s
        around = (padding // 2, padding - padding // 2)
        x_bssc = jnp.pad(x_bssc, ((0, 0), around, around, (0, 0)))
        end = 2 * half - 1
        taps = [x_bssc[:, i : i + end : 2, j : j + end : 2] for i in range(3) for j in range(3)]
        patches = jnp.concatenate(taps, axis=-1).reshape(b * half * half, 9 * c)
        products = patches @ kernel.reshape(9 * c, self.features) + bias[None]
        return products.reshape(b, half, half, self.features)


class Head(nn.Module):
    """Kernel and bias of a head, as `nn.Dense` would draw them; both heads are one matrix product,
    as two make a training step of an MLP on a CPU take 1.1 times as long."""

    features: int

    @nn.compact
    def __call__(self, hidden):
        kernel = self.param("kernel", fan_in_normal, (hidden.shape[-1], self.features))
        return kernel, self.param("bias", nn.initializers.zeros, (self.features,))


class Classifier(nn.Module):
    """Images in, (logits, last hidden layer) out; see `ImageNetwork.apply`."""

    kind: str
    sizes: tuple[int, ...]
    activation: Any
    side: int
    classes: int
    aux: int

    @nn.compact
    def __call__(self, images):
        x = {"mlp": self.mlp, "cnn": self.cnn, "transformer": self.transformer}[self.kind](images)
        last = f"fc{len(self.sizes)}" if self.kind == "mlp" else "fc"
        # Without any hidden layer the heads read the pixels: a linear model.
        hidden = self.dense(self.sizes[-1], last, x) if self.sizes else x
        outputs = zip(HEADS, (self.classes, self.aux), strict=True)
        heads = [Head(features, name=name)(hidden) for name, features in outputs]
        kernel, bias = (jnp.concatenate(parts, axis=-1) for parts in zip(*heads, strict=True))
        return matmul(hidden, kernel) + bias[None], hidden

    def active(self, name, x):
        """The nonlinearity of x (b, ...), steered and noted as `name`."""
        return steered(self, name, getattr(jax.nn, self.activation)(x))

    def dense(self, features, name, x):
        """A hidden layer: x (b, w) -> (b, features)."""
        return self.active(name, nn.Dense(features, kernel_init=fan_in_normal, name=name)(x))

    def mlp(self, x):
        """Pixels (b, p) -> all hidden layers but the last (b, w)."""
        for i, width in enumerate(self.sizes[:-1], 1):
            x = self.dense(width, f"fc{i}", x)
        return x

    def cnn(self, images):
        """Pixels (b, p) -> channels of the last convolution, flat (b, w)."""
        x_bssc = images.reshape(-1, self.side, self.side, 1)
        for i, channels in enumerate(self.sizes[:-1], 1):
            x_bssc = self.active(f"conv{i}", Convolution(channels, name=f"conv{i}")(x_bssc))
        return x_bssc.reshape(x_bssc.shape[0], -1)

    def transformer(self, images):
        """Pixels (b, p) -> the mean over patches of the residual stream (b, d)."""
        d, blocks, _ = self.sizes
        heads, activation = ATTENTION_HEADS, self.activation
        config = Model(n_layers=blocks, d_model=d, n_heads=heads, activation=activation)
        n, pixels = PATCHES_A_SIDE, self.side // PATCHES_A_SIDE
        grid = images.reshape(-1, n, pixels, n, pixels).swapaxes(2, 3)
        x_bpd = Dense(d, name="patch")(grid.reshape(-1, PATCHES, pixels * pixels))
        std = nn.initializers.normal(config.embed_std)
        position = nn.Embed(PATCHES, d, embedding_init=std, name="position")
        x_bpd += position(jnp.arange(PATCHES))[None]
        for i in range(blocks):
            # Attention hides what comes after `at`: so no patch is hidden from any other.
            x_bpd, _ = Block(config, name=f"block_{i}")(x_bpd, at=PATCHES - 1)
            x_bpd = steered(self, f"block_{i}", x_bpd)
        return RMSNorm(name="final_norm")(x_bpd).mean(axis=1)


def parse_layers(text):
    """(kind, sizes) of `ImageModel.layers`: "cnn-16-256" -> ("cnn", (16, 256)); or `Refused`."""
    require(
        LAYERS.fullmatch(text),
        f"The layers {text!r} are no kind and its sizes, positive whole numbers; give mlp any of "
        "them, cnn at least 2 or transformer 3, as in mlp-256-256, cnn-16-32-256 or "
        "transformer-64-2-256.",
    )
    kind, *parts = text.split("-")
    sizes = tuple(int(part) for part in parts)
    require(
        kind != "transformer" or sizes[0] % ATTENTION_HEADS == 0,
        f"The layers {text!r} have a first size that {ATTENTION_HEADS} attention heads do not "
        f"divide; choose a multiple of {ATTENTION_HEADS}.",
    )
    return kind, sizes


def hidden_layers(kind, sizes):
    """Names of what `ImageNetwork.activations` returns, from the input on."""
    if kind == "mlp":
        return [f"fc{i}" for i in range(1, len(sizes) + 1)]
    if kind == "cnn":
        return [*(f"conv{i}" for i in range(1, len(sizes))), "fc"]
    return [*(f"block_{i}" for i in range(sizes[1])), "fc"]


def make_images(config, side, classes):
    """The `ImageNetwork` of an `ImageModel`, for `side * side` pixels and `classes` labels; only
    `config.init_scale` may be traced."""
    kind, sizes = parse_layers(config.layers)
    require(
        kind != "transformer" or side % PATCHES_A_SIDE == 0,
        f"Images of side {side} do not divide into {PATCHES} square patches; choose layers of kind "
        "mlp or cnn.",
    )
    module = Classifier(kind, sizes, config.activation, side, classes, config.aux)
    layers = hidden_layers(kind, sizes)

    def init(key):
        drawn = module.init(key, jnp.zeros((1, side * side)))["params"]

        def scaled(path, leaf):
            return leaf * config.init_scale if path[-1].key in ("kernel", "embedding") else leaf

        return jax.tree.map_with_path(scaled, drawn)

    def apply(params, images):
        return module.apply(variables(params, layers), images)

    def activations(params, images):
        return noted(module, variables(params, layers), images)

    return ImageNetwork(init, apply, activations)
