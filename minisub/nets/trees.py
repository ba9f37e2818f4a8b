"""Parameters as trees: addressed by path, such as "block_0/qkv/kernel".

A model's parameters are any nested dict of arrays. Everything is pure: for `jax.jit`, `jax.vmap`
and `jax.grad`.
"""

import jax
import jax.numpy as jnp

from minisub.config import require


def path_name(path):
    """A key path of `jax.tree_util` as "block_0/qkv/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def flat(tree):
    """A tree's leaves as a dict path -> leaf; None is no leaf."""
    return {path_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def replaced(tree, leaves):
    """`tree` with those of its leaves that a dict path -> leaf has."""
    return jax.tree.unflatten(jax.tree.structure(tree), (flat(tree) | leaves).values())


def partition(params, predicate):
    """Two trees like `params`: the leaves whose path satisfies `predicate`, and the others; each
    has None where the other has a leaf."""
    chosen = jax.tree.map_with_path(lambda p, x: x if predicate(path_name(p)) else None, params)
    others = jax.tree.map_with_path(lambda p, x: None if predicate(path_name(p)) else x, params)
    return chosen, others


def merge(one, other):
    """Undo `partition`: every leaf from the tree in which it is not None."""
    return jax.tree.map(lambda a, b: b if a is None else a, one, other, is_leaf=lambda x: x is None)


def within(path, name):
    """Whether whole components of a path are those of a name: "block_0", or "block_0/qkv"."""
    return f"/{name}/" in f"/{path}/"


def named(*names):
    """Predicate: the path is `within` one of `names`, and no "~NAME" among them; with such names
    alone, any path but theirs; without any names, none."""
    wanted = [name for name in names if not name.startswith("~")]
    others = [name[1:] for name in names if name.startswith("~")]

    def matches(path):
        chosen = any(within(path, name) for name in wanted) if wanted else bool(others)
        return chosen and not any(within(path, name) for name in others)

    return matches


def require_layers(layers, params):
    """Raise `config.Refused` for a name that is in no path of `params`, a tree or list of trees."""
    paths = list(flat(params))
    parts = [part for path in paths for part in path.split("/")]
    names = dict.fromkeys(part for part in parts if not part.isdigit())
    for layer in (layer.removeprefix("~") for layer in layers):
        there = any(within(path, layer) for path in paths)
        require(there, f"No parameter is in {layer!r}; choose from {', '.join(names)}.")


def common(one, other):
    """The leaves, path -> leaf, of two trees that both have in one shape."""
    a, b = flat(one), flat(other)
    both = [path for path, x in a.items() if path in b and b[path].shape == x.shape]
    return {path: a[path] for path in both}, {path: b[path] for path in both}


def linearize(apply, at):
    """`apply` to first order in its parameters around `at`, a function (params, *x) like it:
    f(at) + J (params - at), the Jacobian J in products alone (arXiv 1902.06720, equation 2)."""

    def linear(params, *x):
        step = jax.tree.map(jnp.subtract, params, at)
        value, change = jax.jvp(lambda p: apply(p, *x), (at,), (step,))
        return jax.tree.map(jnp.add, value, change)

    return linear
