"""Similarity of representations: of two networks on the same examples, or of one and its task.

Pure functions of arrays, for `jax.jit` and `jax.vmap`. A representation is an array (n, p), n
examples by p features: of `activations`, reshape the other axes into examples or into features.
"""

import jax
import jax.numpy as jnp

from minisub.config import require

EXACT = "highest"  # accelerators round the factors of matrix products otherwise


def cka(x, y):
    """Linear CKA of representations (n, p) and (n, q): a scalar from 0 to 1.

    |X^T Y|^2 / (|X^T X| |Y^T Y|), Frobenius norms, features centered (arXiv 1905.00414, table 1);
    0 if a representation is constant. Biased: independent ones have CKA near 1 where n < p, q.
    """
    x, y = _unit(_centered(x)), _unit(_centered(y))
    pairs = (x, y), (x, x), (y, y)
    xy, xx, yy = (jnp.einsum("np,nq->pq", a, b, precision=EXACT) for a, b in pairs)
    return jnp.sum(xy * xy) * _inverse_root(jnp.sum(xx * xx)) * _inverse_root(jnp.sum(yy * yy))


def cka_minibatch(x, y, batch):
    """Linear CKA from unbiased estimates on minibatches of `batch` examples: a scalar up to 1.

    mean HSIC_1(K, L) / sqrt(mean HSIC_1(K, K) * mean HSIC_1(L, L)), K = X X^T and L = Y Y^T of each
    minibatch (arXiv 2010.15327; HSIC_1 is of Song et al. 2012, JMLR 13, equation 5). Examples that
    fill no minibatch are left out; batch = n is the debiased CKA, 0 if a representation is
    constant. Raises `Refused` unless 4 <= batch <= n.
    """
    n = len(x)
    require(4 <= batch <= n, f"A minibatch of {batch} of {n} examples; take from 4 to {n}.")
    x, y = (_unit(_centered(a[: n // batch * batch])) for a in (x, y))
    # HSIC_1 is the scalar product of U-centered Gram matrices (arXiv 1310.2926) over n (n-3).
    k_knm, l_knm = (_unit(jax.vmap(_u_centered)(a.reshape(n // batch, batch, -1))) for a in (x, y))
    return jnp.sum(k_knm * l_knm)


def subspace_cka(x, y, basis_x, basis_y):
    """`cka` of the parts of representations (n, p) and (n, q) that lie in subspaces: a scalar.

    The columns of `basis_x` (p, i) and `basis_y` (q, j) span them, such as the kernels of heads: a
    head does not read what is orthogonal to its kernel (after arXiv 2511.01023).
    """
    given = (x, basis_x), (y, basis_y)
    return cka(*(jnp.matmul(_centered(a), _orthonormal(b), precision=EXACT) for a, b in given))


def probe(x, labels, test_x, test_labels, classes, decay):
    """Accuracy on (test_x, test_labels) of a linear probe of the representation x (n, p): a scalar.

    Ridge regression onto one-hot labels Y (n,) of `classes`: W minimizes |X W + 1 b - Y|^2 +
    decay |X|^2 / p |W|^2 with X centered; so no unit of x matters, and the intercept b is free.
    """
    # Relative to an example, as in `_centered`, the scale alike for both sets.
    origin = x[:1]
    mean = jnp.mean(x - origin, axis=0, keepdims=True)
    centered, tested = (a - origin - mean for a in (x, test_x))
    scale = _inverse_root(jnp.sum(centered * centered))
    targets = jax.nn.one_hot(labels, classes)
    weights = _ridge(centered * scale, targets, decay / x.shape[1])
    intercept = jnp.mean(targets, axis=0, keepdims=True)
    outputs = jnp.matmul(tested * scale, weights, precision=EXACT) + intercept
    return jnp.mean(jnp.argmax(outputs, axis=1) == test_labels)


def disagreement(logits, other):
    """Share of examples whose largest logits differ; logits (..., c), any axes of examples."""
    return jnp.mean(jnp.argmax(logits, axis=-1) != jnp.argmax(other, axis=-1))


def steering_recovery(before, after, vector):
    """Cosine of each layer's mean shift with a steering vector (d,): a dict layer -> scalar.

    `before` and `after` are `activations` of two networks on the same inputs, layer -> (..., d);
    of layers that have the vector's width (arXiv 2604.25783, 2606.00995).
    """
    measured = {}
    for layer, old in before.items():
        shift = jnp.mean((after[layer] - old).reshape(-1, old.shape[-1]), axis=0)
        measured[layer] = jnp.sum(_unit(shift) * _unit(vector))
    return measured


def _inverse_root(square):
    """1 / sqrt(square), or 1 where that is 0."""
    return jax.lax.rsqrt(jnp.where(square == 0, 1.0, square))


def _unit(x):
    """x over its norm, all elements as one vector; zero stays zero."""
    return x * _inverse_root(jnp.sum(x * x))


def _centered(x):
    # Relative to an example first, so that a constant feature becomes exactly zero.
    x = x - x[:1]
    return x - jnp.mean(x, axis=0, keepdims=True)


def _u_centered(x):
    """Off-diagonal x x^T (n, n), less row and column means of the off-diagonal kind: sums are 0."""
    n = len(x)
    others = 1 - jnp.eye(n, dtype=x.dtype)
    gram = jnp.einsum("np,mp->nm", x, x, precision=EXACT) * others
    sums = jnp.sum(gram, axis=1, keepdims=True)
    total = jnp.sum(sums) / ((n - 1) * (n - 2))
    return (gram - (sums + sums.T) / (n - 2) + total) * others


def _orthonormal(basis):
    """(p, min(p, k)): an orthonormal basis of the span of columns (p, k), then zeros."""
    # Not QR, which completes columns of lower rank by directions of rounding errors.
    vectors, values, _ = jnp.linalg.svd(basis, full_matrices=False)
    noise = max(basis.shape) * jnp.finfo(values.dtype).eps * values[:1]
    return vectors * (values > noise)[None]


def _ridge(x, y, penalty):
    """Weights (p, c) that minimize |x w - y|^2 + penalty |w|^2, by the normal equations."""
    values, vectors = jnp.linalg.eigh(jnp.einsum("np,nq->pq", x, x, precision=EXACT))
    # Rounding makes null eigenvalues negative, and a Cholesky factor of nan.
    spread = (jnp.maximum(values, 0) + penalty)[:, None]
    moments = jnp.einsum("np,nc->pc", x, y, precision=EXACT)
    inner = jnp.matmul(vectors.T, moments, precision=EXACT) / spread
    return jnp.matmul(vectors, inner, precision=EXACT)
