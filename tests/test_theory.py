"""Theory's functions against references: Jacobians, simulations and closed forms, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from minisub import image_models, theory
from minisub.image_config import ImageModel


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["mlp-6-5", "transformer-4-1-5"])
def network(request):
    """As `make`, for two architectures."""
    return make(request.param)


@pytest.fixture
def mlp():
    """As `make`, for an MLP."""
    return make("mlp-6-5")


def make(layers):
    """(apply, params, x): logits of a small smooth network, generic parameters, 4 inputs."""
    net = image_models.make_images(ImageModel(layers=layers, aux=2, activation="tanh"), 4, 3)
    params = random_like(jax.eval_shape(net.init, jax.random.key(0)), 1)
    x = jax.random.normal(jax.random.key(2), (4, 16))
    return jax.jit(lambda params, x: net.apply(params, x)[0]), params, x


def random_like(tree, seed):
    """A tree of the same shapes with float64 elements of standard deviation 0.5."""
    flat, back = ravel_pytree(jax.tree.map(lambda x: jnp.zeros(x.shape), tree))
    return back(jax.random.normal(jax.random.key(seed), flat.shape) / 2)


def jacobian(apply, params, x):
    """(outputs, parameters), materialized."""
    flat, back = ravel_pytree(params)
    return jax.jit(jax.jacobian(lambda flat: apply(back(flat), x).ravel()))(flat)


def vector(tree):
    return ravel_pytree(tree)[0]


def test_cosine_is_that_of_all_elements_as_one_vector():
    one = {"a": {"x": jnp.array([1.0, 2.0])}, "b": jnp.array([[3.0]])}
    other = {"a": {"x": jnp.array([-4.0, 5.0])}, "b": jnp.array([[0.5]])}
    a, b = map(vector, (one, other))
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(theory.cosine(one, other), expected, rtol=1e-14)
    np.testing.assert_allclose(theory.cosine(one, jax.tree.map(lambda x: -7 * x, one)), -1)


def test_cosine_with_a_zero_tree_is_zero_and_so_is_its_gradient_finite():
    one, zero = {"a": jnp.ones(3)}, {"a": jnp.zeros(3)}
    assert theory.cosine(one, zero) == theory.cosine(zero, one) == theory.cosine(zero, zero) == 0


def test_cosine_survives_norms_whose_squares_multiply_to_nothing_in_float32():
    tiny = {"a": jnp.array([3e-15, 4e-15], jnp.float32)}
    turned = {"a": jnp.array([4e-15, 3e-15], jnp.float32)}
    assert jnp.sum(tiny["a"] ** 2) * jnp.sum(turned["a"] ** 2) == 0, "what a naive formula divides"
    np.testing.assert_allclose(theory.cosine(tiny, tiny), 1, rtol=1e-6)
    np.testing.assert_allclose(theory.cosine(tiny, turned), 24 / 25, rtol=1e-6)


def test_cosine_by_layer_is_the_cosine_of_each_layers_subtree(mlp):
    _, params, _ = mlp
    other = random_like(params, 5)
    found = theory.cosine_by_layer(params, other)
    assert set(found) == set(params)
    for layer, value in found.items():
        np.testing.assert_allclose(value, theory.cosine(params[layer], other[layer]), rtol=1e-14)
    whole = theory.cosine(params, other)
    assert not np.allclose(list(found.values()), whole), "layers differ from the whole"


def test_what_is_projected_out_is_orthogonal_and_leaves_the_loss_alone_to_first_order(mlp):
    apply, params, x = mlp
    loss = lambda params: jnp.sum(jnp.sin(apply(params, x)))  # noqa: E731
    gradient, update = jax.grad(loss)(params), random_like(params, 3)
    left = theory.project_out(update, gradient)
    slopes = [jax.jvp(loss, (params,), (step,))[1] for step in (update, left)]
    assert abs(slopes[1]) < 1e-12 < 1e-3 < abs(slopes[0])
    removed = vector(theory.difference(update, left))
    np.testing.assert_allclose(
        abs(removed @ vector(gradient)),
        np.linalg.norm(removed) * np.linalg.norm(vector(gradient)),
        rtol=1e-12,
    )
    zero = jax.tree.map(jnp.zeros_like, update)
    np.testing.assert_array_equal(vector(theory.project_out(update, zero)), vector(update))


def test_an_update_goes_against_the_gradient_and_alignment_says_whether_it_helps(mlp):
    apply, params, x = mlp
    trait = lambda params, x: jnp.sum(apply(params, x)[:, 0] ** 2)  # noqa: E731
    for loss, sign in (trait, 1), (lambda p, x: -trait(p, x), -1):
        step = theory.update(loss, params, x)
        np.testing.assert_allclose(theory.alignment(trait, loss, params, x, x), sign, rtol=1e-12)
        after = trait(theory.moved(params, step, 1e-6), x)
        assert jnp.sign(trait(params, x) - after) == sign
    other = lambda params, x: jnp.sum(apply(params, x)[:, 1])  # noqa: E731
    grads = [jax.grad(loss)(params, x) for loss in (trait, other)]
    found = theory.alignment(trait, other, params, x, x)
    np.testing.assert_allclose(found, theory.cosine(*grads), rtol=1e-12)
    assert abs(found) < 1


def test_coverage_is_1_where_outputs_are_the_parameters_and_less_elsewhere():
    """Half the squared difference of z = params: the update is the displacement itself."""
    origin, displacement = {"w": jnp.arange(4.0)}, {"w": jnp.array([1.0, -2.0, 0.5, 0.0])}
    loss = lambda params, shown: jnp.sum((params["w"] - shown) ** 2) / 2  # noqa: E731
    shown = theory.moved(origin, displacement, 1.0)["w"]
    np.testing.assert_allclose(theory.coverage(loss, origin, shown, displacement), 1, rtol=1e-14)
    foreign = {"w": jnp.array([5.0, 0.0, -1.0, 2.0])}
    assert theory.coverage(loss, foreign, shown, displacement) < 0.9
    partly = lambda params, shown: loss({"w": params["w"][:1]}, shown[:1])  # noqa: E731
    expected = 1 / np.sqrt(1 + 4 + 0.25)
    found = theory.coverage(partly, origin, shown, displacement)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_products_are_epsilon_times_the_squared_change_of_outputs_from_a_shared_start(mlp):
    apply, origin, x = mlp
    direction = random_like(origin, 4)
    loss = lambda params, shown: jnp.sum((apply(params, x) - shown) ** 2) / 2  # noqa: E731
    emit = lambda params: apply(params, x)  # noqa: E731
    epsilons = np.array([1e-7, 1e-6])
    found = jax.jit(lambda: theory.products(loss, emit, origin, direction, epsilons))()
    a = np.sum(np.square(jacobian(apply, origin, x) @ vector(direction)))
    np.testing.assert_allclose(found, epsilons * a, rtol=1e-4)
    foreign = theory.products(loss, emit, origin, direction, epsilons, random_like(origin, 6))
    np.testing.assert_allclose(foreign[0], foreign[1], rtol=1e-4)
    assert abs(foreign[0]) > 1e-3


def test_a_linearized_model_is_the_model_at_its_center_and_has_its_derivatives(network):
    apply, at, x = network
    linear, step = jax.jit(theory.linearize(apply, at)), random_like(at, 7)
    np.testing.assert_allclose(linear(at, x), apply(at, x), rtol=1e-13)
    away = theory.moved(at, step, 1.0)
    expected = apply(at, x).ravel() + jacobian(apply, at, x) @ vector(step)
    np.testing.assert_allclose(linear(away, x).ravel(), expected, rtol=1e-10, atol=1e-12)
    assert np.abs(linear(away, x) - apply(away, x)).max() > 1e-2
    np.testing.assert_allclose(
        jacobian(linear, away, x), jacobian(apply, at, x), rtol=1e-10, atol=1e-12
    )


def test_a_model_without_hidden_layers_is_its_own_linearization():
    apply, at, x = make("mlp")
    away = theory.moved(at, random_like(at, 7), 3.0)
    np.testing.assert_allclose(theory.linearize(apply, at)(away, x), apply(away, x), rtol=1e-12)


def test_a_linearized_model_keeps_the_structure_of_what_apply_returns():
    net = image_models.make_images(ImageModel(layers="mlp-6", activation="tanh"), 4, 3)
    at = random_like(jax.eval_shape(net.init, jax.random.key(0)), 1)
    x = jnp.ones((2, 16))
    outputs, expected = theory.linearize(net.apply, at)(at, x), net.apply(at, x)
    jax.tree.map(np.testing.assert_array_equal, outputs, expected)


def test_the_tangent_kernel_is_the_product_of_materialized_jacobians(network):
    apply, params, x = network
    y = jax.random.normal(jax.random.key(9), (3, 16))
    rows, columns = jacobian(apply, params, x), jacobian(apply, params, y)
    found = jax.jit(theory.ntk, static_argnums=0)(apply, params, x, y)
    assert found.shape == (4 * 5, 3 * 5)
    np.testing.assert_allclose(found, rows @ columns.T, rtol=1e-10, atol=1e-12)


def test_the_tangent_kernel_is_of_these_parameters_and_may_be_of_other_outputs_there(mlp):
    apply, params, x = mlp
    ntk = jax.jit(theory.ntk, static_argnums=(0, 4))
    some = lambda params, y: apply(params, y)[:, 3:]  # noqa: E731
    expected = jacobian(apply, params, x) @ jacobian(some, params, x).T
    np.testing.assert_allclose(ntk(apply, params, x, x, some), expected, rtol=1e-10, atol=1e-12)
    elsewhere = ntk(apply, random_like(params, 8), x, x, some)
    assert not np.allclose(elsewhere, expected, rtol=0.1)


@pytest.mark.parametrize("speed", [0.1, 1.0, 1.9])
def test_kernel_descent_is_gradient_descent_on_the_linearized_model(mlp, speed):
    apply, at, x = mlp
    unseen = jax.random.normal(jax.random.key(9), (2, 16))
    linear, target = theory.linearize(apply, at), jnp.sin(x[:, :5])
    ntk = jax.jit(theory.ntk, static_argnums=0)
    kernel = ntk(apply, at, x, x)
    rate = speed / np.linalg.eigvalsh(kernel).max()  # up to the limit of stability, 2

    def simulated(outputs):
        loss = lambda params: jnp.sum((outputs(params, x) - target) ** 2) / 2  # noqa: E731
        descend = lambda _, params: theory.moved(params, jax.grad(loss)(params), -rate)  # noqa: E731
        end = jax.jit(lambda at: jax.lax.fori_loop(0, 30, descend, at))(at)
        return (outputs(end, unseen) - outputs(at, unseen)).ravel()

    others, residual = ntk(apply, at, unseen, x), (apply(at, x) - target).ravel()
    found = theory.kernel_descent(kernel, others, residual, rate, 30)
    np.testing.assert_allclose(found, simulated(linear), rtol=1e-8, atol=1e-10)
    assert np.abs(found - simulated(apply)).max() > 1e-3, "the network itself moves elsewhere"


def test_kernel_descent_keeps_its_digits_from_no_step_to_convergence():
    values = np.array([2.0, 1e-3, 1e-9, 0.0])
    kernel, residual = jnp.diag(values), jnp.ones(4)
    others = np.eye(4)
    for steps in 0, 1, 1000:
        slow = np.where(values > 0, -np.expm1(steps * np.log1p(-0.4 * values)), 0)
        expected = -np.where(values > 0, slow / np.where(values > 0, values, 1), 0.4 * steps)
        for dtype, rtol in (jnp.float32, 1e-4), (jnp.float64, 1e-12):
            arrays = (jnp.asarray(a, dtype) for a in (kernel, others, residual))
            found = theory.kernel_descent(*arrays, dtype(0.4), steps)
            np.testing.assert_allclose(found, expected, rtol=rtol)
    fitted = theory.kernel_descent(kernel[:2, :2], kernel[:2, :2], residual[:2], 0.4, 10**6)
    np.testing.assert_allclose(fitted, -residual[:2], rtol=1e-12)


@pytest.fixture
def deep():
    """first, teacher (7, 5), heads (5, 2), (5, 2), covariance (7, 7) of full rank."""
    keys = jax.random.split(jax.random.key(0), 5)
    first, teacher = (jax.random.normal(key, (7, 5)) for key in keys[:2])
    heads = [jax.random.normal(key, (5, 2)) for key in keys[2:4]]
    x = jax.random.normal(keys[4], (40, 7))
    return first, teacher, *heads, x.T @ x / 40


def test_a_deep_linear_student_begins_at_its_first_layer(deep):
    first, teacher, head, _, covariance = deep
    found = theory.deep_linear(first, teacher, head, covariance, 0.1, 0)
    np.testing.assert_allclose(found, first, rtol=1e-12)


def test_a_deep_linear_student_ends_as_its_teacher_in_what_the_head_shows_and_there_alone(deep):
    first, teacher, head, other, covariance = deep
    largest = np.linalg.eigvalsh(covariance).max() * np.linalg.eigvalsh(head @ head.T).max()
    end = theory.deep_linear(first, teacher, head, covariance, 1 / largest, 10**5)
    shown = head @ np.linalg.pinv(head)  # a projection of rank 2 of the 5 hidden units
    expected = first @ (np.eye(5) - shown) + teacher @ shown
    np.testing.assert_allclose(end, expected, rtol=1e-9, atol=1e-9)
    assert np.linalg.matrix_rank(end - first, tol=1e-8) == 2
    np.testing.assert_allclose(end @ head, teacher @ head, rtol=1e-9, atol=1e-9)
    assert np.abs(end @ other - teacher @ other).max() > 0.1


def test_a_deep_linear_student_is_where_gradient_descent_takes_it(deep):
    first, teacher, head, other, covariance = deep
    loss = lambda w: jnp.trace(head.T @ (w - teacher).T @ covariance @ (w - teacher) @ head) / 2  # noqa: E731
    w = first
    for _ in range(5):
        w -= 0.02 * jax.grad(loss)(w)
    found = theory.deep_linear(first, teacher, head, covariance, 0.02, 5)
    np.testing.assert_allclose(found, w, rtol=1e-12)
    assert np.abs(theory.deep_linear(first, teacher, other, covariance, 0.02, 5) - w).max() > 0.01
