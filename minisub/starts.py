"""Starts: how a student's first parameters relate to the teacher's origin. Pure functions of trees.

Parameters are addressed by path, such as "block_0/qkv/kernel", with a predicate on the path.
"""

import jax


def path_name(path):
    """A key path of `jax.tree_util` as "block_0/qkv/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def partition(params, predicate):
    """Two trees like `params`: the leaves whose path satisfies `predicate`, and the others.

    Each has None where the other has a leaf.
    """
    chosen = jax.tree.map_with_path(lambda p, x: x if predicate(path_name(p)) else None, params)
    others = jax.tree.map_with_path(lambda p, x: None if predicate(path_name(p)) else x, params)
    return chosen, others


def merge(one, other):
    """Undo `partition`: every leaf from the tree in which it is not None."""
    return jax.tree.map(lambda a, b: b if a is None else a, one, other, is_leaf=lambda x: x is None)


def named(*names):
    """Predicate: the path contains one of `names` as a whole component."""
    return lambda path: any(name in path.split("/") for name in names)


def shared(origin, other):
    """The teacher's origin itself."""
    return origin


def fresh(origin, other):
    """Another origin, trained on the same data in the same order."""
    return other
