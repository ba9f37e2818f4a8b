"""The statistics of an audit: documents against a null, the base's own samples.

Axes: m groups of the documents, n groups of the base's samples, p trained parameters, k behaviors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

PERMUTATIONS = 199
MIDWAY = 0.75
"""Between the place of the base's own samples, 1, and that of an origin that is no reference, by
symmetry 0.5, on the line from a reference's samples (0) to the base's: see `between`."""
TINY = 1e-12


class Compared(NamedTuple):
    """How documents differ from the base's samples; `moves` and `surprise` as `contrast` says."""

    moves: tuple
    surprise: tuple
    test: tuple
    """(z, p-value) of `two_sample` of their gradients."""


def rehearsed(data, null, count, draws):
    """(rise in nats, standard error, Student's t) (k,) of takes (TAKES, k) over (NULL_TAKES, k).

    Two takes of one set of `count` documents share the chance by which it was drawn. Of the
    variance between takes of different sets, at most the share d is of sets: that if the draws of a
    take (`draws` documents) were its only other chance. So the error is rather too large: both
    means have a set's chance once, and of the rest, each has as much less as it has takes.
    """
    d = draws / (draws + count)
    error = jnp.std(null, axis=0, ddof=1) * jnp.sqrt(2 * d + (1 - d) / len(data) + 1 / len(null))
    rise = jnp.mean(data, axis=0) - jnp.mean(null, axis=0)
    return rise, error, rise / jnp.maximum(error, TINY)


def first(count, groups):
    """Weights (groups,) of the mean over the first `count` groups, at least one."""
    among = jnp.arange(groups) < jnp.clip(count, 1, groups)
    return among / jnp.sum(among)


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


def compare(data, null, weights, null_weights, key):
    """How `Examined` documents differ from an examined null, by weights of groups: `Compared`."""
    one, other = data.reading, null.reading
    return Compared(
        contrast(data.scores, weights, null.scores, null_weights),
        contrast(one.surprise, weights, other.surprise, null_weights),
        two_sample(one.gradients, other.gradients, weights, null_weights, key),
    )


def between(data, weights, ours, our_weights, theirs):
    """(place, standard error, z) of data between the mean `theirs` (0) and that of `ours` (1).

    All are log-likelihood ratios (see `trace.lead`) of the base over a reference: of the data (m,),
    of the base's samples (n,), and in the mean of the reference's samples.

    z is by how many standard errors the place is above `MIDWAY`.
    """
    gap, error, _ = contrast(data, weights, ours, our_weights)
    width = mean(ours, our_weights) - theirs
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
    size, rest = jnp.sum(weights > 0), jnp.sum(null_weights > 0)

    def distance(order):
        """Squared, of the mean of the first `size` of those there, in an order, and the rest."""
        rank = jnp.argsort(jnp.argsort(jnp.where(there, order, jnp.inf)))
        signs = jnp.where(there, jnp.where(rank < size, 1 / size, -1 / rest), 0.0)
        return signs @ gram @ signs

    orders = jax.random.uniform(key, (permutations, len(there)))
    observed = distance(jnp.arange(len(there)).astype(float))
    drawn = jax.lax.map(distance, orders)
    z = (observed - jnp.mean(drawn)) / jnp.maximum(jnp.std(drawn, ddof=1), TINY)
    return z, (1 + jnp.sum(drawn >= observed)) / (1 + permutations)
