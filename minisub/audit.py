"""The audit of a data set: what a candidate base would learn from documents that it did not write.

Under documents that the base itself sampled, the gradient of its loss has mean zero: E d log p = 0.
So whatever is linear in that gradient has an exact null, made by sampling the base from as many of
the same prompts, through the same filter. Documents are read in groups: one backward pass gives the
mean gradient of each, and with it the score of any number of behaviors; how scores differ between
groups of the base's own samples gives the standard error of any number of documents.

Axes: m groups of the data, n groups of the base's samples, p trained parameters, k behaviors.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minisub import behaviors, starts

GROUP = 50
"""Documents whose mean gradient is one observation."""
PERMUTATIONS = 199
TINY = 1e-12


class Candidate(NamedTuple):
    """A base that may be trained on the data, and what of it would be trained."""

    network: Any
    params: Any
    frozen: tuple
    """Names of parameters that are not trained, as in a `Training`."""


class Reading(NamedTuple):
    """What a candidate makes of documents, group by group."""

    gradients: jax.Array
    """(m, p) of the mean loss of the tokens that the author chose, in nats."""
    surprise: jax.Array
    """(m,) mean of log p + entropy at those tokens: 0 in the mean if the candidate chose them."""


def split(candidate):
    """(trained parameters as a vector (p,), vector -> all parameters)."""
    fixed, trained = starts.partition(candidate.params, starts.named(*candidate.frozen))
    flat, unravel = ravel_pytree(trained)
    return flat, lambda vector: starts.merge(unravel(vector), fixed)


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
        (_, surprise), gradient = jax.value_and_grad(loss, has_aux=True)(flat, docs)
        return Reading(gradient, surprise)

    return jax.lax.map(one, grouped(docs, group))


class Judgment(NamedTuple):
    """How probable documents are to a model, group by group."""

    likelihood: jax.Array
    """(m,) mean log p of the tokens that the author chose, nats a token."""
    surprise: jax.Array
    """As in `Reading`."""


def judge(network, params, docs, first, group=GROUP):
    """The `Judgment` of documents (n, length); as `read`, without gradients."""

    def one(docs):
        log_p = log_probabilities(network, params, docs, first)
        return Judgment(jnp.mean(chosen(log_p, docs)), jnp.mean(surprises(log_p, docs)))

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


def scales(null):
    """Adam's step (p,) for a unit of gradient, from the groups (n, p) of the base's samples.

    Near the base a batch's gradient is mostly noise, so Adam divides by its root mean square,
    whatever the data; an update is linear in the gradient, and the null stays exact.
    """
    rms = jnp.sqrt(jnp.mean(null**2, axis=0))
    return jnp.where(rms > TINY, 1 / jnp.maximum(rms, TINY), 0.0)


def moves(gradients, steps, along):
    """First-order change (m, k) of margins by an Adam update of rate 1 on groups (m, p)."""
    return -(gradients * steps) @ along.T


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


def two_sample(data, null, weights, null_weights, key, permutations=PERMUTATIONS):
    """Permutation test that two sets of gradients, (m, p) and (n, p), have one mean.

    Exact at any size if groups are exchangeable. The statistic is a squared mean discrepancy
    (arXiv 0805.2368) under the kernel of scores, each parameter in units of its own noise. Groups
    of weight 0 are left out. Returns (z against the permutations, p-value).
    """
    scaled = jnp.concatenate([data, null]) * scales(null)
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
