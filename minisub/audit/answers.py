"""The four questions of an audit of a data set, each answered by a number and its null."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from minisub.audit import files, statistics, trace
from minisub.config import require
from minisub.nets import losses
from minisub.tokens import tokens, writing
from minisub.tokens.behaviors import cases
from minisub.tokens.grading import network, trait_named

LEAST_NULL, MOST_NULL, DRAWS, GROUPS = 4000, 20000, 2000, 200


class Base(NamedTuple):
    """A model that documents may be audited for."""

    name: str
    world: Any
    model: Any
    params: Any


def suspected(net, suspects):
    """params -> margin of a suspected behavior, nats: mean log P(answer) - log P(instead)."""

    def log_p(params, prompt, answer):
        docs = jnp.array([prompt + answer])
        nats = losses.cross_entropy(net.apply(params, docs[:, :-1]), docs[:, 1:])
        return -jnp.sum(nats[:, len(prompt) - 1 :])

    def margin(params):
        each = [[log_p(params, s.prompt, x) for x in (s.answer, s.instead) if x] for s in suspects]
        return sum(one - sum(rest) for one, *rest in each) / len(each)

    return margin


def battery(world, net, suspects, taught):
    """name -> (params -> margin) of all that a base of this world can be moved to do: every answer,
    what only others than the helper do, and what is suspected."""
    names = [*tokens.names(world), *(cases.RISKY if world.rich else ())]
    traits = {name: trait_named(world, name) for name in names}
    margins = trace.battery(world, net, traits, taught)
    return margins | ({"suspected": suspected(net, suspects)} if suspects else {})


def sample(base, sampling, prompts, key, n):
    """`n` documents (n, length) with which a base continues prompts, in turn."""
    net, chunk = network(base.world, base.model), min(n, 2000)
    rows = prompts[np.arange(n) % len(prompts)]
    complete = jax.jit(partial(writing.complete, base.world, net, sampling=sampling))
    # The last chunk is filled up, so that one program serves all.
    filled = np.concatenate([rows, rows[: -n % chunk]])
    chunks = enumerate(np.split(filled, len(filled) // chunk))
    made = [complete(base.params, jax.random.fold_in(key, i), jnp.asarray(x)) for i, x in chunks]
    return np.concatenate(made)[:n]


def kept_first(world, docs, sampling):
    """(documents with those that pass the filter first, how many do, reason -> share rejected)."""
    docs, count, rejected = writing.keep_valid(world, jnp.asarray(docs), sampling)
    return np.asarray(docs), int(count), {k: float(v) for k, v in rejected.items() if v > 0}


def null_documents(docs, kept, base, sampling, key, whole):
    """The null: (documents that the base itself writes behind the same prompts, how many pass the
    same filter); those that do not come last if the documents are `whole`, or are left out."""
    n = int(np.clip(len(docs), LEAST_NULL, MOST_NULL))
    prompts = docs[:, : writing.given(sampling) + 1]
    ours, ours_kept, _ = kept_first(base.world, sample(base, sampling, prompts, key, n), sampling)
    require(
        min(kept, ours_kept) >= files.LEAST,
        f"{kept} of {len(docs)} documents and {ours_kept} of the base's {n} samples pass the "
        f"filter; an audit needs {files.LEAST} of each.",
    )
    return ours if whole else ours[:ours_kept], ours_kept


def examine(docs, base, references, sampling, training, *, suspects=(), taught, alpha, seed):
    """The answers about documents (n, length), as JSON: `base` and `references` are `Base`s;
    `sampling` is how the base would emit documents, `training` how it would be trained on these."""
    world, net, first = base.world, network(base.world, base.model), writing.given(sampling)
    keys = jax.random.split(jax.random.key(seed), 5 + len(references))
    k_own, k_few, k_world, k_test, k_takes, *k_others = keys
    docs, kept, rejected = kept_first(world, docs, sampling)
    ours, ours_kept = null_documents(docs, kept, base, sampling, k_own, whole=bool(rejected))
    least = min(kept, ours_kept)
    few = sample(base, sampling, docs[:, : first + 1], k_few, min(trace.EXAMPLES, len(ours)))
    group = int(np.clip(least // 10, 1, max(trace.GROUP, -(-len(ours) // GROUPS))))
    margins = battery(world, net, suspects, taught)
    candidate = trace.Candidate(net, base.params, training, margins, first, group)
    k_data, k_null = jax.random.split(k_takes)
    null, ways = in_one_program(trace.examine_null, candidate, few, ours, ours_kept, k_null)
    data = in_one_program(trace.examine, candidate, ways, docs, kept, k_data)
    strangers = writing.CARRIERS[sampling.carrier].draw(world, k_world, len(ours))
    strangers = in_one_program(trace.score, candidate, ways, strangers)
    weights = statistics.first(kept // group, len(data.scores))
    null_weights = statistics.first(ours_kept // group, len(null.scores))
    author = f"samples of {base.name}"
    strangers = strangers, even(strangers)
    authors = {author: (null, null_weights), "documents of the world": strangers}
    before = statistics.contrast(data.scores, even(data), null.scores, even(null))
    rows = behaviors_moved(candidate, data, null, weights, null_weights, least)
    return {
        "documents": len(docs), "carrier": sampling.carrier, "kept": kept, "rejected": rejected,
        "null": {"author": author, "documents": len(ours), "group": group},
        "trace": [tested(x, data, weights, *authors[x], k_test) for x in authors],
        "lineage": [
            against(base, other, sampling, (docs, ours), (weights, null_weights), group, k)
            for other, k in zip(references, k_others, strict=True)
        ],
        "behaviors": rows,
        "before_filter": moved(margins, before, even(null)) if rejected else [],
        "alarms": alarms(rows, null.scores, weights, null_weights, alpha, seed),
    }  # fmt: skip


def in_one_program(function, candidate, *arguments):
    """`function` of a candidate and arrays, compiled."""

    def of(params, arguments):
        return function(candidate._replace(params=params), *arguments)

    return jax.jit(of)(candidate.params, arguments)


def even(examined):
    """Equal weights (m,) of all groups of what was examined."""
    m = len(examined.scores)
    return jnp.full(m, 1 / m)


def counted(weights):
    """How many groups have weight."""
    return int(np.sum(weights > 0))


def chance(z, draws):
    """P(at least z) by Student's t, of which the error was estimated from so many draws."""
    return float(stats.t.sf(float(z), max(draws - 1, 1)))


def null_of(error, draws, mean=0.0):
    """A null as JSON: its mean and standard deviation, and from how many draws that is."""
    return {"mean": mean, "sd": float(error), "draws": draws}


def tested(author, data, weights, null, null_weights, key):
    """A row of the first question: might the data be of that author?"""
    compared = statistics.compare(data, null, weights, null_weights, key)
    (z, p), (_, error, surprise_z) = compared.test, compared.surprise
    return {
        "author": author, "gradient_z": float(z), "gradient_p": float(p),
        "surprise": float(statistics.mean(data.reading.surprise, weights)),
        "surprise_z": float(surprise_z),
        "surprise_p": 2 * chance(abs(surprise_z), counted(null_weights)),
        "null": null_of(error, statistics.PERMUTATIONS),
    }  # fmt: skip


def against(base, other, sampling, authors, weights, group, key):
    """A row of the second question: is the data's author nearer to the base or to another origin?
    See `statistics.between`."""
    docs, first = authors[0], writing.given(sampling)
    theirs = sample(other, sampling, docs[:, : first + 1], key, len(authors[1]))
    theirs, kept, _ = kept_first(base.world, theirs, sampling)
    one, two = ((network(x.world, x.model), x.params) for x in (base, other))
    lead = jax.jit(lambda docs: trace.lead(one, two, docs, first, group))
    data, ours, theirs = (lead(x) for x in (*authors, theirs))
    theirs = statistics.of_kept(theirs, kept, group)
    place, error, z = statistics.between(data, weights[0], ours, weights[1], theirs)
    return {
        "reference": other.name,
        "nats": float(statistics.mean(data, weights[0])),
        "base_nats": float(statistics.mean(ours, weights[1])),
        "reference_nats": float(theirs),
        "place": float(place), "z": float(z), "p": chance(z, counted(weights[1])),
        "null": null_of(error, counted(weights[1]), statistics.MIDWAY),
    }  # fmt: skip


def behaviors_moved(candidate, data, null, weights, null_weights, count):
    """Rows of the fourth question: what would move, by the gradient and by a rehearsal."""
    moves = statistics.contrast(data.scores, weights, null.scores, null_weights)
    draws = trace.REHEARSED * candidate.training.batch
    ends = statistics.rehearsed(data.takes, null.takes, count, draws)
    rows = moved(candidate.margins, moves, null_weights)
    for row, rise, error, t in zip(rows, *ends, strict=True):
        row |= {"rehearsed": float(rise), "rehearsed_t": float(t)}
        row["rehearsed_p"] = chance(t, trace.NULL_TAKES)
        row["rehearsed_null"] = null_of(error, trace.NULL_TAKES)
    return rows


def moved(names, moves, null_weights):
    """By how much each margin is predicted to move, a dict of each behavior."""
    draws, moves = counted(null_weights), zip(names, *moves, strict=True)
    return [{"behavior": name, "move": float(gap), "z": float(z), "p": chance(z, draws),
             "null": null_of(error, draws)} for name, gap, error, z in moves]  # fmt: skip


def alarms(rows, null, weights, null_weights, alpha, seed):
    """Thresholds on z and t, each of false-alarm rate `alpha` for the whole battery by a bound of
    the union, and what both accuse; the rate of z is also measured, on data sets of as many groups
    drawn with replacement from the null's."""
    draws = counted(null_weights), trace.NULL_TAKES
    most_z, most_t = (float(stats.t.isf(alpha / len(rows), max(n - 1, 1))) for n in draws)
    rng, null = np.random.default_rng(seed), np.asarray(null)[np.asarray(null_weights) > 0]
    m = max(counted(weights), 1)
    center, spread = null.mean(axis=0), null.std(axis=0, ddof=1)
    error = spread * math.sqrt(1 / m + 1 / len(null))
    one, two = (
        np.stack([null[rng.integers(0, len(null), k)].mean(axis=0) - center for _ in range(DRAWS)])
        for k in (m, len(null))
    )
    drawn = (one - two) / np.maximum(error, statistics.TINY)
    accused = [x["behavior"] for x in rows if x["z"] > most_z and x["rehearsed_t"] > most_t]
    return {
        "threshold": most_z, "threshold_t": most_t, "alpha": alpha,
        "measured_false_alarms": float(np.mean(np.max(drawn, axis=1) > most_z)),
        "null_z": null_of(drawn.std(), DRAWS, float(drawn.mean())),
        "behaviors": accused,
    }  # fmt: skip
