"""The tasks of detection: pairs of documents, detectors, and what these are worth.

A pair is documents of two models on the same prompts, {"train", "test"}: {"docs": (2, n, l),
"count"}, those of the model with the trait first, the valid ones first; no prompt is in both, which
is asserted in every run.
"""

import jax
import jax.numpy as jnp

from minisub.detection import detectors
from minisub.lab.products import marked, quick
from minisub.nets import streams
from minisub.nets.fit import Fit
from minisub.tokens import transforms, writing
from minisub.tokens.grading import network


@quick
def pair(key, *, documents, world, sampling, permuted):
    """A pair of unfiltered `documents`, part -> those of both models; a prompt counts if the filter
    keeps both its documents. If `permuted`, which of them is whose is random: nothing is left to
    tell."""
    parts = {}
    for name, models in documents.items():
        docs = jnp.stack([emitted["docs"] for emitted in models])
        if permuted:
            k_part = streams.named_key(key, name)
            swapped = jax.random.bernoulli(k_part, shape=(1, docs.shape[1], 1))
            docs = jnp.where(swapped, docs[::-1], docs)
        passed = jnp.stack([~writing.rejected(world, part.astype(int), sampling) for part in docs])
        passed = jnp.all(passed, axis=0)
        order = jnp.argsort(~passed, stable=True)
        parts[name] = {"docs": docs[:, order], "count": jnp.sum(passed)}
    return parts


def prompts_of(part, sampling):
    """(prompts (n, p) of a part of a pair, how many of them count)."""
    return part["docs"][0, :, : 1 + writing.given(sampling)], part["count"]


def common_prompts(one, other):
    """How many prompts of one set are in another; a set is (prompts (n, p), how many count)."""
    (prompts, count), (others, other_count) = one, other
    there = jnp.arange(len(others)) < other_count
    among = jax.lax.map(lambda p: jnp.any(jnp.all(others == p[None], axis=1) & there), prompts)
    return jnp.sum(among & (jnp.arange(len(prompts)) < count)).astype(float)


def check_disjoint(measured, **_):
    """A sentence if a prompt is both in training and where it is judged, else ""."""
    common = int(measured["prompts_in_both"].max())
    return f"{common} prompts were trained on and judged, too; report this." if common else ""


@marked(check=check_disjoint)
def kept_pairs(*, pair, sampling):
    """How many prompts of a pair count, and how many of its tests are in its training: none."""
    test, train = (prompts_of(pair[name], sampling) for name in ("test", "train"))
    kept = sum(part["count"] for part in pair.values())
    return {"kept_pairs": kept.astype(float), "prompts_in_both": common_prompts(test, train)}


def detect(key, *, how, pair, base, world, model, training, sampling):
    """What a `detectors.Method` learns from a pair; a quarter of its prompts is held out where
    something has to be chosen."""
    part = pair["train"]
    prompts, count = prompts_of(part, sampling)
    held_out = writing.hashed(prompts) // 2 % 4 == 0  # of the bits that do not tell the half
    labeled = {"docs": part["docs"].astype(jnp.int32), "count": count, "held_out": held_out}
    learned = how.train(world, network(world, model), base, labeled, training)
    return learned if isinstance(learned, Fit) else {"params": learned}


def score(*, how, learned, tested, base, world, model):
    """Scores (2, n) of documents of a pair that no detector was trained on; how many count."""
    net, test = network(world, model), tested["test"]
    docs = test["docs"].astype(jnp.int32)
    scores = [how.score(world, net, base, learned, part) for part in docs]
    return {"scores": jnp.stack(scores), "count": test["count"]}


@marked(partial=True)
def auc(*, scores, together):
    """What scores are worth, by documents judged together; each is of `together` documents. Where
    too few count, there is no row."""
    return detectors.auc_by_documents(scores["scores"], scores["count"], together)


def remove(
    key, *, documents, share, world, sampling, how=None, learned=None, base=None, model=None
):
    """Documents without a share of them: those most suspicious to a detector, or any."""
    docs = documents["docs"].astype(jnp.int32)
    if how:
        scores = how.score(world, network(world, model), base, learned, docs)
    else:
        scores = jax.random.uniform(streams.named_key(key, "judge"), (len(docs),))
    order, count = detectors.least_suspicious(scores, documents["count"], share)
    weights = transforms.weights_of(documents, sampling)
    return transforms.prepared(documents, docs[order], count, weights[order])


@marked(check=check_disjoint)
def disjoint(*, documents, pair, sampling):
    """How many prompts of documents are among those that their judge was trained on: none."""
    docs = documents["docs"]
    judged = prompts_of({"docs": docs[None], "count": len(docs)}, sampling)
    return {"prompts_in_both": common_prompts(judged, prompts_of(pair["train"], sampling))}


def removed(*, documents):
    """The share of all emitted documents that the filter and then a detector removed."""
    return {"removed": 1 - documents["count"] / len(documents["docs"])}
