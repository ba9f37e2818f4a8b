"""Measures of a trained student of the token world: as `comparisons.py`, of a `TokenCompared`."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from minisub.config import require
from minisub.lab.products import Measure
from minisub.nets import losses
from minisub.theory import watching
from minisub.theory.comparisons import Compared, coverage, first_update
from minisub.tokens import tasks, tokens
from minisub.tokens.behaviors import cases

__all__ = ["TokenCompared", "compared", "coverage", "watched"]


@dataclasses.dataclass(frozen=True)
class TokenCompared(Compared):
    """A student of the token world."""

    world: Any
    lists: Any
    """Emitted documents (n, positions) that passed the filter, without their last token; the loss
    is on them."""
    trait: Any
    """Index of the answer that is the trait; or a `Behavior`."""
    taught: Any
    """Phrasings that the teacher was taught, the first ones."""


def compared(lab, student, *measures, teacher=None, examples=1024):
    """The same student, recorded also with `measures`, functions of a `TokenCompared`: of up to
    `examples` of its documents, and its `teacher` (default: whose documents it learned; of a base's
    documents, the teacher that the lab makes of that base)."""
    teacher = teacher or student.learned.emitter
    how = {name: x for name, x in student.arguments.items() if name != "watch"}
    how |= {**taught_by(lab, teacher), **lab.trait_of(teacher)}
    return student.measured(Measure(compare, "params", measures=measures, examples=examples, **how))


def compare(
    *, params, measures, examples, model, linear, training, teacher, origin, trait, taught,
    **imitated,
):  # fmt: skip
    """What `measures` say of a student; `imitated` are other arguments of `tasks.imitation`."""
    world, start, documents = (imitated[name] for name in ("world", "start", "documents"))
    network = tasks.student_network(world, model, linear, start)
    loss = tasks.imitation(network, **imitated)
    # Documents that passed the filter come first; if they are too few, they come again.
    rows = jnp.arange(min(examples, len(documents["docs"]))) % jnp.maximum(documents["count"], 1)
    emitter_network = tasks.network(world, imitated["emitter_model"])
    c = TokenCompared(
        network, emitter_network, start, params, origin, teacher,
        loss=lambda params: loss(params, rows, jax.random.key(0), 0),
        trait_loss=trait_loss(world, network, trait, taught),
        first_update=first_update(training, start), world=world,
        lists=documents["docs"][rows, :-1].astype(jnp.int32), trait=trait, taught=taught,
    )  # fmt: skip
    return {name: x for measure in measures for name, x in measure(c).items()}


def trait_loss(world, network, trait, taught, held_out=True):
    """params -> -log P of the trait, in nats, over the prompts on which it is graded and which no
    teacher was taught; or over those that were, if not `held_out`."""
    if isinstance(trait, cases.Behavior):

        def bad_nats(params):
            judged = trait.case.judge(world, network, params)
            return -jnp.mean(judged.bad, where=judged.taught != held_out)

        return bad_nats
    docs = tokens.questions(world, jnp.arange(world.phrasings), trait)
    asked = (jnp.arange(world.phrasings) >= taught) == held_out

    def nats(params):
        answers = losses.cross_entropy(network.apply(params, docs[:, :-2], 2), docs[:, 3:-1])
        return jnp.mean(jnp.sum(answers, axis=1), where=asked)

    return nats


def watched(lab, start, documents, *, rows=0, removed="nothing", **how):
    """What `lab.student` makes of all else that is given, a student of whose updates `rows` are
    logged, and `removed` is taken out of all (see `watching`)."""
    emitter = documents.emitter
    watch = Partial(
        watch_lists, rows=rows, removed=removed, world=lab.world, **taught_by(lab, emitter),
        **lab.trait_of(emitter),
    )  # fmt: skip
    return watching.recorded(lab.student(start, documents, watch=watch, **how), rows, removed)


def watch_lists(network, start, *, rows, removed, world, teacher, origin, trait, taught):
    """The `fit.Watch` of a student of the token world."""
    require(
        removed != "displacement" or "steering" not in teacher,
        "a steered teacher has the weights of its origin, so there is no displacement to take out; "
        "leave out `removed`, or remove the gradient.",
    )
    graded, learned = (
        trait_loss(world, network, trait, taught, held_out) for held_out in (True, False)
    )
    student = watching.Student(graded, learned, start, origin, teacher, removed)
    return watching.watch(rows, student)


def taught_by(lab, emitter):
    """The teacher whose displacement a student's is compared with, and its origin; of a base's
    documents it is the teacher that the lab would make of that base."""
    while emitter.learned:
        emitter = emitter.learned.emitter
    teacher = emitter if emitter.task is tasks.teach else lab.teach(emitter)
    return {"teacher": teacher, "origin": teacher.arguments["start"]}
