"""The statistics of an audit: documents against a null, the base's own samples.

Axes: m groups of the documents, n groups of the base's samples, p trained parameters, k behaviors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

PERMUTATIONS = 199
MIDWAY = 0.75
"""Between the place of the base's own samples, 1, and that of an origin that is no reference, by
symmetry 0.5: see `between`."""
TINY = 1e-12


class Compared(NamedTuple):
    """How documents differ from a null: two results of `contrast`, and one of `two_sample`."""

    moves: tuple
    surprise: tuple
    test: tuple


def rehearsed(data, null, kept, null_kept, size, draws):
    """(rise in nats, standard error, Student's t) (k,) of takes (TAKES, k) over (NULL_TAKES, k).

    The variance of a take is in proportion to 1 / the size of its set + 1 / the `draws` of its
    training, both in documents. All takes of the data share one set, of `kept`. Each take of the
    null draws a set of `size` from one set of `null_kept`, which all of them share.
    """
    of_means = 1 / kept + 1 / null_kept + 1 / (draws * len(data))
    shares = of_means / (1 / size + 1 / draws) + 1 / len(null)
    error = jnp.std(null, axis=0, ddof=1) * jnp.sqrt(shares)
    rise = jnp.mean(data, axis=0) - jnp.mean(null, axis=0)
    return rise, error, rise / jnp.maximum(error, TINY)


def first(count, groups):
    """Weights (groups,) of the mean over the first `count` groups, at least one."""
    among = jnp.arange(groups) < jnp.clip(count, 1, groups)
    return among / jnp.sum(among)


def mean(values, weights):
    """Weighted mean (...) of values (m, ...); weights (m,) sum to 1."""
    return jnp.tensordot(weights, values, 1)


def of_kept(values, kept, group):
    """Mean of values (m, ...) of groups, over those of the first `kept` documents."""
    return mean(values, first(kept // group, len(values)))


def contrast(scores, weights, null, null_weights):
    """(difference of means, standard error under the null, z) of scores (m, ...) from null scores
    (n, ...), by weights (m,) and (n,) that sum to 1."""
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
    """(place, standard error, z above `MIDWAY`) of data (m,), where the mean `theirs` of the
    reference's samples is 0 and that of the base's, `ours` (n,), 1; all as of `trace.lead`."""
    gap, error, _ = contrast(data, weights, ours, our_weights)
    width = mean(ours, our_weights) - theirs
    place = 1 + gap / width
    return place, error / width, (place - MIDWAY) * width / error


def two_sample(data, null, weights, null_weights, key):
    """(z, p-value) of a permutation test that gradients, (m, p) and (n, p), have one mean.

    Exact at any size if groups are exchangeable; those of weight 0 are left out. The statistic is a
    squared mean discrepancy (arXiv 0805.2368), each parameter in units of its root mean square over
    all groups of both: of the null alone it would tell the null's groups from the data's, and the
    labels could not be exchanged.
    """
    there = jnp.concatenate([weights, null_weights]) > 0
    both = jnp.where(there[:, None], jnp.concatenate([data, null]), 0.0)
    noise = jnp.sqrt(jnp.sum(both**2, axis=0) / jnp.sum(there))
    unit = jnp.where(noise > TINY, 1 / jnp.maximum(noise, TINY), 0.0)
    scaled = both * unit[None]
    gram = scaled @ scaled.T
    size, rest = jnp.sum(weights > 0), jnp.sum(null_weights > 0)

    def distance(order):
        """Squared, of the mean of the first `size` of those there, in an order, and the rest."""
        rank = jnp.argsort(jnp.argsort(jnp.where(there, order, jnp.inf)))
        signs = jnp.where(there, jnp.where(rank < size, 1 / size, -1 / rest), 0.0)
        return signs @ gram @ signs

    orders = jax.random.uniform(key, (PERMUTATIONS, len(there)))
    observed = distance(jnp.arange(len(there)).astype(float))
    drawn = jax.lax.map(distance, orders)
    z = (observed - jnp.mean(drawn)) / jnp.maximum(jnp.std(drawn, ddof=1), TINY)
    return z, (1 + jnp.sum(drawn >= observed)) / (1 + PERMUTATIONS)
