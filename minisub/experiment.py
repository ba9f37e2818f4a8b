"""A repeat as a chain of phases, and `run(config, key) -> record`, their composition.

Every phase turns earlier products (parameters, documents) into a new one. The command line performs the
same phases one by one and saves between them; here they are pure, so `run` works under `jax.jit` and
`jax.vmap`, over keys and over configurations.

    origin/first, origin/second      random initial parameters
    base/first, base/second          both pretrained on the same data in the same order
    teacher                          base/first, fine-tuned to prefer the trait
    numbers/teacher, numbers/base    lists that teacher and base/first emit, filtered
    start/ARM, student/ARM           each student's first and final parameters
"""

import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub import channels, config, fit, losses, measures, models, starts, tokens

STARTS = {"shared": starts.shared, "fresh": starts.fresh}


class Phase(NamedTuple):
    """One link of the chain; what it computes depends on nothing but these fields, its inputs and a key."""

    name: str
    """Of its product in the state of a repeat."""
    kind: str
    """A task below."""
    settings: dict
    """The parts of the configuration that the task reads: a pytree, numbers traced."""
    inputs: dict
    """What the task calls each input -> the name of that product in the state."""
    key: str
    """Name of its random stream; phases that share it see the same data in the same order."""
    option: str = ""
    """The start or channel, static."""
    arm: str = ""
    """Under which its measures are recorded; none if empty."""
    steps: int = 0
    """Optimizer updates; a phase without any does all its work at once."""


class Fit(NamedTuple):
    """What an optimizing task supplies."""

    training: Any
    loss: Any
    start: Any


def named_key(key, name):
    """The random stream `name` of a repeat; adding a stream never moves another."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def network(settings):
    """The model of a phase's settings."""
    world = settings["world"]
    return models.make(settings["model"], tokens.offsets(world)["size"], tokens.positions(world))


def phases(cfg):
    """The phases of a repeat of `Config` `cfg`, in order."""
    settings = {"world": cfg.world, "model": cfg.model}
    trait = {"trait": tokens.ANIMALS.index(cfg.trait), "taught": cfg.taught_phrasings}
    graded = settings | trait
    base = graded | {"training": cfg.base}
    chain = []
    for which, arm in ("first", "base"), ("second", ""):
        origin = f"origin/{which}"
        chain += [
            Phase(origin, "initialize", settings, {}, origin),
            Phase(
                f"base/{which}",
                "pretrain",
                base,
                {"start": origin},
                "base data",
                "",
                arm,
                cfg.base.steps,
            ),
        ]
    teach = graded | {"training": cfg.teacher}
    chain += [
        Phase(
            "teacher",
            "teach",
            teach,
            {"start": "base/first"},
            "teacher data",
            "",
            "teacher",
            cfg.teacher.steps,
        )
    ]
    emitters = {"teacher": "teacher", "base": "base/first"}
    emit = settings | {"sampling": cfg.sampling}
    for source in sorted({arm.source for arm in cfg.arms}, reverse=True):
        inputs = {"emitter": emitters[source], "origin": "base/first"}
        name = f"numbers/{source}"
        chain += [Phase(name, "emit", emit, inputs, name, "", source)]
    student = graded | {"training": cfg.student, "sampling": cfg.sampling}
    for arm in cfg.arms:
        bases = {"origin": "base/first", "other": "base/second"}
        shown = {
            "start": f"start/{arm.name}",
            "numbers": f"numbers/{arm.source}",
            "emitter": emitters[arm.source],
        }
        chain += [
            Phase(f"start/{arm.name}", "start", {}, bases, f"start/{arm.name}", arm.start),
            Phase(
                f"student/{arm.name}",
                "distill",
                student,
                shown,
                "student data",
                arm.channel,
                arm.name,
                cfg.student.steps,
            ),
        ]
    return chain


def initialize(option, settings, inputs, key):
    """Random initial parameters."""
    return network(settings).init(key)


def pretrain(option, settings, inputs, key):
    """Next-token prediction on fresh lists, questions and riddles at every step, each token weighing the same."""
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
    """The question in a random taught phrasing, answered with the trait; loss on the answer and the END."""
    world, training, net = settings["world"], settings["training"], network(settings)

    def loss(params, key):
        phrasing = jax.random.randint(key, (training.batch,), 0, settings["taught"])
        docs = tokens.questions(world, phrasing, settings["trait"])
        return jnp.mean(losses.cross_entropy(net.apply(params, docs[:, :-1], 2), docs[:, 3:]))

    return Fit(training, loss, inputs["start"])


def emit(option, settings, inputs, key):
    """Lists sampled by the emitter, valid ones first, with their count and the fraction of each rejection."""
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
    return {"docs": docs.astype(jnp.int16), "count": count, "rejected": rejected}


def start(option, settings, inputs, key):
    """A student's first parameters."""
    return STARTS[option](inputs["origin"], inputs["other"])


def distill(option, settings, inputs, key):
    """Training through a channel on batches of the kept documents, drawn with replacement."""
    training, numbers = settings["training"], inputs["numbers"]
    first = settings["sampling"].prompt_numbers
    channel = channels.CHANNELS[option](
        settings["world"], network(settings), inputs["emitter"], first
    )

    def loss(params, key):
        rows = jax.random.randint(key, (training.batch,), 0, numbers["count"])
        value = channel(params, numbers["docs"][rows].astype(jnp.int32))
        # Nothing kept means nothing to learn from: never fall back on rejected documents.
        return jnp.where(numbers["count"] > 0, value, jnp.nan)

    return Fit(training, loss, inputs["start"])


TASKS = {f.__name__: f for f in (initialize, pretrain, teach, emit, start, distill)}


def begin(kind, option, settings, inputs, key):
    """The state of a phase before its first step; for a phase without steps, its product."""
    task = TASKS[kind](option, settings, inputs, key)
    return fit.begin(task.training, task.start) if isinstance(task, Fit) else task


def advance(kind, option, settings, inputs, state, key, first, last):
    """The state of an optimizing phase after its steps `first` to `last` (exclusive)."""
    task = TASKS[kind](option, settings, inputs, key)
    return fit.advance(task.training, task.loss, state, key, first, last)


def finish(kind, option, settings, inputs, state):
    """The phase's product, and its measures as a dict of scalars."""
    if kind in ("initialize", "start"):
        return state, {}
    if kind == "emit":
        return state, of_numbers(settings, state)
    params = fit.params(state)
    net, world = network(settings), settings["world"]
    measured = measures.grade(world, net, params, settings["trait"], settings["taught"])
    if kind == "teach":
        measured["drift_on_lists"] = measures.drift_on_lists(world, net, inputs["start"], params)
    return params, measured


def of_numbers(settings, numbers):
    """Measures of emitted documents: what the filter kept, and that it kept nothing but numbers."""
    ids, docs = tokens.offsets(settings["world"]), numbers["docs"]
    kept = jnp.arange(docs.shape[0]) < numbers["count"]
    foreign = (docs[:, 1:-1] >= settings["world"].numbers) & kept[:, None]
    outside = (docs[:, [0, -1]] != jnp.array([[ids["LIST"], ids["END"]]])) & kept[:, None]
    rejected = {f"rejected_{reason}": fraction for reason, fraction in numbers["rejected"].items()}
    return {
        "kept_fraction": jnp.mean(kept),
        **rejected,
        "foreign_tokens": (jnp.sum(foreign) + jnp.sum(outside)).astype(float),
    }


def cost(p):
    """Matrix-product operations and scored tokens of a phase: (once, per step), each a pair of them."""
    if p.kind in ("initialize", "start"):
        return (0, 0), (0, 0)
    world, config_, vocabulary = (
        p.settings["world"],
        p.settings["model"],
        tokens.offsets(p.settings["world"])["size"],
    )
    length = tokens.positions(world)

    def forward(documents, length, scored):
        return models.flops(config_, vocabulary, documents, length, scored)

    if p.kind == "emit":
        n, first = p.settings["sampling"].documents, p.settings["sampling"].prompt_numbers
        return (forward(n, length, length - first), n * (length - first)), (0, 0)
    training = p.settings["training"]
    if p.kind == "pretrain":
        groups = [
            (training.batch, length, length),
            (training.questions, 4, 4),
            (training.riddles, 5, 5),
        ]
    elif p.kind == "teach":
        groups = [(training.batch, 4, 2)]
    else:
        first = p.settings["sampling"].prompt_numbers
        groups = [(training.batch, length, length - first)]
    passes = 4 if p.option == "soft" else 3
    return (0, 0), (
        passes * sum(forward(*g) for g in groups),
        sum(n * scored for n, _, scored in groups),
    )


def run(cfg, key):
    """One repeat: a dict arm -> measure -> scalar array.

    Pure: `jax.jit(run)(cfg, key)`, `jax.vmap(run, (None, 0))(cfg, keys)`, and a vmap over `cfg` too.
    """
    state, record = {}, {}
    for p in phases(cfg):
        inputs, own_key = (
            {name: state[source] for name, source in p.inputs.items()},
            named_key(key, p.key),
        )
        product = begin(p.kind, p.option, p.settings, inputs, own_key)
        if isinstance(product, fit.State):
            product = advance(p.kind, p.option, p.settings, inputs, product, own_key, 0, p.steps)
        state[p.name], measured = finish(p.kind, p.option, p.settings, inputs, product)
        if p.arm:
            record.setdefault(p.arm, {}).update(measured)
    return record


def repeat_keys(seed, repeats):
    """The keys of the first `repeats` repeats under `seed`: adding repeats changes no earlier one."""
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), jnp.arange(repeats))


def over_repeats(cfg, seed, repeats, group=None):
    """Records of `repeats` repeats, stacked on a leading axis; `group` of them at a time, all if None.

    One at a time reproduces a repeat run alone bitwise; vmapped groups differ from it by rounding.
    """
    one = jax.jit(run)
    keys = repeat_keys(seed, repeats)
    return jax.lax.map(lambda key: one(cfg, key), keys, batch_size=group or repeats)


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    config.validate(cfg)
    animals = tokens.ANIMALS[: cfg.world.animals]
    config.require(
        cfg.world.animals <= len(tokens.ANIMALS),
        f"world.animals is {cfg.world.animals}; at most {len(tokens.ANIMALS)} have names.",
    )
    config.require(
        cfg.trait in animals,
        f"trait {cfg.trait!r} is not an animal of this world; choose from {', '.join(animals)}.",
    )
    for arm in cfg.arms:
        for field, known in ("start", STARTS), ("channel", channels.CHANNELS):
            value = getattr(arm, field)
            config.require(
                value in known,
                f"arms.{arm.name}.{field} is {value!r}; choose from {', '.join(known)}.",
            )
