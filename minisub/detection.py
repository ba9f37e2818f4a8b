"""Tasks of detection: documents with labels, detectors, readers, and what they are worth."""

from functools import partial

import jax
import jax.numpy as jnp

from minisub import behaviors, detectors, distillation, documents, fit, models, reading, tokens
from minisub.phases import Fit

LIMIT = 1000
"""Documents of a source that a reader is asked about at most: its contexts are long."""


def label(option, settings, inputs, key):
    """Documents of a pair, "train" and "test": `detectors` says how; no prompt is in both.

    The first half of the prompts trains. A prompt counts if the filter keeps both its documents.
    """
    world, sampling = settings["world"], settings["sampling"]
    docs = jnp.stack([inputs[name]["docs"] for name in ("trait", "control")])
    if settings["pair"].permuted:
        swapped = jax.random.bernoulli(key, shape=(1, docs.shape[1], 1))
        docs = jnp.where(swapped, docs[::-1], docs)
    passed = jnp.stack([~documents.rejected(world, part.astype(int), sampling) for part in docs])
    passed, half = jnp.all(passed, axis=0), docs.shape[1] // 2
    product = {}
    for name, rows in ("train", slice(0, half)), ("test", slice(half, 2 * half)):
        order = jnp.argsort(~passed[rows], stable=True)
        product[name] = {"docs": docs[:, rows][:, order], "count": jnp.sum(passed[rows])}
    return product


def detect(option, settings, inputs, key):
    """The weights of a detector of single documents."""
    world, labeled = settings["world"], inputs["pair"]["train"]
    net = distillation.network(settings)
    if option == "transformer":
        training = settings["training"]
        loss = detectors.classification(world, net, labeled, training.batch)
        return Fit(training, loss, inputs["base"])
    labeled = labeled | {"docs": labeled["docs"].astype(jnp.int32)}
    return detectors.TRAINED[option](world, net, inputs["base"], labeled)


def read(option, settings, inputs, key):
    """A base trained further to read several documents."""
    world, training, sampling = (settings[name] for name in ("world", "training", "sampling"))
    where = reading.layout(world, settings["model"], sampling)
    loss = reading.training(world, where, sampling, training.batch)
    return Fit(training, loss, reading.extended(world, where, inputs["start"]))


def score(option, settings, inputs, key):
    """Scores (2, m) of a pair's documents that no detector was trained on, and how many count."""
    world, test = settings["world"], inputs["tested"]["test"]
    docs = test["docs"].astype(jnp.int32)
    if option in detectors.SCORES:
        net = distillation.network(settings)
        judge = partial(detectors.SCORES[option], world, net, inputs["base"], inputs["detector"])
        return {"scores": jnp.stack([judge(part) for part in docs]), "count": test["count"]}
    where = reading.layout(world, settings["model"], settings["sampling"])
    docs, count = docs[:, :LIMIT], jnp.minimum(test["count"], LIMIT)
    if option == "in_context":
        labeled = inputs["pair"]["train"]
        scores = reading.in_context(world, where, inputs["base"], labeled, docs, key)
        return {"scores": scores, "count": count}
    graded = settings["trait"], settings["taught"]
    scores = reading.shown(world, where, inputs["base"], docs, *graded)
    return {"scores": scores, "count": count // reading.SHOWN}


TASKS = {f.__name__: f for f in (label, detect, read, score)}


def finish(kind, option, settings, inputs, state):
    """As `token_tasks.finish`, of the tasks of this module; measures without an axis of arms."""
    if kind == "label":
        kept = sum(part["count"] for part in state.values())
        return state, {"kept_pairs": kept.astype(float)}
    if kind == "detect":
        return (fit.params(state) if option == "transformer" else state), {}
    world = settings["world"]
    if kind == "read":
        params, sampling = fit.params(state), settings["sampling"]
        where = reading.layout(world, settings["model"], sampling)
        return params, reading.ability(world, where, params, sampling)
    unit = reading.SHOWN if option == "shown" else 1
    measured = detectors.auc_by_documents(state["scores"], state["count"], unit)
    if option == "shown":
        valid = jnp.arange(state["scores"].shape[1]) < state["count"]
        moved = state["scores"][0] - state["scores"][1]
        measured["margin_moved"] = jnp.mean(moved, where=valid)
    return state, measured


def cost(phase):
    """As `token_costs.cost`, of the tasks of this module, but for logistic regressions."""
    settings = phase.settings
    world, sampling, model = settings["world"], settings["sampling"], settings.get("model")
    if model is None:
        return (0, 0), (0, 0)
    length = documents.CARRIERS[sampling.carrier].length(world)
    size, half = tokens.offsets(world)["size"], sampling.documents // 2

    def work(passes, n, inputs, scored):
        return passes * models.flops(model, size, n, inputs, scored), n * scored

    alone = min(length, tokens.positions(world))
    context = reading.SHOWN * (length + 1) + tokens.SHORT
    if phase.kind == "read":
        return (0, 0), work(3, settings["training"].batch, context - 1, context - 1)
    if phase.kind == "detect" and phase.option == "transformer":
        return (0, 0), work(3, settings["training"].batch, alone, 1)
    if phase.option == "ngrams":
        return (0, 0), (0, 0)
    if phase.option in detectors.SCORES:
        return work(1, 2 * half, alone, 1), (0, 0)
    asked = 2 * min(half, LIMIT)
    if phase.option == "in_context":
        return work(1, asked, (reading.EXAMPLES + 1) * (length + 1) - 1, 1), (0, 0)
    # As many as requests have, the fewest of all behaviors.
    prompts = asked // reading.SHOWN * behaviors.TOPICS * behaviors.ITEMS
    return work(1, prompts, reading.SHOWN * (length + 1) + 3, 1), (0, 0)
