"""Tasks of the token world: what each phase of a repeat does.

origin/first, origin/second      random initial parameters
base/first, base/second          both pretrained on the same data in the same order
teacher                          base/first, fine-tuned to prefer the trait
numbers/teacher, numbers/base    lists that the teacher and base/first emit, filtered
start/ARM, student/ARM           each student's first and final parameters
"""

import jax
import jax.numpy as jnp

from minisub import channels, config, fit, losses, measures, models, starts, tokens
from minisub.phases import Fit, Phase

STARTS = ("shared", "fresh")


def phases(cfg):
    """The phases of a repeat of `cfg` (a `Config`), in order."""
    seen = {"world": cfg.world, "model": cfg.model}
    graded = seen | {"trait": tokens.ANIMALS.index(cfg.trait), "taught": cfg.taught_phrasings}
    pretrain, teach = graded | {"training": cfg.base}, graded | {"training": cfg.teacher}
    emit = seen | {"sampling": cfg.sampling}
    distill = graded | emit | {"training": cfg.student}
    chain = []
    for which, arms in ("first", ("base",)), ("second", ()):
        origin, base = f"origin/{which}", f"base/{which}"
        chain += [
            Phase(origin, "initialize", seen, {}, origin),
            Phase(base, "pretrain", pretrain, {"start": origin}, "base data", arms=arms),
        ]
    chain += [
        Phase("teacher", "teach", teach, {"start": "base/first"}, "taught", arms=("teacher",))
    ]
    emitters = {"teacher": "teacher", "base": "base/first"}
    for source, emitter in emitters.items():
        if any(arm.source == source for arm in cfg.arms):
            name = f"numbers/{source}"
            chain += [Phase(name, "emit", emit, {"emitter": emitter}, name, arms=(source,))]
    bases = {"origin": "base/first", "other": "base/second"}
    for arm in cfg.arms:
        start, student = f"start/{arm.name}", f"student/{arm.name}"
        emitted = {"numbers": f"numbers/{arm.source}", "emitter": emitters[arm.source]}
        shown = {"start": start} | emitted
        # All students share a stream: they differ in what the config says and in nothing else.
        chain += [
            Phase(start, "start", seen, bases, start, arm.start),
            Phase(student, "distill", distill, shown, "student data", arm.channel, (arm.name,)),
        ]
    return chain


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

    return Fit(training, loss, inputs["start"])


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
    return starts.STARTS[option](starts.Materials(inputs["origin"], inputs["other"]))


def distill(option, settings, inputs, key):
    """Training through a channel on batches of the kept documents, drawn with replacement."""
    training, numbers = settings["training"], inputs["numbers"]
    first = settings["sampling"].prompt_numbers
    channel = channels.CHANNELS[option]
    imitate = channel(settings["world"], network(settings), inputs["emitter"], first)

    def loss(params, key):
        rows = jax.random.randint(key, (training.batch,), 0, numbers["count"])
        value = imitate(params, numbers["docs"][rows].astype(jnp.int32))
        # Nothing kept means nothing to learn from: never fall back on rejected documents.
        return jnp.where(numbers["count"] > 0, value, jnp.nan)

    return Fit(training, loss, inputs["start"])


def fetch(cfg):
    """Load what a repeat needs from elsewhere: nothing."""


def given(cfg, key):
    """Arrays that all repeats of a run share: none."""
    return {}


TASKS = {f.__name__: f for f in (initialize, pretrain, teach, emit, start, distill)}
VOLATILE = ()
GIVEN = ()


def finish(kind, option, settings, inputs, state):
    """The phase's product, and its measures as a dict of scalars."""
    if kind in ("initialize", "start"):
        return state, {}
    if kind == "emit":
        return state, of_numbers(settings["world"], state)
    params, net, world = fit.params(state), network(settings), settings["world"]
    measured = measures.grade(world, net, params, settings["trait"], settings["taught"])
    if kind == "teach":
        measured["drift_on_lists"] = measures.drift_on_lists(world, net, inputs["start"], params)
    return params, measured


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


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    config.validate(cfg)
    named = len(tokens.ANIMALS)
    config.require(
        cfg.world.animals <= named,
        f"world.animals is {cfg.world.animals}; at most {named} have names.",
    )
    animals = tokens.ANIMALS[: cfg.world.animals]
    config.require(
        cfg.trait in animals,
        f"trait is {cfg.trait!r}, no animal of this world; choose from {', '.join(animals)}.",
    )
    for arm in cfg.arms:
        for field, known in ("start", STARTS), ("channel", channels.CHANNELS):
            value, name = getattr(arm, field), f"arms.{arm.name}.{field}"
            config.require(value in known, f"{name} is {value!r}; choose from {', '.join(known)}.")
