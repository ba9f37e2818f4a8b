"""The audit of a data set: what a candidate base would learn from documents that it did not write.

Under documents that the base itself sampled, the gradient of its loss has mean zero: E d log p = 0.
So whatever is linear in it has an exact null: the base's samples behind the same prompts, through
the same filter. Documents are read in groups, whose mean gradients give the scores of any number of
behaviors; those of the base's own groups give their standard error.

Axes: m groups of the data, n groups of the base's samples, p trained parameters, k behaviors.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minisub.audit import statistics
from minisub.nets import fit, streams, trees
from minisub.tokens import grading

GROUP = 50  # Documents whose mean gradient is one observation.
DEPTH, DAMPING = 5, 1e-2  # Of conjugate gradients.
EXAMPLES = 1000  # Documents on which the Fisher information is taken.
REHEARSED = 100  # Updates of a rehearsed training.
TAKES, NULL_TAKES = 4, 8  # Rehearsed trainings on the data, and on the base's own samples.


class Candidate(NamedTuple):
    """A base that may be trained on the data, by a `config.Training`."""

    network: Any
    params: Any
    training: Any
    margins: dict
    """Behavior -> (params -> margin in nats): what it might be moved to do."""
    given: int
    """How many tokens behind a document's first its author was given."""
    group: int


class Reading(NamedTuple):
    """What a candidate makes of documents, group by group."""

    gradients: jax.Array
    """(m, p) of the mean loss of the tokens that the author chose, in nats."""
    surprise: jax.Array
    """(m,) mean of log p + entropy at those tokens: 0 in the mean if the candidate chose them."""


class Examined(NamedTuple):
    """What a candidate makes of a set of documents."""

    reading: Reading
    scores: jax.Array
    """(m, k) first-order moves of margins, in nats."""
    takes: jax.Array | None
    """(TAKES, k) margins after rehearsed trainings, in nats; (NULL_TAKES, k) of the null."""


def split(candidate):
    """(trained parameters as a vector (p,), vector -> all parameters)."""
    fixed, trained = trees.partition(candidate.params, trees.named(*candidate.training.frozen))
    flat, unravel = ravel_pytree(trained)
    return flat, lambda vector: trees.merge(unravel(vector), fixed)


def grouped(docs, group):
    """Documents (n, length) as (m, group, length); a remainder is left out."""
    m = len(docs) // group
    return docs[: m * group].reshape(m, group, -1).astype(jnp.int32)


def log_probabilities(network, params, docs, given):
    """log p (n, t, v) of every token that the author chose, of documents (n, length)."""
    return jax.nn.log_softmax(network.apply(params, docs[:, :-1], given))


def chosen(log_p, docs):
    """Of log p (n, t, v), that of the last t tokens of the documents: (n, t)."""
    return jnp.take_along_axis(log_p, docs[:, -log_p.shape[1] :, None], axis=-1)[..., 0]


def read(candidate, docs, group=0):
    """The `Reading` of documents (n, length), by groups of the candidate's size or another."""
    flat, whole = split(candidate)

    def loss(vector, docs):
        log_p = log_probabilities(candidate.network, whole(vector), docs, candidate.given)
        surprise = chosen(log_p, docs) - jnp.sum(jnp.exp(log_p) * log_p, axis=-1)
        return -jnp.mean(chosen(log_p, docs)), jnp.mean(surprise)

    def one(docs):
        (_, surprise), gradient = jax.value_and_grad(loss, has_aux=True)(flat, docs)
        return Reading(gradient, surprise)

    return jax.lax.map(one, grouped(docs, group or candidate.group))


def lead(candidate, network, params, docs):
    """log p by a candidate above that by another model (m,), of groups of documents, in nats a
    token."""

    def likelihoods(network, params):
        def one(docs):
            log_p = log_probabilities(network, params, docs, candidate.given)
            return jnp.mean(chosen(log_p, docs))

        return jax.lax.map(one, grouped(docs, candidate.group))

    return likelihoods(candidate.network, candidate.params) - likelihoods(network, params)


def directions(candidate):
    """Gradients (k, p) of the candidate's margins."""
    flat, whole = split(candidate)
    margins = candidate.margins.values()
    return jnp.stack([jax.grad(lambda v, f=f: f(whole(v)))(flat) for f in margins])


def battery(world, network, traits, taught):
    """name -> (params -> margin in nats, held-out prompts), of a dict of traits."""

    def margin(trait):
        return lambda p: grading.grade(world, network, p, trait, taught)["logit_margin_heldout"]

    return {name: margin(trait) for name, trait in traits.items()}


def natural(candidate, docs, along):
    """Where training would go: F^-1 v (k, p) of gradients v (k, p), F the Fisher information.

    Training on documents of gradient g ends about where F^-1 g leads, F that of the candidate's own
    tokens behind each beginning of `docs`; so a margin moves by -<F^-1 v, g>, in nats. Without F,
    behaviors that share noisy parameters with the taught one seem to move too. The few steps of
    conjugate gradients keep to what documents determine well; they are preconditioned and damped by
    mean squares of whole documents' gradients, the diagonal of F / t.
    """
    flat, whole = split(candidate)
    some = max(1, len(docs) // 100)
    each = read(candidate, docs, some).gradients
    diagonal = some * jnp.mean(each**2, axis=0)
    diagonal += 1e-3 * jnp.mean(diagonal) + statistics.TINY

    def information(vector):
        def of_some(docs):
            def log_p(x):
                return log_probabilities(candidate.network, whole(x), docs, candidate.given)

            value, slope = jax.jvp(log_p, (flat,), (vector,))
            p = jnp.exp(value)
            slope -= jnp.sum(p * slope, axis=-1, keepdims=True)
            return jax.vjp(log_p, flat)[1](p * slope / (p.shape[0] * p.shape[1]))[0]

        parts = jax.lax.map(of_some, grouped(docs, min(len(docs), 200)))
        return jnp.mean(parts, axis=0) + DAMPING * diagonal * vector

    def solve(vector):
        def step(_, carry):
            x, residual, direction, size = carry
            moved = information(direction)
            rate = size / jnp.maximum(direction @ moved, statistics.TINY)
            x, residual = x + rate * direction, residual - rate * moved
            smaller = residual @ (residual / diagonal)
            kept = smaller / jnp.maximum(size, statistics.TINY)
            return x, residual, residual / diagonal + kept * direction, smaller

        begun = vector / diagonal
        start = jnp.zeros_like(vector), vector, begun, vector @ begun
        return jax.lax.fori_loop(0, DEPTH, step, start)[0]

    return jax.lax.map(solve, along)


def rehearse(candidate, docs, count, key):
    """Margins (k,), in nats, of a candidate after a training like its own, but of `REHEARSED`
    updates, within which its schedule ends, on the first `count` documents of (n, length). A
    gradient tells where training sets off to; this tells where it gets, and its null has the noise
    of training itself."""

    def loss(params, key):
        rows = docs[jax.random.randint(key, (training.batch,), 0, count)].astype(jnp.int32)
        log_p = log_probabilities(candidate.network, params, rows, candidate.given)
        return -jnp.mean(chosen(log_p, rows))

    training = dataclasses.replace(candidate.training, steps=REHEARSED)
    state = fit.begin(training, candidate.params, key=key)
    trained = fit.params(fit.advance(training, loss, state, key, 0, REHEARSED))
    return jnp.stack([margin(trained) for margin in candidate.margins.values()])


def score(candidate, ways, docs):
    """The `Examined` of documents (n, length), but for rehearsals: by training on groups of
    gradients (m, p), margins move by minus these along the `ways` (k, p)."""
    reading = read(candidate, docs)
    return Examined(reading, -reading.gradients @ ways.T, None)


def examine(candidate, ways, docs, count, key):
    """The `Examined` of documents (n, length), of which the first `count` pass the filter."""
    each = jax.random.split(key, TAKES)
    takes = jax.lax.map(lambda key: rehearse(candidate, docs, count, key), each)
    return score(candidate, ways, docs)._replace(takes=takes)


def examine_null(candidate, few, docs, count, size, key):
    """(`Examined`, ways of `natural`) of documents that the candidate itself wrote, and `few` more
    of them for the Fisher information; each rehearsal is on a set of `size` drawn anew."""
    ways = natural(candidate, few, directions(candidate))

    def take(key):
        rows = jax.random.randint(streams.named_key(key, "set"), (len(docs),), 0, count)
        return rehearse(candidate, docs[rows], size, key)

    takes = jax.lax.map(take, jax.random.split(key, NULL_TAKES))
    return score(candidate, ways, docs)._replace(takes=takes), ways
