"""What is known of a student's updates: their product with its teacher's displacement, and where
students end whose outputs are linear in their parameters, or that are deep linear networks.

`params` is any tree of arrays. Everything is pure: for `jax.jit`, `jax.vmap` and `jax.grad`.
"""

import jax
import jax.numpy as jnp

from minisub.theory.vectors import cosine, dot, moved


def update(loss, params, batch):
    """A step of gradient descent of size 1: minus the gradient of `loss(params, batch)`."""
    return jax.tree.map(jnp.negative, jax.grad(loss)(params, batch))


def coverage(loss, params, batch, displacement):
    """Cosine of the first distillation update with the teacher's `displacement`, its parameters
    minus those that it started from; known before training (arXiv 2606.22019)."""
    return cosine(update(loss, params, batch), displacement)


def inner_products(loss, emit, origin, displacement, epsilons, start=None):
    """Update of the student times displacement of the teacher, for each epsilon: (epsilons,).

    The teacher is origin + epsilon * displacement; the student takes one step of gradient descent
    on `loss(params, emit(teacher))` from `start` (default: origin). From the origin the product is
    epsilon * A + O(epsilon^2) with A > 0, or always zero (arXiv 2507.14805, lemma 1), if the loss
    of outputs z and targets y is least at z = y and -d^2 loss / dy dz is symmetric positive
    semi-definite, its null space constant and orthogonal to d loss / dz: as of squared errors and
    softmax cross-entropy, over all outputs or some.
    """
    begin = origin if start is None else start

    def product(epsilon):
        teacher = moved(origin, displacement, epsilon)
        return dot(update(loss, begin, emit(teacher)), displacement)

    return jax.lax.map(product, jnp.asarray(epsilons))


def ntk(apply, params, x, y, other=None):
    """The empirical neural tangent kernel J(x) J(y)^T (arXiv 1806.07572), never holding a J.

    `apply(params, x)` is (n, k), `other(params, y)` (n, l) the outputs at y (default: `apply`);
    returns (n_x * k, n_y * l), outputs of an example side by side.
    """
    other = other or apply

    def columns(example):
        outputs, pull = jax.vjp(lambda p: other(p, example[None])[0], params)

        def column(cotangent):
            return jax.jvp(lambda p: apply(p, x), (params,), pull(cotangent))[1].ravel()

        return jax.vmap(column)(jnp.eye(outputs.shape[0], dtype=outputs.dtype))

    kernel = jax.lax.map(columns, y)
    return kernel.reshape(-1, kernel.shape[-1]).T


def kernel_descent(kernel, others, residual, rate, steps):
    """Changes of other outputs (others,) after gradient descent by a model linear in its params.

    -others U diag((1 - (1 - rate l)^steps) / l) U^T residual with `kernel` = U diag(l) U^T (n, n)
    among the outputs in the loss, `others` (others, n) with them, `residual` (n,) their first
    values minus targets; `rate` is the learning rate times c where the gradient in the outputs is
    c * (outputs - targets) (arXiv 1902.06720, equation 9, for steps instead of continuous time).
    """
    values, vectors = jnp.linalg.eigh(kernel)
    part = rate * jnp.maximum(values, 0)
    # 1 - (1 - part)^steps loses its digits where part is small; a zero has the limit, steps.
    small = jnp.where(part < 0.5, part, 0)
    fitted = jnp.where(part < 0.5, -jnp.expm1(steps * jnp.log1p(-small)), 1 - (1 - part) ** steps)
    weights = rate * jnp.where(part == 0, steps, fitted / jnp.where(part == 0, 1, part))
    return -others @ (vectors @ (weights * (vectors.T @ residual)))


def deep_linear(first, teacher, aux_head, covariance, rate, steps):
    """The first layer of a deep linear student after `steps` of gradient descent: (d, h).

    Outputs are x W1 W2, W2 shared and kept; its columns `aux_head` (h, m) are imitated by half the
    expected squared error, E x^T x = `covariance` (d, d); W1 starts at `first` (d, h). With
    aux_head aux_head^T = U diag(l) U^T and covariance = V diag(s) V^T, the entry i, j of
    V^T (W1 - teacher) U shrinks by 1 - rate s_i l_j at each update, a part of rank m at most.
    """
    s, v = jnp.linalg.eigh(covariance)
    values, u = jnp.linalg.eigh(aux_head @ aux_head.T)
    left = (1 - rate * s[:, None] * values[None]) ** steps
    return teacher + v @ (left * (v.T @ (first - teacher) @ u)) @ u.T
