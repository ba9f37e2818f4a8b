"""Theory as functions: of a user's own `loss(params, batch)` and `apply(params, x)`, or of ours.

`params` is any tree of arrays. Everything is pure: for `jax.jit`, `jax.vmap` and `jax.grad`.
"""

import jax
import jax.numpy as jnp

from minisub.nets import optimizers, trees
from minisub.theory.vectors import cosine


def update(loss, params, batch):
    """A step of gradient descent of size 1: minus the gradient of `loss(params, batch)`."""
    return jax.tree.map(jnp.negative, jax.grad(loss)(params, batch))


def first_update(training, params):
    """gradient -> what the optimizer of a `Training` makes of it at the first step; None where
    frozen. This is of training the parameters themselves, even if `training` has a rank."""
    frozen = trees.named(*training.frozen)

    def update(gradient):
        (_, own), (_, trained) = (trees.partition(tree, frozen) for tree in (gradient, params))
        rule = optimizers.make(training)
        return rule.update(own, rule.init(trained), trained)[0]

    return update


def coverage(loss, params, batch, displacement):
    """Cosine of the first distillation update with the teacher's `displacement`, its parameters
    minus those that it started from; known before training (arXiv 2606.22019)."""
    return cosine(update(loss, params, batch), displacement)


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
