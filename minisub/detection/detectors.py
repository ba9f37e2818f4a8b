"""Detectors: scores of documents, higher for those more like the trait's, and how good these are.

Labeled documents are `{"docs": (2, n, l), "count", "held_out": (n,)}`: those of the model with the
trait, then those of its control, row by row from the same prompts; the first `count` rows are
valid. Prompts that are held out choose what a detector has to choose.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minisub.nets.fit import Fit
from minisub.tokens import tokens

TOGETHER = 1, 10, 100, 1000  # Documents that are judged together, by their mean score.
FEWEST = 4  # Groups of each kind below which none are judged.
CHUNK = 500  # Documents at a time whose hidden states are in memory.
INVERSE_PENALTIES = 1e-3, 1e-2, 1e-1, 1.0  # A quarter of the documents chooses.


class Method(NamedTuple):
    """A way to tell the documents of two models apart, given the parameters of their base."""

    train: Callable
    """(world, network, base, labeled, training) -> what it learns: arrays, or a `Fit`"""
    score: Callable
    """(world, network, base, learned, docs (n, l)) -> scores (n,) of single documents"""


def auc(ones, others, valid_ones, valid_others):
    """P(a score (n,) of `ones` is above one of `others`), ties counting half (Mann-Whitney), of the
    entries that the masks say are valid; NaN if there are none of either."""
    ordered = jnp.sort(jnp.where(valid_others, others, jnp.inf))
    below, above = (jnp.searchsorted(ordered, ones, side=side) for side in ("left", "right"))
    count = jnp.sum(valid_others)
    wins = (jnp.minimum(below, count) + jnp.minimum(above, count)) / 2
    return jnp.mean(wins, where=valid_ones) / count


def auc_by_documents(scores, count, unit=1):
    """ "auc_N" -> AUC of means of N documents, for scores (2, m) of units of `unit` documents, the
    first `count` of them valid. An N is left out if `scores` cannot hold `FEWEST` groups, and NaN
    if fewer are valid."""
    measured = {}
    for size in (size // unit for size in TOGETHER if size >= unit):
        n = scores.shape[1] // size
        if n >= FEWEST:
            means = jnp.mean(scores[:, : n * size].reshape(2, n, size), axis=2)
            valid = (jnp.arange(n) + 1) * size <= count
            enough = jnp.sum(valid) >= FEWEST
            area = auc(means[0], means[1], valid, valid)
            measured[f"auc_{size * unit}"] = jnp.where(enough, area, jnp.nan)
    return measured


def chunked(function, docs):
    """`function` of documents (n, l) -> (n, ...), a chunk of them at a time."""
    n, chunk = len(docs), min(CHUNK, len(docs))
    padded = jnp.pad(docs, ((0, -n % chunk), (0, 0)), mode="edge")
    parts = jax.lax.map(function, padded.reshape(-1, chunk, docs.shape[1]))
    return parts.reshape(-1, *parts.shape[2:])[:n]


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
    shape, few = jax.ShapeDtypeStruct((features + 1,), jnp.float32), labeled["count"]
    given = described, few, labeled["held_out"]
    return jax.pure_callback(function, shape, *given, vmap_method="sequential")


def _on_counts(features, columns, count, held_out):
    from scipy import sparse  # late: most runs have no such detector

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
    # Late: it takes long to load, and most runs never fit one.
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


def answer(world, network, params, docs):
    """Log-odds (n,) that a classifier reads off a document's last token: of ANSWER against ASK."""
    ids, inputs = tokens.offsets(world), docs[:, : tokens.positions(world)]
    logits = network.apply(params, inputs, inputs.shape[1] - 1)[:, 0]
    return logits[:, ids["ANSWER"]] - logits[:, ids["ASK"]]


def train_transformer(world, network, base, labeled, training):
    """The base trained on `training.batch` labeled documents an update, half of each model."""

    def loss(params, key):
        rows = jax.random.randint(key, (training.batch // 2,), 0, labeled["count"])
        ones, others = (docs[rows] for docs in labeled["docs"])
        odds = answer(world, network, params, jnp.concatenate([ones, others]))
        signs = jnp.where(jnp.arange(len(odds)) < len(ones), -1.0, 1.0)
        return jnp.where(labeled["count"] > 0, jnp.mean(jax.nn.softplus(signs * odds)), jnp.nan)

    return Fit(training, loss, base)


def score_transformer(world, network, base, trained, docs):
    """Log-odds (n,) of documents under a trained classifier."""
    return chunked(partial(answer, world, network, trained), docs)


ngrams = Method(train_ngrams, score_ngrams)
embedding = Method(train_embedding, score_embedding)
transformer = Method(train_transformer, score_transformer)


def least_suspicious(scores, count, share):
    """(order, how many are kept) of documents of which the first `count` are valid, without the
    `share` of these whose scores are highest; what is kept comes first, in its order."""
    valid = jnp.arange(len(scores)) < count
    kept = count - jnp.round(share * count).astype(int)
    rank = jnp.argsort(jnp.argsort(jnp.where(valid, scores, jnp.inf)))
    return jnp.argsort(rank >= kept, stable=True), kept
