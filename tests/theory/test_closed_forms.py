"""What is known of updates against references: Jacobians, simulations, closed forms; in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from same import vector

from configs import _closed_forms as closed_forms
from minisub.images import classifiers
from minisub.images.config import ImageModel
from minisub.nets import trees
from minisub.theory import vectors


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


class Small:
    """Logits of a small smooth network, generic parameters, and Jacobians."""

    def __init__(self, layers):
        self.net = classifiers.make_images(
            ImageModel(layers=layers, aux=2, activation="tanh"), 4, 3
        )
        self.shapes = jax.eval_shape(self.net.init, jax.random.key(0))
        self.params, self.direction, self.other = (self.tree(seed) for seed in range(3))
        rng = np.random.default_rng(5)
        self.x, self.y = rng.normal(size=(4, 16)), rng.normal(size=(3, 16))

    def tree(self, seed):
        """Elements of standard deviation 0.5."""
        rng = np.random.default_rng(seed)
        return jax.tree.map(lambda x: jnp.asarray(rng.normal(0, 0.5, x.shape)), self.shapes)

    def apply(self, params, x):
        return self.net.apply(params, x)[0]

    def jacobian(self, params, x):
        """(outputs, parameters), materialized."""
        flat, back = ravel_pytree(params)
        return jax.jacobian(lambda flat: self.apply(back(flat), x).ravel())(flat)


@pytest.fixture
def mlp():
    return Small("mlp-6-5")


def test_coverage_is_1_where_outputs_are_the_parameters_and_less_elsewhere():
    """Half the squared difference of z = params: the update is the displacement itself."""
    origin, displacement = {"w": jnp.arange(4.0)}, {"w": jnp.array([1.0, -2.0, 0.5, 0.0])}
    loss = lambda params, shown: jnp.sum((params["w"] - shown) ** 2) / 2  # noqa: E731
    shown = vectors.moved(origin, displacement, 1.0)["w"]
    np.testing.assert_allclose(
        closed_forms.coverage(loss, origin, shown, displacement), 1, rtol=1e-14
    )
    foreign = {"w": jnp.array([5.0, 0.0, -1.0, 2.0])}
    assert closed_forms.coverage(loss, foreign, shown, displacement) < 0.9
    partly = lambda params, shown: loss({"w": params["w"][:1]}, shown[:1])  # noqa: E731
    found = closed_forms.coverage(partly, origin, shown, displacement)
    np.testing.assert_allclose(found, 1 / np.sqrt(1 + 4 + 0.25), rtol=1e-14)


def test_products_are_epsilon_times_the_squared_change_of_outputs_from_a_shared_start(mlp, quick):
    loss = lambda params, shown: jnp.sum((mlp.apply(params, mlp.x) - shown) ** 2) / 2  # noqa: E731
    emit, epsilons = (lambda params: mlp.apply(params, mlp.x)), np.array([1e-7, 1e-6])
    given = loss, emit, mlp.params, mlp.direction, epsilons

    @quick
    def found():
        both = closed_forms.inner_products(*given), closed_forms.inner_products(*given, mlp.other)
        return *both, mlp.jacobian(mlp.params, mlp.x)

    shared, foreign, jacobian = found()
    a = np.sum(np.square(jacobian @ vector(mlp.direction)))
    np.testing.assert_allclose(shared, epsilons * a, rtol=1e-4)
    np.testing.assert_allclose(foreign[0], foreign[1], rtol=1e-4)
    assert abs(foreign[0]) > 1e-3


@pytest.mark.parametrize("layers", ["mlp-6-5", "transformer-4-1-5"])
def test_the_tangent_kernel_is_the_product_of_materialized_jacobians(layers, quick):
    """At these parameters, and maybe of other outputs there."""
    net = Small(layers)
    some = lambda params, y: net.apply(params, y)[:, 3:]  # noqa: E731

    @quick
    def found(params):
        kernels = (
            closed_forms.ntk(net.apply, params, net.x, net.y),
            closed_forms.ntk(net.apply, params, net.x, net.y, some),
        )
        return kernels, net.jacobian(params, net.x), net.jacobian(params, net.y)

    (kernel, part), rows, columns = found(net.params)
    expected = np.asarray(rows @ columns.T)
    np.testing.assert_allclose(kernel, expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(part, expected.reshape(20, 3, 5)[:, :, 3:].reshape(20, 6), atol=1e-9)
    assert not np.allclose(found(net.other)[0][0], expected, rtol=0.1)


@pytest.mark.parametrize("speed", [0.1, 1.9])
def test_kernel_descent_is_gradient_descent_on_the_linearized_model(mlp, speed, quick):
    """Up to the limit of stability, 2."""
    at, x, unseen, target = mlp.params, mlp.x, mlp.y, jnp.sin(mlp.x[:, :5])

    def simulated(outputs, rate):
        loss = lambda params: jnp.sum((outputs(params, x) - target) ** 2) / 2  # noqa: E731
        descend = lambda _, params: vectors.moved(params, jax.grad(loss)(params), -rate)  # noqa: E731
        end = jax.lax.fori_loop(0, 30, descend, at)
        return (outputs(end, unseen) - outputs(at, unseen)).ravel()

    @quick
    def found():
        kernel = closed_forms.ntk(mlp.apply, at, x, x)
        rate = speed / jnp.linalg.eigvalsh(kernel)[-1]
        others, residual = (
            closed_forms.ntk(mlp.apply, at, unseen, x),
            (mlp.apply(at, x) - target).ravel(),
        )
        predicted = closed_forms.kernel_descent(kernel, others, residual, rate, 30)
        linear = trees.linearize(mlp.apply, at)
        return predicted, simulated(linear, rate), simulated(mlp.apply, rate)

    predicted, linear, bent = found()
    np.testing.assert_allclose(predicted, linear, rtol=1e-7, atol=1e-9)
    assert np.abs(predicted - bent).max() > 1e-3, "the network itself moves elsewhere"


def test_kernel_descent_keeps_its_digits_from_no_step_to_convergence():
    values, others = np.array([2.0, 1e-3, 1e-9, 0.0]), np.eye(4)
    kernel, residual = jnp.diag(values), jnp.ones(4)
    for steps in 0, 1, 1000:
        slow = np.where(values > 0, -np.expm1(steps * np.log1p(-0.4 * values)), 0)
        expected = -np.where(values > 0, slow / np.where(values > 0, values, 1), 0.4 * steps)
        for dtype, rtol in (jnp.float32, 1e-4), (jnp.float64, 1e-12):
            arrays = (jnp.asarray(a, dtype) for a in (kernel, others, residual))
            found = closed_forms.kernel_descent(*arrays, dtype(0.4), steps)
            np.testing.assert_allclose(found, expected, rtol=rtol)


def test_a_deep_linear_student_is_where_gradient_descent_takes_it_and_ends_as_its_teacher_there():
    """In what the head shows, and there alone: a projection of rank 2 of the 5 hidden units."""
    rng = np.random.default_rng(0)
    first, teacher = rng.normal(size=(2, 7, 5))
    head, other = rng.normal(size=(2, 5, 2))
    x = rng.normal(size=(40, 7))
    covariance, deep = x.T @ x / 40, closed_forms.deep_linear
    np.testing.assert_allclose(deep(first, teacher, head, covariance, 0.1, 0), first, rtol=1e-12)
    w = first
    for _ in range(5):  # of trace(head^T (w - teacher)^T covariance (w - teacher) head) / 2
        w = w - 0.02 * covariance @ (w - teacher) @ head @ head.T
    found = deep(first, teacher, head, covariance, 0.02, 5)
    np.testing.assert_allclose(found, w, rtol=1e-12)
    assert np.abs(deep(first, teacher, other, covariance, 0.02, 5) - w).max() > 0.01
    largest = np.linalg.eigvalsh(covariance).max() * np.linalg.eigvalsh(head @ head.T).max()
    end = deep(first, teacher, head, covariance, 1 / largest, 10**5)
    shown = head @ np.linalg.pinv(head)
    expected = first @ (np.eye(5) - shown) + teacher @ shown
    np.testing.assert_allclose(end, expected, rtol=1e-9, atol=1e-9)
    assert np.linalg.matrix_rank(end - first, tol=1e-8) == 2
    assert np.abs(end @ other - teacher @ other).max() > 0.1
