"""The tasks of detection: pairs of documents, detectors, readers, and what these are worth.

A pair is documents of two models on the same prompts, {"train", "test"}: {"docs": (2, n, l),
"count"}, those of the model with the trait first, the valid ones first; no prompt is in both.
"""

import zlib

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.detection import detectors, reading
from minisub.lab.products import quick
from minisub.nets.fit import Fit
from minisub.tokens import documents as writing
from minisub.tokens import transforms
from minisub.tokens.grading import network

LIMIT = 1000  # Documents of a model that a reader is asked about: its contexts are long.


@quick
def pair(key, *, trait, control, world, sampling, permuted):
    """A pair of unfiltered documents; a prompt counts if the filter keeps both its documents. If
    `permuted`, which of them is whose is random: nothing is left to tell."""
    docs = jnp.stack([trait["docs"], control["docs"]])
    if permuted:
        swapped = jax.random.bernoulli(key, shape=(1, docs.shape[1], 1))
        docs = jnp.where(swapped, docs[::-1], docs)
    passed = jnp.stack([~writing.rejected(world, part.astype(int), sampling) for part in docs])
    passed, half = jnp.all(passed, axis=0), docs.shape[1] // 2
    require(half, "a pair needs two documents; raise sampling.documents.")
    parts = {}
    for name, rows in ("train", slice(0, half)), ("test", slice(half, 2 * half)):
        order = jnp.argsort(~passed[rows], stable=True)
        parts[name] = {"docs": docs[:, rows][:, order], "count": jnp.sum(passed[rows])}
    return parts


def kept_pairs(*, pair):
    """How many prompts of a pair count."""
    return {"kept_pairs": sum(part["count"] for part in pair.values()).astype(float)}


def detect(key, *, how, pair, base, world, model, training):
    """What a `detectors.Detector` learns from a pair."""
    labeled = pair["train"] | {"docs": pair["train"]["docs"].astype(jnp.int32)}
    learned = how.train(world, network(world, model), base, labeled, training)
    return learned if isinstance(learned, Fit) else {"params": learned}


def score(*, how, learned, tested, base, world, model):
    """Scores (2, n) of documents of a pair that no detector was trained on; how many count."""
    net, test = network(world, model), tested["test"]
    docs = test["docs"].astype(jnp.int32)
    scores = [how.score(world, net, base, learned, part) for part in docs]
    return {"scores": jnp.stack(scores), "count": test["count"]}


def read(key, *, start, world, model, carrier, training):
    """A base trained further to read several documents in one context."""
    where = reading.layout(world, model, carrier)
    loss = reading.training(world, where, carrier, training.batch)
    return Fit(training, loss, reading.extended(world, where, start))


def ability(*, params, world, model, carrier):
    """How well a reader applies rules, some of which it was not trained on."""
    return reading.ability(world, reading.layout(world, model, carrier), params, carrier)


@quick
def ask(key, *, how, reader, tested, examples, world, model, carrier, trait, taught):
    """Scores (2, m) that a reader gives when it is asked a `reading.Question`; how many count."""
    docs = tested["test"]["docs"][:, :LIMIT].astype(jnp.int32)
    count = jnp.minimum(tested["test"]["count"], LIMIT)
    where, examples = reading.layout(world, model, carrier), examples and examples["train"]
    asked = reading.Asked(world, where, reader, docs, key, examples, trait, taught)
    return {"scores": how.ask(asked), "count": count // how.together}


def auc(*, scores, together):
    """What scores are worth, by documents judged together; each is of `together` documents."""
    return detectors.auc_by_documents(scores["scores"], scores["count"], together)


def remove(
    key, *, documents, share, world, sampling, how=None, learned=None, base=None, model=None
):
    """Documents without a share of them: those most suspicious to a detector, or any."""
    docs = documents["docs"].astype(jnp.int32)
    if how:
        scores = how.score(world, network(world, model), base, learned, docs)
    else:
        scores = jax.random.uniform(jax.random.fold_in(key, zlib.crc32(b"judge")), (len(docs),))
    kept = detectors.least_suspicious(docs, documents["count"], scores, share)
    return transforms.prepared(documents, sampling, *kept)


def removed(*, documents):
    """The share of all emitted documents that the filter and then a detector removed."""
    return {"removed": 1 - documents["count"] / len(documents["docs"])}
