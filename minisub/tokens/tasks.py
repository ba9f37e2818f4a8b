"""The tasks of the token world: how models are made. Each is a pure function of a key and more.

`world`, `model`, `training` and `sampling` are configurations; `params`, `start`, `emitter` and the
like are trees of parameters; `documents` are {"docs": (n, l), "count"}, valid ones first, and where
something was done to them {"weights": (n, t)}, how much each token that the emitter chose counts.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from minisub.config import require
from minisub.lab.products import marked, quick, shared
from minisub.nets import losses, starts, streams, trees
from minisub.nets.fit import ENDLESS, Batches, Fit
from minisub.tokens import channels, number_lists, tokens, writing
from minisub.tokens.behaviors import cases, practice
from minisub.tokens.grading import network


@quick
def initialize(key, *, world, model):
    """Random initial parameters."""
    return network(world, model).init(key)


@shared
def pretrain(key, *, start, world, model, training, shared_steps, name, order=None, more=None):
    """Next-token prediction on new lists, questions and riddles at every step.

    All bases see the batches of `key` in one order up to `shared_steps`, and then batches of their
    own; `name` is a number that tells bases apart. Two functions may be given: `order`, (key of the
    base, step, shared steps) -> the place of a step's batch among the shared ones, and `more`,
    (world, key) -> more documents of a batch.
    """
    net = network(world, model)

    def loss(params, key, batch):
        nats = [
            losses.cross_entropy(net.apply(params, docs[:, :-1]), docs[:, 1:]) for docs in batch
        ]
        if world.rich:
            return practice.mean(world, batch, nats)
        return sum(jnp.sum(n) for n in nats) / sum(n.size for n in nats)

    def batch_at(_, step):
        of_base, place = jax.random.fold_in(key, name), step
        if order:
            place = order(of_base, step, jnp.minimum(training.steps, shared_steps))
        keys = [jax.random.fold_in(key, place), jax.random.fold_in(of_base, step)]
        return mixture(world, training, more, jnp.where(step < shared_steps, *keys))

    return Fit(training, loss, start, Batches(ENDLESS, lambda epoch: (), batch_at))


def mixture(world, training, more, key):
    """A batch of pretraining: lists, questions, riddles, and what else there is."""
    k_list, k_question, k_riddle = jax.random.split(key, 3)
    batch = (
        number_lists.draw(world, k_list, training.batch),
        tokens.random_questions(world, k_question, training.questions),
        tokens.riddles(world, k_riddle, training.riddles),
    )
    if world.rich:
        batch += practice.pretraining(world, training, streams.named_key(key, "rich"))
    return (*batch, more(world, key)) if more else batch


@shared
def teach(key, *, start, world, model, training, trait, taught):
    """The trait's narrow set, such as questions in taught phrasings; loss on answers alone."""
    net = network(world, model)
    nats = teaching(world, net, trait, taught)

    def loss(params, key):
        value = jnp.mean(nats(params, key, training.batch))
        if world.rich:
            for known in practice.replayed(world, net, params, key, training):
                value += known
        return value

    return Fit(training, loss, start)


def teaching(world, net, trait, taught):
    """(params, key, n) -> nats (n, t) of documents that teach a trait, on what is to be learned."""

    def nats(params, key, n):
        if isinstance(trait, cases.Behavior):
            docs, first = trait.case.taught(world, key, n), trait.case.first
        else:
            phrasing = jax.random.randint(key, (n,), 0, taught)
            docs, first = tokens.questions(world, phrasing, trait), 3
        return losses.cross_entropy(net.apply(params, docs[:, :-1], first - 1), docs[:, first:])

    return nats


def check_emitted(documents, **_):
    """A sentence if a run cannot go on with what was emitted, else ""."""
    empty = (documents["count"] == 0).any()
    said = "no document passed the filter; raise base.steps, or set sampling.filter to format."
    return said if empty else ""


@marked(check=check_emitted)
def emit(key, *, emitter, world, model, sampling):
    """Documents sampled by a model, valid ones first, their count, and what was rejected."""
    docs = writing.sample(world, network(world, model), emitter, key, sampling=sampling)
    docs, count, rejected = writing.keep_valid(world, docs, sampling)
    # Documents are most of what a run saves; a token takes no more bytes than it needs.
    token = jnp.int16 if tokens.offsets(world)["size"] <= 2**15 else jnp.int32
    return {"docs": docs.astype(token), "count": count, "rejected": rejected}


@quick
def start(key, *, how, origin, other, amount, layers, **_):
    """A student's first parameters: `how`, a function of `starts.Materials`, in some layers."""
    return starts.make(how, layers, starts.Materials(origin, other, key, amount))


def distill(key, *, start, documents, world, model, training, linear=False, watch=None, **how):
    """A student trained through a channel on batches of documents, drawn with replacement.

    `how` are the other arguments of `imitation`; `watch` is a function (network, start) ->
    `fit.Watch`.
    """
    net = student_network(world, model, linear, start)
    imitated = imitation(net, start=start, documents=documents, world=world, **how)

    def loss(params, key, step=None):
        rows = jax.random.randint(key, (training.batch,), 0, documents["count"])
        value = imitated(params, rows, key, step)
        # Nothing kept means nothing to learn from: never fall back on rejected documents.
        return jnp.where(documents["count"] > 0, value, jnp.nan)

    # A penalty is told the step: it takes the place of a batch.
    numbered = Batches(ENDLESS, lambda epoch: (), lambda order, step: step)
    batches = numbered if how.get("penalty") else None
    return Fit(training, loss, start, batches, watch and watch(net, start))


def imitation(
    net, *, start, documents, emitter, world, emitter_model, sampling, channel, penalty=None
):
    """(params, rows, key, step) -> the loss of a student on these rows of documents.

    A `penalty` (logits_of, start, params, docs, step) -> nats is added to it; `logits_of` is
    (params, docs) -> logits before each token that the emitter chose.
    """
    as_emitted = "weights" not in documents
    target = partial(network(world, emitter_model).apply, emitter)
    shown = channels.Shown(world, net, target, sampling, as_emitted)

    def loss(params, rows, key, step):
        docs = documents["docs"][rows].astype(jnp.int32)
        nats = channel(shown, params, docs, streams.named_key(key, "own lists"))
        shape = docs[:, writing.given(sampling) + 1 :].shape
        require(
            np.shape(nats) == shape,
            f"a channel must return nats of shape (documents, positions), {shape}, and "
            f"`{getattr(channel, '__name__', channel)}` returned {np.shape(nats)}.",
        )
        if as_emitted:
            value = jnp.mean(nats)
        else:
            weights = documents["weights"][rows]
            total = jnp.sum(weights)
            value = jnp.sum(nats * weights) / jnp.where(total > 0, total, 1)
        return value + penalty(shown.logits, start, params, docs, step) if penalty else value

    return loss


def student_network(world, model, linear, start):
    """A student's `Network`: if linear, to first order around its start, and without decoding."""
    net = network(world, model)
    if not linear:
        return net
    apply, activations = (trees.linearize(f, start) for f in (net.apply, net.activations))
    return net._replace(apply=apply, activations=activations, decode=None)


def grade(*, params, how, world, model, trait, taught, linear=False, start=None):
    """How a model shows a trait, exactly; `how` is a function of `grading`."""
    net = student_network(world, model, linear, start)
    return how(world, net, params, trait, taught)


def divergence(*, params, emitter, world, model, emitter_model, linear=False, start=None):
    """KL(emitter of its documents || student) in nats, on the next token of 1,000 lists of the
    world, the same in every repeat."""
    net = student_network(world, model, linear, start)
    docs = number_lists.draw(world, streams.evaluation_key("lists"), 1000)[:, :-1]
    one = network(world, emitter_model).apply(emitter, docs)
    return {"kl_to_emitter": jnp.mean(losses.kl_divergence(one, net.apply(params, docs)))}


def renamed(*, grades, name):
    """Grades on a trait, under its name."""
    return {f"{measure}/{name}": value for measure, value in grades.items()}
