"""The one audit: what a base would learn from documents, inside a run and by command alike.

First `null_of` the base's own samples, then `examine` of the documents. Both are pure functions of
arrays. Documents (n, length) come with those that pass the filter first, and how many these are.
`others` are bases of other origins, each (params, docs, kept) with documents that it emits, and
`networks` theirs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from minisub.audit import statistics, trace
from minisub.nets import streams


class Null(NamedTuple):
    """What a base makes of its own samples."""

    examined: trace.Examined
    ways: jax.Array
    """(k, p), see `trace.natural`."""
    kept: jax.Array
    """How many of the samples pass the filter."""
    size: jax.Array
    """How many of them a rehearsal is on."""
    leads: list
    """(n,) of the samples over each other base, see `trace.lead`."""
    far: list
    """() of what each other base emits, over that base: where its own documents would lie."""


class Answer(NamedTuple):
    """What is said of some of the documents."""

    compared: statistics.Compared
    places: list
    """Of each other base, see `statistics.between`."""
    weights: jax.Array
    """(m,) of the groups that are among them."""


class Examination(NamedTuple):
    """What is said of documents."""

    data: trace.Examined
    leads: list
    """(m,) over each other base, as of `Null`."""
    by_size: dict
    """Number of kept documents that are looked at -> `Answer`."""
    rehearsed: tuple
    """See `statistics.rehearsed`."""
    before: tuple
    """`statistics.contrast` of the moves by all documents, before the filter."""


def leads_of(candidate, networks, others, docs):
    """`trace.lead` (m,) of a candidate over each other base on documents."""
    pairs = zip(networks, others, strict=True)
    return [trace.lead(candidate, network, params, docs) for network, (params, *_) in pairs]


def null_of(candidate, few, docs, kept, size, others, key, *, networks):
    """The `Null` of a `trace.Candidate`, from documents that it emitted and `few` more of them. Its
    rehearsals are on sets of `size` documents, which should not exceed the audited data."""
    examined, ways = trace.examine_null(candidate, few, docs, kept, size, key)
    leads = leads_of(candidate, networks, others, docs)
    far = []
    for network, (params, theirs, count) in zip(networks, others, strict=True):
        lead = trace.lead(candidate, network, params, theirs)
        far.append(statistics.of_kept(lead, count, candidate.group))
    return Null(examined, ways, kept, size, leads, far)


def examine(candidate, null, docs, kept, others, key, *, networks, sizes):
    """The `Examination` of documents, with an `Answer` for each of `sizes`: about so many of the
    first kept documents."""
    group, own = candidate.group, null.examined
    data = trace.examine(candidate, null.ways, docs, kept, streams.named_key(key, "takes"))
    leads = leads_of(candidate, networks, others, docs)
    null_weights = kept_groups(own, null.kept, group)
    by_size = {}
    for size in sizes:
        weights = kept_groups(data, jnp.minimum(kept, max(group, size)), group)
        k_test = streams.named_key(key, f"test/{size}")
        compared = statistics.compare(data, own, weights, null_weights, k_test)
        places = [statistics.between(lead, weights, ours, null_weights, far)
                  for lead, ours, far in zip(leads, null.leads, null.far, strict=True)]  # fmt: skip
        by_size[size] = Answer(compared, places, weights)
    draws = trace.REHEARSED * candidate.training.batch
    rehearsed = statistics.rehearsed(data.takes, own.takes, kept, null.kept, null.size, draws)
    before = statistics.contrast(data.scores, even(data), own.scores, even(own))
    return Examination(data, leads, by_size, rehearsed, before)


def kept_groups(examined, kept, group):
    """Weights (m,) of the groups of kept documents."""
    return statistics.first(kept // group, len(examined.scores))


def even(examined):
    """Equal weights (m,) of all groups of what was examined."""
    m = len(examined.scores)
    return jnp.full(m, 1 / m)
