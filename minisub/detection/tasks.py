"""The tasks of detection: pairs of documents, detectors, and what these are worth.

A pair is documents of two models on the same prompts, {"train", "test"}: {"docs": (2, n, l),
"count"}, those of the model with the trait first, the valid ones first; no prompt is in both, which
is asserted in every run.
"""

import jax
import jax.numpy as jnp

from minisub.detection import detectors
from minisub.lab.products import marked, quick
from minisub.nets.fit import Fit
from minisub.tokens import writing
from minisub.tokens.grading import network


@quick
def pair(key, *, documents, world, sampling):
    """A pair of unfiltered `documents`, part -> those of both models; a prompt counts if the filter
    keeps both its documents."""
    parts = {}
    for name, models in documents.items():
        docs = jnp.stack([emitted["docs"] for emitted in models])
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
    """What a `detectors.Method` learns from a pair; a quarter of its training prompts is held out,
    to choose by where there is something to choose."""
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
