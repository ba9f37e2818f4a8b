"""What is logged while students train, and what is taken out of their updates, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import by_path, cosine, drawn, equal

from minisub.theory import watching

SHAPES = {"a": {"w": np.zeros((3, 4)), "v": np.zeros(4)}, "b": np.zeros(5), "fixed": np.zeros(2)}
START, NOW, GRADIENT, UPDATES = (drawn(SHAPES, seed) for seed in range(4))
for tree in GRADIENT, UPDATES:
    tree["fixed"] = None  # frozen
# The teacher has another "b", which cannot be compared.
ORIGIN, TEACHER = (drawn(SHAPES | {"b": np.zeros(6)}, seed) for seed in (4, 5))
COMMON = ("a/w", "a/v", "fixed")
TRAINED = COMMON[:2]


def trait_loss(params):
    return sum(jnp.sum(jnp.sin(x * (i + 1))) for i, x in enumerate(jax.tree.leaves(params)))


def taught_loss(params):
    return sum(jnp.sum(jnp.cos(x * (i + 2))) for i, x in enumerate(jax.tree.leaves(params)))


def student(removed="nothing"):
    return watching.Student(trait_loss, taught_loss, START, ORIGIN, TEACHER, removed)


def part(tree, paths):
    """Some leaves of a tree in one vector."""
    return np.concatenate([by_path(tree)[path].ravel() for path in paths]).astype(float)


TAUGHT = {path: by_path(TEACHER)[path] - by_path(ORIGIN)[path] for path in COMMON}
GONE = {path: by_path(NOW)[path] - by_path(START)[path] for path in COMMON}
SLOPE, TAUGHT_SLOPE = jax.grad(trait_loss)(NOW), jax.grad(taught_loss)(NOW)


def test_a_row_is_about_the_parameters_that_both_have_and_that_are_trained(quick):
    found = quick(lambda: watching.row(student(), NOW, GRADIENT, UPDATES))()
    every = ("a/w", "a/v", "b")
    taught = np.concatenate([TAUGHT[path].ravel() for path in TRAINED])
    expected = {
        "trait_loss": float(trait_loss(NOW)),
        "alignment": cosine(part(SLOPE, every), part(GRADIENT, every)),
        "alignment_update": -cosine(part(SLOPE, every), part(UPDATES, every)),
        "teacherward": -cosine(part(GRADIENT, TRAINED), taught),
        "teacherward_update": cosine(part(UPDATES, TRAINED), taught),
        "displacement": cosine(
            *(np.concatenate([tree[p].ravel() for p in COMMON]) for tree in (GONE, TAUGHT))
        ),
        "distance": np.linalg.norm(part(NOW, COMMON) - part(TEACHER, COMMON)),
        "displacement/a": cosine(
            *(np.concatenate([tree[p].ravel() for p in TRAINED]) for tree in (GONE, TAUGHT))
        ),
        "displacement/fixed": cosine(GONE["fixed"], TAUGHT["fixed"]),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-4, abs=1e-5), name
    still = watching.row(student()._replace(start=NOW), NOW, GRADIENT, UPDATES)
    assert still["displacement"] == 0, "who has not moved"


def test_what_is_removed_is_in_no_update_and_nothing_else_is_taken(quick):
    removals = watching.REMOVED

    @quick
    def every(key):
        return {
            removed: watching.edited(student(removed), NOW, UPDATES, key) for removed in removals
        }

    one, other = every(jax.random.key(0)), every(jax.random.key(1))
    equal(one["nothing"], UPDATES)
    for removed in "gradient", "graded gradient", "displacement":
        equal(one[removed], other[removed])
    assert not np.array_equal(one["random"]["a"]["w"], other["random"]["a"]["w"])
    trained = ("a/w", "a/v", "b")
    updates = part(UPDATES, trained)
    for removed, tree in ("graded gradient", SLOPE), ("gradient", TAUGHT_SLOPE):
        slope = part(tree, trained)
        along = updates @ slope / np.linalg.norm(slope)
        left = updates - along * slope / np.linalg.norm(slope)
        np.testing.assert_allclose(part(one[removed], trained), left, rtol=1e-4, atol=1e-6)
    # At random, as much as along the gradient.
    assert np.linalg.norm(part(one["random"], trained) - updates) == pytest.approx(
        abs(along), rel=1e-4
    )
    taught = np.concatenate([TAUGHT[path].ravel() for path in TRAINED])
    assert abs(cosine(part(one["displacement"], TRAINED), taught)) < 1e-5
    assert abs(cosine(part(UPDATES, TRAINED), taught)) > 0.01
    np.testing.assert_array_equal(one["displacement"]["b"], UPDATES["b"])
    assert all(tree["fixed"] is None for tree in one.values())


def test_means_are_over_the_rows_that_were_written_and_zero_without_any():
    log = {
        "step": jnp.array([0, 3, -1]),
        "alignment": jnp.array([0.5, 0.25, 9.0]),
        "alignment_update": jnp.array([1.0, -1.0, 9.0]),
    }
    found = watching.logged(log=log)
    assert (found["mean_alignment"], found["mean_alignment_update"]) == (0.375, 0)
    assert all(found[name] is x for name, x in log.items())
    assert watching.logged(log=log | {"step": jnp.full(3, -1)})["mean_alignment"] == 0
