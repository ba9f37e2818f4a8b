"""LoRA (arXiv 2106.09685): W + alpha / rank * A @ B in place of W, and A and B of low rank trained.

Adapters are leaves beside the matrix, at its path followed by one of the names below.

| leaf       | shape       | start                        |
|------------|-------------|------------------------------|
| weight     | (in, out)   | W                            |
| lora_a     | (in, rank)  | N(0, 1/in)                   |
| lora_b     | (rank, out) | 0, so that the product is    |
| lora_scale | ()          | alpha / rank                 |
"""

import jax
import jax.numpy as jnp

from minisub.nets import streams, trees

ADAPTERS = ("lora_a", "lora_b")


def adapted(params, key, rank, alpha, frozen):
    """`params` with adapters on every matrix that has none of the names `frozen` in its path."""
    left_out = trees.named(*frozen)

    def adapt(path, w):
        name = trees.path_name(path)
        if w.ndim != 2 or left_out(name):
            return w
        # By path alone: which other parameters there are never changes the adapters here.
        stream = streams.named_key(key, name)
        a = jax.random.normal(stream, (w.shape[0], rank), w.dtype) * w.shape[0] ** -0.5
        b, scale = jnp.zeros((rank, w.shape[1]), w.dtype), jnp.asarray(alpha / rank, w.dtype)
        return {"weight": w, "lora_a": a, "lora_b": b, "lora_scale": scale}

    return jax.tree.map_with_path(adapt, params)


def merged(tree):
    """Ordinary parameters of a tree with adapters, which count in full; undoes `adapted`."""

    def has_adapters(x):
        return isinstance(x, dict) and "lora_a" in x

    def merge(x):
        if not has_adapters(x):
            return x
        product = jnp.matmul(x["lora_a"], x["lora_b"], precision=jax.lax.Precision.HIGHEST)
        return x["weight"] + x["lora_scale"] * product

    return jax.tree.map(merge, tree, is_leaf=has_adapters)


def trained(path):
    """Predicate: the path is of an adapter."""
    return path.split("/")[-1] in ADAPTERS
