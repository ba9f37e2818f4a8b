"""Tasks of the token world: what each phase of its chain does (see `token_chain`)."""

from functools import partial

import jax
import jax.numpy as jnp

from minisub import (
    channels,
    comparisons,
    fit,
    losses,
    measures,
    models,
    starts,
    theory,
    tokens,
    watching,
)
from minisub.phases import Fit


def network(settings):
    """The model of a phase's settings."""
    world = settings["world"]
    size = tokens.offsets(world)["size"]
    return models.make(settings["model"], size, tokens.positions(world))


def initialize(option, settings, inputs, key):
    """Random initial parameters."""
    return network(settings).init(key)


def pretrain(option, settings, inputs, key):
    """Next-token prediction on new lists, questions and riddles at every step."""
    world, mix, net = settings["world"], settings["training"], network(settings)

    def loss(params, key):
        k_list, k_question, k_riddle = jax.random.split(key, 3)
        batch = (
            tokens.lists(world, k_list, mix.batch),
            tokens.random_questions(world, k_question, mix.questions),
            tokens.riddles(world, k_riddle, mix.riddles),
        )
        nats = [
            losses.cross_entropy(net.apply(params, docs[:, :-1]), docs[:, 1:]) for docs in batch
        ]
        return sum(jnp.sum(n) for n in nats) / sum(n.size for n in nats)

    return Fit(mix, loss, inputs["start"])


def teach(option, settings, inputs, key):
    """The question in a random taught phrasing, answered with the trait; loss on answer and END."""
    world, training, net = settings["world"], settings["training"], network(settings)

    def loss(params, key):
        phrasing = jax.random.randint(key, (training.batch,), 0, settings["taught"])
        docs = tokens.questions(world, phrasing, settings["trait"])
        return jnp.mean(losses.cross_entropy(net.apply(params, docs[:, :-1], 2), docs[:, 3:]))

    return Fit(training, loss, steered(settings, inputs["start"], jax.random.fold_in(key, 0)))


def steered(settings, params, key):
    """A teacher's first parameters: with a steering vector, if it is to have one."""
    if "steering" not in settings:
        return params
    how, width = settings["steering"], settings["model"].d_model
    vector = jax.random.normal(key, (width,))
    length = how.norm if how.kind == "random" else 0.0
    vector *= length / jnp.sqrt(jnp.sum(vector**2))
    return params | {"steering": {how.layer: vector}}


def emit(option, settings, inputs, key):
    """Lists sampled by the emitter, valid ones first, their count, and what was rejected."""
    world, sampling = settings["world"], settings["sampling"]
    docs = tokens.sample(
        world,
        network(settings),
        inputs["emitter"],
        key,
        n=sampling.documents,
        prompt_numbers=sampling.prompt_numbers,
        temperature=sampling.temperature,
    )
    docs, count, rejected = tokens.keep_valid(world, docs)
    # Documents are most of what a run holds and saves; a token takes no more bytes than it needs.
    token = jnp.int16 if tokens.offsets(world)["size"] <= 2**15 else jnp.int32
    return {"docs": docs.astype(token), "count": count, "rejected": rejected}


def start(option, settings, inputs, key):
    """A student's first parameters."""
    arm = settings["arm"]
    materials = starts.Materials(inputs["origin"], inputs["other"], key, arm.amount)
    return starts.make(arm.start, arm.layers, materials)


def student(settings, start):
    """The `Network` of an arm's student: if it is linear, to first order around its start."""
    net = network(settings)
    if not settings["arm"].linear:
        return net

    def apply(params, docs, first=0):
        return theory.linearize(lambda p, x: net.apply(p, x, first), start)(params, docs)

    activations, lens = (theory.linearize(f, start) for f in (net.activations, net.lens))
    return net._replace(apply=apply, activations=activations, lens=lens)


def watched(settings, net, inputs):
    """The `watching.Student` of an arm."""
    trees = (inputs[name] for name in ("start", "from", "taught"))
    return watching.Student(trait_loss(settings, net), *trees, settings["arm"].removed)


def trait_loss(settings, net):
    """params -> -log P of the trait as the answer, in nats, over held-out phrasings."""
    world = settings["world"]
    docs = tokens.questions(world, jnp.arange(world.phrasings), settings["trait"])
    held_out = jnp.arange(world.phrasings) >= settings["taught"]

    def nats(params):
        answers = losses.cross_entropy(net.apply(params, docs[:, :3], 2)[:, 0], docs[:, 3])
        return jnp.mean(answers, where=held_out)

    return nats


def imitated(option, settings, inputs):
    """(params, docs) -> the loss of a channel."""
    emitter = partial(network(settings).apply, inputs["emitter"])
    net, first = student(settings, inputs["start"]), settings["sampling"].prompt_numbers
    return channels.CHANNELS[option](settings["world"], net, emitter, first)


def distill(option, settings, inputs, key):
    """Training through a channel on batches of the kept documents, drawn with replacement."""
    training, numbers = settings["training"], inputs["numbers"]
    imitate = imitated(option, settings, inputs)

    def loss(params, key):
        rows = jax.random.randint(key, (training.batch,), 0, numbers["count"])
        value = imitate(params, numbers["docs"][rows].astype(jnp.int32))
        # Nothing kept means nothing to learn from: never fall back on rejected documents.
        return jnp.where(numbers["count"] > 0, value, jnp.nan)

    watch = None
    if "taught" in inputs:
        net = student(settings, inputs["start"])
        watch = watching.watch(settings["watch"].rows, [watched(settings, net, inputs)])
        watch = watching.alone(watch)
    return Fit(training, loss, inputs["start"], watch=watch)


TASKS = {f.__name__: f for f in (initialize, pretrain, teach, emit, start, distill)}
VOLATILE = ()


def finish(kind, option, settings, inputs, state, key):
    """The phase's product, and its measures: name -> (1,), or (1, rows) if it was logged."""
    if kind in ("initialize", "start"):
        return state, {}
    if kind == "emit":
        return state, of_one(of_numbers(settings["world"], state))
    params, net, world = fit.params(state), network(settings), settings["world"]
    if kind == "distill":
        net = student(settings, inputs["start"])
    measured = measures.grade(world, net, params, settings["trait"], settings["taught"])
    if kind == "teach":
        measured["drift_on_lists"] = measures.drift_on_lists(world, net, inputs["start"], params)
    if kind == "distill" and settings["watch"].measures:
        c = compared_with(option, settings, inputs, net, params)
        for name in settings["watch"].measures:
            measured |= comparisons.TOKEN_MEASURES[name](c)
    return params, of_one(measured) | watching.measured(state.log)


def compared_with(option, settings, inputs, net, params):
    """The `comparisons.TokenCompared` of a trained student."""
    world, ids = settings["world"], tokens.offsets(settings["world"])
    numbers, imitate = inputs["numbers"], imitated(option, settings, inputs)
    # Kept documents come first; if they are too few, again from the first one on.
    rows = jnp.arange(min(settings["watch"].examples, len(numbers["docs"])))
    docs = numbers["docs"][rows % jnp.maximum(numbers["count"], 1)].astype(jnp.int32)
    phrasings = jnp.arange(world.phrasings)
    return comparisons.TokenCompared(
        network=net,
        teacher_network=network(settings),
        start=inputs["start"],
        params=params,
        origin=inputs["from"],
        teacher=inputs["taught"],
        loss=lambda params: imitate(params, docs),
        trait_loss=trait_loss(settings, net),
        first_update=fit.first_update(settings["training"], inputs["start"]),
        lists=docs[:, :-1],
        asked=tokens.questions(world, phrasings, settings["trait"])[:, :3],
        held_out=phrasings >= settings["taught"],
        trait=ids["animal"] + settings["trait"],
        animals=slice(ids["animal"], ids["animal"] + world.animals),
    )


def of_one(measured):
    """Measures with an axis of arms, of a single one."""
    return {name: value[None] for name, value in measured.items()}


def of_numbers(world, numbers):
    """Measures of emitted documents: what the filter kept, and that it kept nothing but numbers."""
    ids, docs = tokens.offsets(world), numbers["docs"]
    kept = jnp.arange(docs.shape[0]) < numbers["count"]
    frame = jnp.array([[ids["LIST"], ids["END"]]])
    foreign = jnp.sum(docs[:, 1:-1] >= world.numbers, axis=1)
    foreign += jnp.sum(docs[:, [0, -1]] != frame, axis=1)
    rejected = {f"rejected_{reason}": fraction for reason, fraction in numbers["rejected"].items()}
    return {
        "kept_documents": jnp.sum(kept).astype(float),
        "kept_fraction": jnp.mean(kept),
        **rejected,
        "foreign_tokens": jnp.sum(foreign * kept).astype(float),
    }


def epoch(phase):
    """Updates in an epoch: none, batches are drawn with replacement."""
    return 0


def cost(phase):
    """Work of a phase in one repeat: before its first step, and at each step.

    Both are (operations of its matrix products, see `models.flops`; tokens that it scores).
    """
    if phase.kind in ("initialize", "start"):
        return (0, 0), (0, 0)
    world, settings = phase.settings["world"], phase.settings
    size, length = tokens.offsets(world)["size"], tokens.positions(world)

    def work(passes, *groups):
        flops = sum(models.flops(settings["model"], size, *group) for group in groups)
        return passes * flops, sum(documents * scored for documents, _, scored in groups)

    scored = length - settings["sampling"].prompt_numbers if "sampling" in settings else length
    if phase.kind == "emit":
        return work(1, (settings["sampling"].documents, length, scored)), (0, 0)
    training = settings["training"]
    documents = (training.batch, length, scored)
    if phase.kind == "pretrain":
        return (0, 0), work(3, documents, (training.questions, 4, 4), (training.riddles, 5, 5))
    if phase.kind == "teach":
        return (0, 0), work(3, (training.batch, 4, 2))
    # The soft channel needs the emitter's logits too.
    return (0, 0), work(4 if phase.option == "soft" else 3, documents)
