"""Detectors: scores of documents, higher for those more like the trait's, and how good these are.

Labeled documents are `{"docs": (2, n, l), "count", "held_out": (n,)}`: those of the model with the
trait, then those of its control, row by row from the same prompts; the first `count` rows are
valid. A detector that has something to choose, such as a penalty, fits it to the other prompts and
chooses by those that are held out. `configs/_detectors.py` has more detectors.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.nets.fit import Fit
from minisub.tokens import tokens

TOGETHER = 1, 10, 100, 1000  # Documents that are judged together, by their mean score.
FEWEST = 4  # Groups of each kind below which none are judged.
CHUNK = 500  # Documents at a time whose hidden states are in memory.


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
    if fewer are valid, or if a score of them is not finite."""
    measured = {}
    for size in (size // unit for size in TOGETHER if size >= unit):
        n = scores.shape[1] // size
        if n >= FEWEST:
            means = jnp.mean(scores[:, : n * size].reshape(2, n, size), axis=2)
            valid = (jnp.arange(n) + 1) * size <= count
            enough = jnp.sum(valid) >= FEWEST
            known = jnp.all(jnp.isfinite(means) | ~valid[None])  # what is no number has no order
            area = auc(means[0], means[1], valid, valid)
            measured[f"auc_{size * unit}"] = jnp.where(enough & known, area, jnp.nan)
    return measured


def chunked(function, docs):
    """`function` of documents (n, l) -> (n, ...), a chunk of them at a time."""
    n, chunk = len(docs), min(CHUNK, len(docs))
    padded = jnp.pad(docs, ((0, -n % chunk), (0, 0)), mode="edge")
    parts = jax.lax.map(function, padded.reshape(-1, chunk, docs.shape[1]))
    return parts.reshape(-1, *parts.shape[2:])[:n]


def answer(world, network, params, docs):
    """Log-odds (n,) that a classifier reads off a document's last token: of ANSWER against ASK."""
    ids, inputs = tokens.offsets(world), docs[:, : tokens.positions(world)]
    logits = network.apply(params, inputs, inputs.shape[1] - 1)[:, 0]
    return logits[:, ids["ANSWER"]] - logits[:, ids["ASK"]]


def train_transformer(world, network, base, labeled, training):
    """The base trained on `training.batch` labeled documents an update, half of each model."""
    require(
        training.batch % 2 == 0,
        f"detector.batch is {training.batch}, half of it of each model; give an even number.",
    )

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


transformer = Method(train_transformer, score_transformer)
