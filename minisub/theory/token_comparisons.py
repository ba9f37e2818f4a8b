"""Measures of a trained student of number lists beside its grade: against its start and teacher.

Each is a function of a `TokenCompared` that returns a dict of scalars. Those of `comparisons.py`
that read parameters and losses alone, coverage and weights, are among them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.lab.products import Measure
from minisub.nets import fit, trees
from minisub.theory import similarity
from minisub.theory.comparisons import coverage, weights
from minisub.tokens import behaviors, tasks, tokens

__all__ = ["TokenCompared", "compared", "coverage", "lens", "steering", "weights"]


class TokenCompared(NamedTuple):
    """A trained student of the token world, and what it is compared with."""

    world: Any
    network: Any
    """The student's."""
    teacher_network: Any
    start: Any
    """The student's first parameters."""
    params: Any
    """Its last ones."""
    origin: Any
    """The first parameters of the teacher that it imitated, or would imitate."""
    teacher: Any
    """The last ones."""
    loss: Callable
    """params -> distillation loss on `lists`"""
    trait_loss: Callable
    """params -> loss of the trait"""
    first_update: Callable
    """gradient -> the optimizer's first update"""
    lists: Any
    """Emitted documents (n, positions) that passed the filter, without their last token."""
    trait: Any
    """Index of the answer that is the trait; or a `Behavior`."""
    taught: Any
    """Phrasings that the teacher was taught, the first ones."""

    @property
    def asked(self):
        """Questions (phrasings, 3), without their answers."""
        require(
            self.world.syllables == 1 and not isinstance(self.trait, behaviors.Behavior),
            "The measures lens and steering read the trait off one token; set world.syllables to 1 "
            "and choose an animal or a tree as trait, or leave them out.",
        )
        return tokens.questions(self.world, jnp.arange(self.world.phrasings), self.trait)[:, :3]

    @property
    def held_out(self):
        """Which phrasings (phrasings,) the teacher was not taught."""
        return jnp.arange(self.world.phrasings) >= self.taught


def compared(lab, student, *measures, teacher=None, examples=1024):
    """The same student, recorded also with `measures`, functions of a `TokenCompared`.

    They see up to `examples` of the student's documents, and its `teacher` (default: whose
    documents it learned; of a base's documents, the teacher that the lab makes of that base).
    """
    teacher, left_out = teacher or student.learned.emitter, ("penalty", "rows", "removed")
    how = {name: x for name, x in student.arguments.items() if name not in left_out}
    how |= {**lab.taught_by(teacher), **lab.trait_of(teacher)}
    return student.measured(Measure(compare, "params", measures=measures, examples=examples, **how))


def compare(
    *, params, measures, examples, start, documents, emitter, world, model, emitted_by, sampling,
    training, channel, linear, teacher, origin, trait, taught,
):  # fmt: skip
    """What `measures` say of a trained student."""
    network = tasks.student_network(world, model, linear, start)
    imitate = tasks.imitation(channel, world, network, emitted_by, emitter, sampling, trait)
    # Documents that passed the filter come first; if they are too few, they come again.
    rows = jnp.arange(min(examples, len(documents["docs"])))
    docs = documents["docs"][rows % jnp.maximum(documents["count"], 1)].astype(jnp.int32)
    c = TokenCompared(
        world=world,
        network=network,
        teacher_network=tasks.network(world, emitted_by),
        start=start,
        params=params,
        origin=origin,
        teacher=teacher,
        loss=lambda params: jnp.mean(imitate(params, docs, jax.random.key(0))),
        trait_loss=behaviors.trait_loss(world, network, trait, taught),
        first_update=fit.first_update(training, start),
        lists=docs[:, :-1],
        trait=trait,
        taught=taught,
    )
    return {name: x for measure in measures for name, x in measure(c).items()}


def lens(c):
    """`lens/block_i`: probability of the trait, read off the residual stream after each block by
    the final norm and unembedding; mean over held-out phrasings."""
    logits = c.network.lens(c.params, c.asked)[:, :, -1]
    token = tokens.offsets(c.world)["animal"] + c.trait
    rate = jnp.mean(jax.nn.softmax(logits)[..., token], axis=1, where=c.held_out[None])
    return {f"lens/block_{i}": value for i, value in enumerate(rate)}


def steering(c):
    """How much of its teacher's steering vector a student has recovered (arXiv 2604.25783).

    `recovered/LAYER`: cosine of the vector with the mean shift of the activations from start to
    end, on emitted lists; `recovered_asked/LAYER` on questions; `answer_shift`: cosine between the
    shifts of student and teacher in the centered logits of all answers, held-out phrasings.
    """
    require(
        len(c.teacher.get("steering", {})) == 1,
        "The measure steering needs a teacher with one steering vector; see configs/steering.py.",
    )
    [vector] = c.teacher["steering"].values()
    first = tokens.offsets(c.world)["animal"]
    answers = slice(first, first + c.world.animals + c.world.trees)

    def recovered(name, docs):
        before, after = (c.network.activations(p, docs) for p in (c.start, c.params))
        cosines = similarity.steering_recovery(before, after, vector)
        return {f"{name}/{layer}": value for layer, value in cosines.items()}

    def answer_shift(network, before, after):
        before, after = (network.apply(p, c.asked, 2)[:, 0, answers] for p in (before, after))
        shift = after - before
        shift -= jnp.mean(shift, axis=1, keepdims=True)
        return jnp.where(c.held_out[:, None], shift, 0)

    unsteered = {name: x for name, x in c.origin.items() if name != "steering"}
    shifts = (
        answer_shift(c.network, c.start, c.params),
        answer_shift(c.teacher_network, unsteered, c.teacher),
    )
    lists, asked = recovered("recovered", c.lists), recovered("recovered_asked", c.asked)
    return lists | asked | {"answer_shift": trees.cosine(*shifts)}
