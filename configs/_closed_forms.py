"""What is known of a student's updates: their product with its teacher's displacement, and where a
deep linear student ends."""

import jax
import jax.numpy as jnp

from minisub.theory.updates import update
from minisub.theory.vectors import dot, moved


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
