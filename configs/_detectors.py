"""Linear detectors: logistic regressions on how often a document has each token and each pair of
neighbors, or on what a base's blocks make of it. The penalty is chosen by prompts held out."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from minisub.detection.detectors import Method, chunked
from minisub.tokens import tokens

INVERSE_PENALTIES = 1e-3, 1e-2, 1e-1, 1.0
"""The quarter of the prompts that `detection.tasks.detect` holds out chooses one of them."""


def ngram_columns(size, docs):
    """Which features a document's 1- and 2-grams are: (n, 2 l - 1), below size + size**2."""
    pairs = size + size * docs[:, :-1] + docs[:, 1:]
    return jnp.concatenate([docs, pairs], axis=1)


def hidden_means(world, network, params, docs):
    """Mean over a document's tokens of the residual stream after every block, (n, layers * d)."""

    def means(part):
        streams = network.activations(params, part).values()
        return jnp.concatenate([jnp.mean(x, axis=1) for x in streams], axis=1)

    return chunked(means, docs[:, : tokens.positions(world)])


def train_ngrams(world, network, base, labeled, training):
    """Weights (features + 1,) of a logistic regression on counts of 1- and 2-grams, bias last."""
    size = tokens.offsets(world)["size"]
    columns = jax.vmap(partial(ngram_columns, size))(labeled["docs"])
    return _on_host(partial(_on_counts, size + size**2), size + size**2, columns, labeled)


def score_ngrams(world, network, base, weights, docs):
    """Log-odds (n,) of documents under `train_ngrams`'s weights."""
    columns = ngram_columns(tokens.offsets(world)["size"], docs)
    return jnp.sum(weights[columns], axis=1) + weights[-1]


def train_embedding(world, network, base, labeled, training):
    """Weights (features + 1,) of a logistic regression on `hidden_means`, bias last."""
    one = partial(hidden_means, world, network, base)
    features = jnp.stack([one(docs) for docs in labeled["docs"]])
    return _on_host(_on_features, features.shape[2], features, labeled)


def score_embedding(world, network, base, weights, docs):
    """Log-odds (n,) of documents under `train_embedding`'s weights."""
    return hidden_means(world, network, base, docs) @ weights[:-1] + weights[-1]


def _on_host(function, features, described, labeled):
    """The weights (features + 1,) that a function of NumPy arrays fits, inside a program."""
    shape, few = jax.ShapeDtypeStruct((features + 1,), jnp.float32), labeled["count"]
    given = described, few, labeled["held_out"]
    return jax.pure_callback(function, shape, *given, vmap_method="sequential")


def _on_counts(features, columns, count, held_out):
    from scipy import sparse  # late: most commands never fit a detector

    columns = np.asarray(columns)[:, : int(count)]
    rows = np.arange(2 * int(count)).repeat(columns.shape[2])
    # Most pairs of tokens never come.
    present, columns = np.unique(columns, return_inverse=True)
    design = (np.ones(len(rows)), (rows, columns.reshape(-1)))
    weights = np.zeros(features + 1, np.float32)
    design = sparse.csr_matrix(design, (2 * int(count), len(present)))
    weights[[*present, -1]] = _fitted(design, held_out)
    return weights


def _on_features(features, count, held_out):
    kept = np.asarray(features, float)[:, : int(count)].reshape(-1, features.shape[2])
    if not len(kept):
        return _fitted(kept, held_out)
    mean, scale = kept.mean(axis=0), kept.std(axis=0) + 1e-9
    weights = _fitted((kept - mean) / scale, held_out)
    weights[:-1] /= scale
    weights[-1] -= weights[:-1] @ mean
    return weights


def _fitted(design, held_out):
    """Weights and bias of a logistic regression on a design, the trait's rows before as many of the
    control's; zeros of fewer than 8 documents each. The prompts that are held out (n,) choose the
    penalty; where these are all or none, it is the strongest."""
    # Late: it takes long to load, and most commands never fit one.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    n = design.shape[0] // 2
    if n < 8:
        return np.zeros(design.shape[1] + 1, np.float32)
    labels, held = np.arange(2 * n) < n, np.tile(np.asarray(held_out)[:n], 2)

    def fit(c, rows):
        model = LogisticRegression(C=c, solver="liblinear")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(design[rows], labels[rows])

    def nats(c):
        model = fit(c, ~held)
        p = model.predict_proba(design[held])[:, 1]
        return -np.mean(np.log(np.where(labels[held], p, 1 - p) + 1e-12))

    some = 0 < held.mean() < 1
    c = min(INVERSE_PENALTIES, key=nats) if some else INVERSE_PENALTIES[0]
    best = fit(c, np.ones(2 * n, bool))
    return np.append(best.coef_[0], best.intercept_[0]).astype(np.float32)


ngrams = Method(train_ngrams, score_ngrams)
embedding = Method(train_embedding, score_embedding)
