"""What is taken out of updates, on trees small enough to compute by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import fit, watching
from minisub.config import Training
from minisub.starts import dot

ORIGIN = {"body": {"w": jnp.array([0.3, -0.2, 0.5])}, "head": {"w": jnp.array([[1.0, -1.0]])}}
TEACHER = {"body": {"w": jnp.array([0.7, 0.1, 0.4])}, "head": {"w": jnp.array([[0.5, -2.0]])}}
START = {
    "body": {"w": jnp.array([0.2, 0.1, 0.1])},
    "head": {"w": jnp.array([[0.4, 0.2], [0.1, 0.3]])},  # a head of another shape
    "own": {"w": jnp.array([1.0, 2.0])},
}
FROZEN = Training(steps=40, optimizer="sgd", frozen=("own",))


def trait_loss(params):
    """Of a student: curved, and it depends on every parameter."""
    total = sum(jnp.sum(jnp.sin(x + 1)) for x in jax.tree.leaves(params))
    return total + jnp.sum(params["body"]["w"]) ** 2


def distillation(params, key):
    return sum(jnp.sum((x - 0.5) ** 2) for x in jax.tree.leaves(params)) / 2


def student(removed="nothing"):
    return watching.Student(trait_loss, START, ORIGIN, TEACHER, removed)


def edited(removed, updates, key=0):
    return watching.edited(student(removed), START, updates, jax.random.key(key))


UPDATES = {
    "body": {"w": jnp.array([0.5, 0.25, -1.0])},
    "head": {"w": jnp.array([[1.0, 0.5], [-0.5, 0.25]])},
    "own": {"w": None},
}


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]).astype(float)


def test_nothing_is_taken_out_unless_it_is_asked_for():
    assert edited("nothing", UPDATES) is UPDATES


def test_the_component_along_the_traits_gradient_is_taken_out_of_what_is_trained():
    """In all layers together, the student's own ones too; frozen parameters do not count."""
    found = edited("gradient", UPDATES)
    slope = jax.grad(trait_loss)(START) | {"own": {"w": None}}
    u, g = flat(UPDATES), flat(slope)
    np.testing.assert_allclose(flat(found), u - (u @ g) / (g @ g) * g, rtol=1e-5, atol=1e-6)
    assert found["own"]["w"] is None and abs(u @ g) > 0.1


def test_the_component_along_the_teachers_displacement_is_taken_out_of_common_layers():
    found = edited("displacement", UPDATES)
    d, u = (flat(x) for x in (TEACHER["body"]["w"] - ORIGIN["body"]["w"], UPDATES["body"]["w"]))
    np.testing.assert_allclose(found["body"]["w"], u - (u @ d) / (d @ d) * d, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["head"]["w"], UPDATES["head"]["w"])


def test_as_much_as_the_gradients_component_is_taken_out_in_a_random_direction():
    along = flat(UPDATES) - flat(edited("gradient", UPDATES))
    found = [flat(UPDATES) - flat(edited("random", UPDATES, key)) for key in range(200)]
    norms = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(norms, np.linalg.norm(along), rtol=1e-5)
    units = np.array(found) / norms[:, None]
    # 7 parameters: a component of a random direction has variance 1/7.
    np.testing.assert_allclose(np.mean(units**2, axis=0), 1 / 7, atol=0.05)
    np.testing.assert_allclose(np.mean(units, axis=0), 0, atol=0.1)
    assert abs(np.mean(units @ along) / np.linalg.norm(along)) < 0.1


def test_random_directions_are_drawn_apart_from_batches():
    """Which come from `split`: its keys are what folding in small numbers gives."""
    key, ones = jax.random.key(0), {"w": jnp.ones(3)}
    taken = flat(watching.as_much(ones, ones, key)) - 1
    for k in jax.random.split(key, 4):
        noise = jax.random.normal(k, (3,))
        assert abs(taken @ noise) < 0.999 * np.linalg.norm(taken) * np.linalg.norm(noise)


def test_nothing_along_a_gradient_is_nothing_to_take_out():
    none = {"w": jnp.zeros(3)}
    for update, along in (none, {"w": jnp.ones(3)}), ({"w": jnp.ones(3)}, none):
        np.testing.assert_array_equal(
            watching.as_much(update, along, jax.random.key(0))["w"], update["w"]
        )


def trained(removed, rate):
    """The trait's loss at the end minus that at the start, after a way of fixed length."""
    steps = round(0.4 / rate)
    training = dataclasses.replace(FROZEN, steps=steps, learning_rate=rate)
    watch = watching.alone(watching.watch(0, [student(removed)]))
    advance = jax.jit(
        lambda state: fit.advance(
            training, distillation, state, jax.random.key(0), 0, steps, None, watch
        )
    )
    end = fit.params(advance(fit.begin(training, START, watch)))
    return float(trait_loss(end) - trait_loss(START)), end


def test_without_its_gradient_the_traits_loss_changes_in_second_order_alone():
    """Over one way in steps ten times smaller: the change that is left is ten times smaller."""
    untouched, _ = trained("nothing", 0.04)
    assert abs(untouched) > 0.1
    changes = [trained("gradient", rate)[0] for rate in (0.04, 0.004)]
    assert abs(changes[0]) < 0.1 * abs(untouched)
    assert changes[0] / changes[1] == pytest.approx(10, rel=0.3)
    assert trained("nothing", 0.004)[0] == pytest.approx(untouched, rel=0.1)


def test_without_the_teachers_displacement_a_student_leaves_orthogonally_to_it():
    taught = flat(TEACHER["body"]) - flat(ORIGIN["body"])

    def along(removed):
        gone = flat(trained(removed, 0.04)[1]["body"]) - flat(START["body"])
        return gone @ taught / np.linalg.norm(gone) / np.linalg.norm(taught)

    assert abs(along("displacement")) < 1e-5 < 0.1 < abs(along("nothing"))


def test_a_row_compares_trees_in_the_parameters_that_they_share():
    """By hand: student and teacher have "body" in common; "own" is frozen."""
    gradient = {**UPDATES, "body": {"w": jnp.array([1.0, 2.0, 0.0])}}
    params = jax.tree.map(lambda x: x + 0.1 * jnp.arange(x.size).reshape(x.shape), START)
    row = watching.row(student(), params, gradient, UPDATES)
    slope = jax.grad(trait_loss)(params)
    body = {
        name: flat(tree["body"])
        for name, tree in {"u": UPDATES, "g": gradient, "s": slope, "p": params}.items()
    }
    taught, gone = flat(TEACHER["body"]) - flat(ORIGIN["body"]), np.array([0, 0.1, 0.2])

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    of_trained = flat(slope | {"own": {"w": None}})
    expected = {
        "trait_loss": trait_loss(params),
        "alignment": cosine(of_trained, flat(gradient)),
        "alignment_update": -cosine(of_trained, flat(UPDATES)),
        "teacherward": -cosine(body["g"], taught),
        "teacherward_update": cosine(body["u"], taught),
        "displacement": cosine(gone, taught),
        "displacement/body": cosine(gone, taught),
        "distance": np.linalg.norm(body["p"] - flat(TEACHER["body"])),
    }
    assert set(row) == set(expected)
    for name, value in expected.items():
        assert float(row[name]) == pytest.approx(float(value), rel=1e-5), name


def test_what_all_students_have_is_logged_and_what_is_zero_has_cosine_zero():
    whole = watching.Student(lambda p: dot(p, p), ORIGIN, ORIGIN, TEACHER)
    watch = watching.watch(3, [whole, student()])
    zeros = jax.tree.map(jnp.zeros_like, ORIGIN)
    row = watch.log([ORIGIN, START], [zeros, UPDATES], [zeros, UPDATES])
    assert {name for name in row if "/" in name} == {"displacement/body"}
    assert all(x.shape == (2,) for x in row.values())
    for name in "alignment", "alignment_update", "teacherward", "teacherward_update":
        assert row[name][0] == 0 != row[name][1]
    assert row["displacement"].tolist() == [0, 0], "both are where they start"
    both = watch.edit([ORIGIN, START], [zeros, UPDATES], jax.random.key(0))
    assert both[0] is zeros and both[1] is UPDATES
