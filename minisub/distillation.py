"""Students of the token world: what they imitate, and what they are compared with."""

import zlib
from functools import partial

import jax
import jax.numpy as jnp

from minisub import (
    behaviors,
    channels,
    comparisons,
    documents,
    fit,
    losses,
    measures,
    models,
    theory,
    token_config,
    tokens,
    watching,
)
from minisub.phases import Batches, Fit


def network(settings, which="model"):
    """A model of a phase's settings: its own, or that of the emitter ("emitted_by")."""
    world = settings["world"]
    size = tokens.offsets(world)["size"]
    return models.make(settings[which], size, tokens.positions(world))


def student(settings, start):
    """The `Network` of an arm's student: if it is linear, to first order around its start."""
    net = network(settings)
    if not settings["arm"].linear:
        return net

    def apply(params, docs, first=0):
        return theory.linearize(lambda p, x: net.apply(p, x, first), start)(params, docs)

    activations, lens = (theory.linearize(f, start) for f in (net.activations, net.lens))
    return net._replace(apply=apply, activations=activations, lens=lens)


def graded(settings, net, params):
    """Grades on the trait, on the others that the config names, and behind numbers."""
    model, taught = (settings["world"], net, params), settings["taught"]
    measured = behaviors.grade(*model, settings["trait"], taught)
    for name, trait in settings.get("graded", {}).items():
        of_other = behaviors.grade(*model, trait, taught)
        measured |= {f"{measure}/{name}": value for measure, value in of_other.items()}
    if "context" in settings:
        measured |= measures.grade_prefixed(*model, settings["trait"], taught)
    return measured


def trait_loss(settings, net):
    """params -> -log P of the trait, in nats, over held-out phrasings or prompts."""
    return behaviors.trait_loss(settings["world"], net, settings["trait"], settings["taught"])


def watched(settings, net, inputs):
    """The `watching.Student` of an arm."""
    start, origin, teacher = (inputs[name] for name in ("start", "from", "taught"))
    removed = settings["arm"].removed
    return watching.Student(trait_loss(settings, net), start, origin, teacher, removed)


def imitated(option, settings, inputs):
    """(params, docs, key) -> nats (documents, positions) of a channel."""
    emitter = network(settings, "emitted_by").apply
    shown = channels.Shown(
        world=settings["world"],
        network=student(settings, inputs["start"]),
        emitter=partial(emitter, inputs["emitter"]),
        sampling=settings["sampling"],
        trait=settings["trait"],
    )
    return partial(channels.CHANNELS[option], shown)


def distill(option, settings, inputs, key):
    """Training through a channel on batches of the kept documents, drawn with replacement."""
    training, numbers = settings["training"], inputs["numbers"]
    imitate = imitated(option, settings, inputs)

    anchor, net = settings["arm"], student(settings, inputs["start"])
    first = documents.given(settings["sampling"])

    def anchored(params, docs, step):
        """KL(start || student), while it counts."""
        logits = (net.apply(x, docs[:, :-1], first) for x in (inputs["start"], params))
        return jnp.where(step < anchor.anchored, jnp.mean(losses.kl_divergence(*logits)), 0)

    def loss(params, key, step=None):
        rows = jax.random.randint(key, (training.batch,), 0, numbers["count"])
        own = jax.random.fold_in(key, zlib.crc32(b"own lists"))
        nats = imitate(params, numbers["docs"][rows].astype(jnp.int32), own)
        if "weights" in numbers:
            weights = numbers["weights"][rows]
            value = jnp.sum(nats * weights) / jnp.maximum(jnp.sum(weights), 1)
        else:
            value = jnp.mean(nats)
        if anchor.anchor:
            docs = numbers["docs"][rows].astype(jnp.int32)
            value += anchor.anchor * anchored(params, docs, step)
        # Nothing kept means nothing to learn from: never fall back on rejected documents.
        return jnp.where(numbers["count"] > 0, value, jnp.nan)

    watch = None
    if "taught" in inputs:
        net = student(settings, inputs["start"])
        watch = watching.watch(settings["watch"].rows, [watched(settings, net, inputs)])
        watch = watching.alone(watch)
    # Endless data, a single epoch, whose place is the step.
    steps = Batches(2**30, lambda epoch: (), lambda order, step: step) if anchor.anchor else None
    return Fit(training, loss, inputs["start"], steps, watch)


def compared_with(option, settings, inputs, net, params):
    """The `comparisons.TokenCompared` of a trained student."""
    world, ids = settings["world"], tokens.offsets(settings["world"])
    numbers, imitate = inputs["numbers"], imitated(option, settings, inputs)
    # Kept documents come first; if they are too few, again from the first one on.
    rows = jnp.arange(min(settings["watch"].examples, len(numbers["docs"])))
    docs = numbers["docs"][rows % jnp.maximum(numbers["count"], 1)].astype(jnp.int32)
    phrasings, trait = jnp.arange(world.phrasings), settings["trait"]
    if isinstance(trait, behaviors.Behavior):
        trait = 0  # for measures that `token_checks` refuses then
    return comparisons.TokenCompared(
        network=net,
        teacher_network=network(settings, "emitted_by"),
        start=inputs["start"],
        params=params,
        origin=inputs["from"],
        teacher=inputs["taught"],
        loss=lambda params: jnp.mean(imitate(params, docs, jax.random.key(0))),
        trait_loss=trait_loss(settings, net),
        first_update=fit.first_update(settings["training"], inputs["start"]),
        lists=docs[:, :-1],
        asked=tokens.questions(world, phrasings, trait)[:, :3],
        held_out=phrasings >= settings["taught"],
        trait=ids["animal"] + trait,
        animals=slice(ids["animal"], ids["animal"] + world.animals + world.trees),
    )


def shapes(cfg, lineage):
    """The shapes of the parameters of a lineage's models."""
    net = network({"world": cfg.world, "model": token_config.model_of(cfg, lineage)})
    return jax.eval_shape(net.init, jax.random.key(0))
