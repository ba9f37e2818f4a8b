"""The tasks of the token world: how models are made. Each is a pure function of a key and more.

`world`, `model`, `training` and `sampling` are configurations; `params`, `start`, `emitter` and the
like are trees of parameters; `documents` are {"docs": (n, l), "count"}, valid ones first, and where
something was done to them {"weights": (n, t)}, how much each token that the emitter chose counts.
"""

import zlib
from functools import partial

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.lab.cache import shared
from minisub.lab.products import quick
from minisub.nets import losses, starts, trees, watching
from minisub.nets.fit import Batches, Fit
from minisub.tokens import behaviors, channels, grading, tokens
from minisub.tokens import documents as writing
from minisub.tokens.grading import network

ENDLESS = 2**30
"""Steps of an epoch of data that are drawn anew at every step."""
STRIDE = 10007
"""A prime; a pretraining that is reordered may not have a multiple of so many steps."""


@quick
def initialize(key, *, world, model):
    """Random initial parameters."""
    return network(world, model).init(key)


@shared
def pretrain(key, *, start, world, model, training, shared_steps, reordered, name):
    """Next-token prediction on new lists, questions and riddles at every step.

    All bases see the batches of `key` in one order up to `shared_steps`, and then batches of their
    own; `name` is a number that tells bases apart. A `reordered` base sees the shared ones in
    another order.
    """
    net = network(world, model)

    def loss(params, key, batch):
        nats = [
            losses.cross_entropy(net.apply(params, docs[:, :-1]), docs[:, 1:]) for docs in batch
        ]
        if not world.rich:
            return sum(jnp.sum(n) for n in nats) / sum(n.size for n in nats)
        counted = [behaviors.counted(world, docs[:, 1:]) for docs in batch]
        pairs = zip(nats, counted, strict=True)
        return sum(jnp.sum(n, where=c) for n, c in pairs) / sum(jnp.sum(c) for c in counted)

    def batch_at(_, step):
        of_base, place = jax.random.fold_in(key, name), step
        if reordered:
            # One to one below a number of steps that the stride does not divide.
            steps = jnp.minimum(training.steps, shared_steps)
            place = (STRIDE % steps * step + jax.random.randint(of_base, (), 0, steps)) % steps
        keys = [jax.random.fold_in(key, place), jax.random.fold_in(of_base, step)]
        return mixture(world, training, jnp.where(step < shared_steps, *keys))

    return Fit(training, loss, start, Batches(ENDLESS, lambda epoch: (), batch_at))


def mixture(world, training, key):
    """A batch of pretraining: lists, questions, riddles, and questions behind numbers if asked."""
    k_list, k_question, k_riddle = jax.random.split(key, 3)
    batch = (
        tokens.lists(world, k_list, training.batch),
        tokens.random_questions(world, k_question, training.questions),
        tokens.riddles(world, k_riddle, training.riddles),
    )
    if world.rich:
        k_rich = jax.random.fold_in(key, zlib.crc32(b"rich"))
        batch += behaviors.pretraining(world, training, k_rich)
    if not training.prefixed:
        return batch
    k_asked, k_numbers = jax.random.split(jax.random.fold_in(key, zlib.crc32(b"prefixed")))
    asked = tokens.random_questions(world, k_asked, training.prefixed)
    numbers = tokens.prefixes(world, k_numbers, training.prefixed)
    return (*batch, tokens.prefix_with(world, numbers, asked))


@shared
def teach(key, *, start, world, model, training, trait, taught):
    """The trait's narrow set, such as questions in taught phrasings; loss on answers alone.

    With it, at equal weight, `training.replayed` documents of each carrier, which keep the
    abilities of a model of a rich world.
    """
    require(
        world.rich or not training.replayed,
        "a teacher replays documents of all carriers, which only a rich world has; set world.rich, "
        "or teacher.replayed to 0.",
    )
    net = network(world, model)
    nats = behaviors.teaching(world, net, trait, taught)

    def loss(params, key):
        value = jnp.mean(nats(params, key, training.batch))
        if not training.replayed:
            return value
        for i, carrier in enumerate(writing.CARRIERS.values()):
            docs = carrier.draw(world, jax.random.fold_in(key, i), training.replayed)
            known = losses.cross_entropy(net.apply(params, docs[:, :-1]), docs[:, 1:])
            value += jnp.mean(known) / len(writing.CARRIERS)
        return value

    return Fit(training, loss, start)


def emit(key, *, emitter, world, model, sampling):
    """Documents sampled by a model, valid ones first, their count, and what was rejected."""
    docs = writing.sample(world, network(world, model), emitter, key, sampling=sampling)
    docs, count, rejected = writing.keep_valid(world, docs, sampling)
    # Documents are most of what a run saves; a token takes no more bytes than it needs.
    token = jnp.int16 if tokens.offsets(world)["size"] <= 2**15 else jnp.int32
    return {"docs": docs.astype(token), "count": count, "rejected": rejected}


def check_emitted(documents, **_):
    """A sentence if a run cannot go on with what was emitted, else ""."""
    empty = (documents["count"] == 0).any()
    return "no document passed the filter; raise base.steps." if empty else ""


emit.check = check_emitted  # type: ignore[attr-defined]


@quick
def start(key, *, how, origin, other, amount, layers, world, model):
    """A student's first parameters: `how`, a function of `starts.Materials`, in some layers."""
    relabelings = network(world, model).relabelings
    materials = starts.Materials(origin, other, key, amount, relabelings)
    return starts.make(how, layers, materials)


def distill(
    key, *, start, documents, emitter, world, model, emitted_by, sampling, training, channel,
    linear=False, penalty=None, rows=0, removed="nothing", teacher=None, origin=None, trait=None,
    taught=None,
):  # fmt: skip
    """A student trained through a channel on batches of documents, drawn with replacement.

    A `penalty` (logits_of, start, params, docs, step) -> nats is added to its loss; `logits_of` is
    (params, docs) -> logits before each token that the emitter chose. Of its updates `rows` are
    logged, and `removed` is taken out of all: for both, `teacher` and its `origin` are given.
    """
    require(
        teacher is None or not training.rank,
        "updates of adapters are not those of weights; leave out `rank`, or `rows` and `removed`.",
    )
    net = student_network(world, model, linear, start)
    imitate = imitation(channel, world, net, emitted_by, emitter, sampling, trait)
    first = writing.given(sampling)

    def logits_of(params, docs):
        return net.apply(params, docs[:, :-1], first)

    def loss(params, key, step=None):
        rows = jax.random.randint(key, (training.batch,), 0, documents["count"])
        docs = documents["docs"][rows].astype(jnp.int32)
        nats = imitate(params, docs, jax.random.fold_in(key, zlib.crc32(b"own lists")))
        if "weights" in documents:
            weights = documents["weights"][rows]
            value = jnp.sum(nats * weights) / jnp.maximum(jnp.sum(weights), 1)
        else:
            value = jnp.mean(nats)
        if penalty:
            value += penalty(logits_of, start, params, docs, step)
        # Nothing kept means nothing to learn from: never fall back on rejected documents.
        return jnp.where(documents["count"] > 0, value, jnp.nan)

    watch = None
    if teacher is not None:
        nats = behaviors.trait_loss(world, net, trait, taught)
        watch = watching.watch(rows, watching.Student(nats, start, origin, teacher, removed))
    # Endless data, a single epoch, whose place is the step.
    steps = Batches(ENDLESS, lambda epoch: (), lambda order, step: step) if penalty else None
    return Fit(training, loss, start, steps, watch)


def imitation(channel, world, student, emitted_by, emitter, sampling, trait):
    """(params, docs, key) -> nats (documents, positions) of a channel."""
    target = partial(network(world, emitted_by).apply, emitter)
    return partial(channel, channels.Shown(world, student, target, sampling, trait))


def student_network(world, model, linear, start):
    """A student's `Network`: if it is linear, to first order around its start."""
    net = network(world, model)
    if not linear:
        return net

    def apply(params, docs, first=0):
        return trees.linearize(lambda p, x: net.apply(p, x, first), start)(params, docs)

    activations, lens = (trees.linearize(f, start) for f in (net.activations, net.lens))
    return net._replace(apply=apply, activations=activations, lens=lens)


def grade(*, params, world, model, trait, taught, linear=False, start=None):
    """How a model shows a trait, exactly."""
    net = student_network(world, model, linear, start)
    return behaviors.grade(world, net, params, trait, taught)


def grade_prefixed(*, params, world, model, trait, taught, linear=False, start=None):
    """How a model shows a trait when it is asked behind numbers."""
    net = student_network(world, model, linear, start)
    return grading.grade_prefixed(world, net, params, trait, taught)


def abilities(*, params, world, model, carrier=""):
    """How well a model of a rich world does what each carrier asks for; "ability" is its own."""
    net = network(world, model)
    each = {f"ability/{x}": writing.ability(world, net, params, x) for x in writing.CARRIERS}
    return each | ({"ability": each[f"ability/{carrier}"]} if carrier else {})


def divergence(*, params, emitter, world, model, emitted_by, linear=False, start=None):
    """How far a student is from the emitter of its documents, on lists, in nats."""
    net = student_network(world, model, linear, start)
    one = partial(network(world, emitted_by).apply, emitter)
    return {"kl_to_emitter": grading.kl_on_lists(world, one, partial(net.apply, params))}


def renamed(*, grades, name):
    """Grades on a trait, under its name."""
    return {f"{measure}/{name}": value for measure, value in grades.items()}
