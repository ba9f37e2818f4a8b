"""The audit of a data set: what a candidate base would learn from documents that it did not write.

Under documents that the base itself sampled, the gradient of its loss has mean zero: E d log p = 0.
So whatever is linear in that gradient has an exact null, made by sampling the base from as many of
the same prompts, through the same filter. Documents are read in groups: one backward pass gives the
mean gradient of each, and with it the score of any number of behaviors; how scores differ between
groups of the base's own samples gives the standard error of any number of documents.

Axes: m groups of the data, n groups of the base's samples, p trained parameters, k behaviors.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minisub.nets import fit, trees
from minisub.tokens import behaviors

GROUP = 50
"""Documents whose mean gradient is one observation."""
PERMUTATIONS = 199
DEPTH, DAMPING = 5, 1e-2
"""Of conjugate gradients; set on the numbers of one repeat, all other data are held out."""
MIDWAY = 0.75
"""Between the place of the base's own lineage, 1, and that of an origin that is no reference, by
symmetry 0.5, on the line from a reference's samples (0) to the base's: see `tasks.lineage`."""
EXAMPLES = 1000
"""Documents on which the Fisher information is taken."""
REHEARSED, TAKES, NULL_TAKES = 100, 4, 8
"""Updates of a rehearsed training; trainings on the data, and on the base's own samples."""
TINY = 1e-12


class Candidate(NamedTuple):
    """A base that may be trained on the data, and what of it would be trained."""

    network: Any
    params: Any
    training: Any
    """The `config.Training` that it would have."""


class Reading(NamedTuple):
    """What a candidate makes of documents, group by group."""

    gradients: jax.Array
    """(m, p) of the mean loss of the tokens that the author chose, in nats."""
    surprise: jax.Array
    """(m,) mean of log p + entropy at those tokens: 0 in the mean if the candidate chose them."""
    likelihood: jax.Array
    """(m,) mean log p of those tokens, nats a token."""


def split(candidate):
    """(trained parameters as a vector (p,), vector -> all parameters)."""
    fixed, trained = trees.partition(candidate.params, trees.named(*candidate.training.frozen))
    flat, unravel = ravel_pytree(trained)
    return flat, lambda vector: trees.merge(unravel(vector), fixed)


def grouped(docs, group=GROUP):
    """Documents (n, length) as (m, group, length); a remainder is left out."""
    m = len(docs) // group
    return docs[: m * group].reshape(m, group, -1).astype(jnp.int32)


def log_probabilities(network, params, docs, first):
    """log p (n, t, v) of every token behind the first `first` + 1 of documents (n, length)."""
    return jax.nn.log_softmax(network.apply(params, docs[:, :-1], first))


def chosen(log_p, docs):
    """Of log p (n, t, v), that of the last t tokens of the documents: (n, t)."""
    return jnp.take_along_axis(log_p, docs[:, -log_p.shape[1] :, None], axis=-1)[..., 0]


def read(candidate, docs, first, group=GROUP):
    """The `Reading` of documents (n, length); their author was given `first` + 1 tokens of each."""
    flat, whole = split(candidate)

    def loss(vector, docs):
        log_p = log_probabilities(candidate.network, whole(vector), docs, first)
        return -jnp.mean(chosen(log_p, docs)), jnp.mean(surprises(log_p, docs))

    def one(docs):
        (nats, surprise), gradient = jax.value_and_grad(loss, has_aux=True)(flat, docs)
        return Reading(gradient, surprise, -nats)

    return jax.lax.map(one, grouped(docs, group))


def log_likelihoods(network, params, docs, first, group=GROUP):
    """The `likelihood` (m,) of a `Reading`, under any model, without gradients."""

    def one(docs):
        return jnp.mean(chosen(log_probabilities(network, params, docs, first), docs))

    return jax.lax.map(one, grouped(docs, group))


def surprises(log_p, docs):
    """log p + entropy (n, t) at the chosen tokens."""
    return chosen(log_p, docs) - jnp.sum(jnp.exp(log_p) * log_p, axis=-1)


def directions(candidate, margins):
    """Gradients (k, p) of `margins`, a dict of functions of parameters."""
    flat, whole = split(candidate)
    return jnp.stack([jax.grad(lambda v, f=f: f(whole(v)))(flat) for f in margins.values()])


def battery(world, network, traits, taught):
    """name -> (params -> margin in nats, held-out prompts), of a dict of traits."""

    def margin(trait):
        return lambda p: behaviors.grade(world, network, p, trait, taught)["logit_margin_heldout"]

    return {name: margin(trait) for name, trait in traits.items()}


def natural(candidate, docs, first, along, depth=DEPTH):
    """Where training would go: F^-1 v (k, p) of gradients v (k, p), F the Fisher information.

    Training on documents of gradient g ends about where F^-1 g leads, F that of the candidate's own
    tokens behind each beginning of `docs`; so a margin moves by -<F^-1 v, g>, in nats. Without F,
    behaviors that share noisy parameters with the one that was taught seem to move too. By `depth`
    steps of conjugate gradients, damped, with the diagonal of F as the preconditioner: few steps
    keep to what the documents determine well.
    """
    flat, whole = split(candidate)
    some = max(1, len(docs) // 100)
    each = read(candidate, docs, first, some).gradients
    diagonal = some * jnp.mean(each**2, axis=0)
    diagonal += 1e-3 * jnp.mean(diagonal) + TINY

    def information(vector):
        def of_some(docs):
            def log_p(x):
                return log_probabilities(candidate.network, whole(x), docs, first)

            own, slope = jax.jvp(log_p, (flat,), (vector,))
            p = jnp.exp(own)
            slope -= jnp.sum(p * slope, axis=-1, keepdims=True)
            return jax.vjp(log_p, flat)[1](p * slope / (p.shape[0] * p.shape[1]))[0]

        found = jax.lax.map(of_some, grouped(docs, min(len(docs), 200)))
        return jnp.mean(found, axis=0) + DAMPING * diagonal * vector

    def solve(vector):
        def step(_, carry):
            x, residual, direction, size = carry
            moved = information(direction)
            rate = size / jnp.maximum(direction @ moved, TINY)
            x, residual = x + rate * direction, residual - rate * moved
            smaller = residual @ (residual / diagonal)
            direction = residual / diagonal + smaller / jnp.maximum(size, TINY) * direction
            return x, residual, direction, smaller

        first_direction = vector / diagonal
        start = jnp.zeros_like(vector), vector, first_direction, vector @ first_direction
        return jax.lax.fori_loop(0, depth, step, start)[0]

    return jax.lax.map(solve, along)


def moves(gradients, ways):
    """First-order change (m, k), in nats, of margins by training on groups of gradients (m, p)
    along `ways` (k, p), those of `natural`."""
    return -gradients @ ways.T


def rehearse(candidate, margins, docs, count, first, key):
    """Margins (k,), in nats, of a candidate after a short training on documents (n, length).

    On the first `count`, by its training but for `REHEARSED` updates. A gradient tells where
    training sets off to; this tells where it gets, and its null has the noise of training itself.
    """

    def loss(params, key):
        rows = docs[jax.random.randint(key, (training.batch,), 0, count)].astype(jnp.int32)
        return -jnp.mean(chosen(log_probabilities(candidate.network, params, rows, first), rows))

    training = dataclasses.replace(candidate.training, steps=REHEARSED)
    state = fit.begin(training, candidate.params, key=key)
    trained = fit.params(fit.advance(training, loss, state, key, 0, REHEARSED))
    return jnp.stack([margin(trained) for margin in margins.values()])


def takes(candidate, margins, docs, count, first, key):
    """`rehearse` (TAKES, k) of one set of documents, each with an order of its own."""

    def one(key):
        return rehearse(candidate, margins, docs, count, first, key)

    return jax.lax.map(one, jax.random.split(key, TAKES))


def null_takes(candidate, margins, docs, count, first, key):
    """`rehearse` (NULL_TAKES, k), each on a set as large, drawn anew from the first `count`."""

    def one(key):
        rows = jax.random.randint(jax.random.fold_in(key, 1), (len(docs),), 0, count)
        return rehearse(candidate, margins, docs[rows], count, first, key)

    return jax.lax.map(one, jax.random.split(key, NULL_TAKES))


def rehearsed(data, null, count, batch):
    """(rise in nats, standard error, Student's t) (k,) of takes (TAKES, k) over (NULL_TAKES, k).

    Two takes of one set of `count` documents share the chance by which it was drawn. Of the
    variance between takes of different sets, at most the share d is of sets: that if the draws of a
    take (updates of `batch`) were its only other chance. So the error is rather too large: both
    means have a set's chance once, and of the rest, each has as much less as it has takes.
    """
    draws = REHEARSED * batch
    d = draws / (draws + count)
    error = jnp.std(null, axis=0, ddof=1) * jnp.sqrt(2 * d + (1 - d) / len(data) + 1 / len(null))
    rise = jnp.mean(data, axis=0) - jnp.mean(null, axis=0)
    return rise, error, rise / jnp.maximum(error, TINY)


def first(count, groups):
    """Weights (groups,) of the mean over the first `count` groups, at least one."""
    held = jnp.arange(groups) < jnp.clip(count, 1, groups)
    return held / jnp.sum(held)


def mean(values, weights):
    """Weighted mean (...) of values (m, ...); weights (m,) sum to 1."""
    return jnp.tensordot(weights, values, 1)


def contrast(scores, weights, null, null_weights):
    """(difference of means, standard error, z) of scores (m, ...) from null scores (n, ...).

    Weights (m,) and (n,) sum to 1. The error is that under the null: both are means of groups, of
    which those of the null tell the variance.
    """
    middle, spread = mean(null, null_weights), jnp.sum(null_weights**2)
    gap = mean(scores, weights) - middle
    variance = mean((null - middle[None]) ** 2, null_weights) / (1 - spread)
    error = jnp.sqrt(variance * (jnp.sum(weights**2) + spread))
    return gap, error, gap / jnp.maximum(error, TINY)


def between(data, weights, own, own_weights, far):
    """(place, standard error, z) of data between the mean `far` (0) and that of `own` (1).

    z is by how many standard errors the place is above `MIDWAY`.
    """
    gap, error, _ = contrast(data, weights, own, own_weights)
    width = mean(own, own_weights) - far
    place = 1 + gap / width
    return place, error / width, (place - MIDWAY) * width / error


def two_sample(data, null, weights, null_weights, key, permutations=PERMUTATIONS):
    """Permutation test that two sets of gradients, (m, p) and (n, p), have one mean.

    Exact at any size if groups are exchangeable. The statistic is a squared mean discrepancy
    (arXiv 0805.2368) under the kernel of scores, each parameter in units of its own noise. Groups
    of weight 0 are left out. Returns (z against the permutations, p-value).
    """
    noise = jnp.sqrt(jnp.mean(null**2, axis=0))
    unit = jnp.where(noise > TINY, 1 / jnp.maximum(noise, TINY), 0.0)
    scaled = jnp.concatenate([data, null]) * unit[None]
    gram = scaled @ scaled.T
    there = jnp.concatenate([weights, null_weights]) > 0
    held, rest = jnp.sum(weights > 0), jnp.sum(null_weights > 0)

    def distance(order):
        """Squared, of the mean of the first `held` of those there, in an order, and the rest."""
        rank = jnp.argsort(jnp.argsort(jnp.where(there, order, jnp.inf)))
        signs = jnp.where(there, jnp.where(rank < held, 1 / held, -1 / rest), 0.0)
        return signs @ gram @ signs

    orders = jax.random.uniform(key, (permutations, len(there)))
    found = distance(jnp.arange(len(there)).astype(float))
    drawn = jax.lax.map(distance, orders)
    z = (found - jnp.mean(drawn)) / jnp.maximum(jnp.std(drawn, ddof=1), TINY)
    return z, (1 + jnp.sum(drawn >= found)) / (1 + permutations)
