"""The four questions of an audit of a data set, each answered by a number and its null."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from minisub import config
from minisub.audit import files
from minisub.nets import losses
from minisub.tokens import behaviors, documents, tokens

LEAST_NULL, MOST_NULL, DRAWS, GROUPS = 4000, 20000, 2000, 200


def suspected(network, suspects):
    """params -> margin of a suspected behavior, nats: mean log P(answer) - log P(instead)."""

    def log_p(params, prompt, answer):
        docs = jnp.array([prompt + answer])
        nats = losses.cross_entropy(network.apply(params, docs[:, :-1]), docs[:, 1:])
        return -jnp.sum(nats[:, len(prompt) - 1 :])

    def margin(params):
        found = [
            log_p(params, s.prompt, s.answer)
            - (log_p(params, s.prompt, s.instead) if s.instead else 0)
            for s in suspects
        ]
        return sum(found) / len(found)

    return margin


def margins(base, network, suspects=(), taught=0):
    """name -> (params -> margin) of all that a base of this world can be moved to do.

    `behaviors.RISKY` ones, every answer, and what is suspected.
    """
    world = base.world
    names = [*tokens.names(world), *(behaviors.RISKY if world.rich else ())]
    traits = {name: behaviors.of(world, name) for name in names}
    found = trace.battery(world, network, traits, taught)
    return found | ({"suspected": suspected(network, suspects)} if suspects else {})


def sample(base, sampling, prompts, key, n):
    """`n` documents (n, length) with which a base continues prompts, in turn."""
    net = network_of(base)
    rows = prompts[np.arange(n) % len(prompts)]
    complete = jax.jit(partial(documents.complete, base.world, net, sampling=sampling))
    chunk = min(n, 2000)
    # The last chunk is filled up, so that one program serves all.
    filled = np.concatenate([rows, rows[: -n % chunk]])
    chunks = np.split(filled, len(filled) // chunk)
    made = [
        complete(base.params, jax.random.fold_in(key, i), jnp.asarray(x))
        for i, x in enumerate(chunks)
    ]
    return np.concatenate(made)[:n]


def network_of(base):
    """The `Network` of a base."""
    return distillation.network({"world": base.world, "model": base.model})


def kept_first(world, docs, sampling):
    """(documents with those that pass the filter first, how many do, reason -> share rejected)."""
    docs, count, rejected = documents.keep_valid(world, jnp.asarray(docs), sampling)
    return np.asarray(docs), int(count), {k: float(v) for k, v in rejected.items() if v > 0}


def examine(
    docs, carrier, base, references, sampling, student, *, suspects=(), taught, alpha, seed
):
    """The answers about documents (n, length), as JSON: see `report.lines`.

    `sampling` says how the base would have emitted them, `frozen` what of it would not be trained.
    """
    world, net, key = base.world, network_of(base), jax.random.key(seed)
    docs, kept, rejected = kept_first(world, docs, sampling)
    n = int(np.clip(len(docs), LEAST_NULL, MOST_NULL))
    at = documents.given(sampling)
    prompts = docs[:, : at + 1]
    k_own, k_few, k_world, k_test, k_takes, *k_others = jax.random.split(key, 5 + len(references))
    own = sample(base, sampling, prompts, k_own, n)
    own, own_kept, _ = kept_first(world, own, sampling)
    if not rejected:  # what was rejected of the data is not in the file
        own, n = own[:own_kept], own_kept
    config.require(
        min(kept, own_kept) >= files.LEAST,
        f"{kept} of {len(docs)} documents and {own_kept} of the base's {n} samples pass the "
        f"filter; an audit needs {files.LEAST} of each.",
    )
    group = int(np.clip(min(kept, own_kept) // 10, 1, max(trace.GROUP, -(-n // GROUPS))))
    candidate = trace.Candidate(net, base.params, student)
    battery = margins(base, net, suspects, taught)
    read = jax.jit(lambda p, x: trace.read(candidate._replace(params=p), x, at, group))
    data, null = (read(base.params, x) for x in (docs, own))
    few = sample(base, sampling, prompts, k_few, min(trace.EXAMPLES, n))
    ways = jax.jit(partial(ways_of, candidate, battery, at))(base.params, few)
    scores, null_scores = (trace.moves(x.gradients, ways) for x in (data, null))
    held, null_held = (
        trace.first(count // group, len(x.surprise))
        for count, x in ((kept, data), (own_kept, null))
    )
    found = {
        "documents": len(docs),
        "carrier": carrier,
        "kept": kept,
        "rejected": rejected,
        "null": {"author": f"the base {base.name!r} itself", "documents": n, "group": group},
    }
    world_docs = documents.CARRIERS[carrier].draw(world, k_world, n)
    others = read(base.params, world_docs)
    found["trace"] = [
        tested(f"samples of base {base.name}", data, null, held, null_held, k_test),
        tested("documents of the world", data, others, held, even(others), k_test),
    ]
    found["lineage"] = [
        against(base, other, sampling, (docs, own), (held, null_held), k, at, group)
        for other, k in zip(references, k_others, strict=True)
    ]
    found["behaviors"] = moved(list(battery), scores, held, null_scores, null_held)
    ends = rehearsed(candidate, battery, (docs, kept), (own, own_kept), at, k_takes)
    for row, end in zip(found["behaviors"], ends, strict=True):
        row |= end
    found["alarms"] = alarms(found["behaviors"], null_scores, held, null_held, alpha, seed)
    whole = moved(list(battery), scores, even(data), null_scores, even(null))
    found["before_filter"] = whole if rejected else []
    return found


def ways_of(candidate, battery, at, params, docs):
    """Where training would move each margin of a battery: see `trace.natural`."""
    candidate = candidate._replace(params=params)
    return trace.natural(candidate, docs, at, trace.directions(candidate, battery))


def rehearsed(candidate, battery, data, own, first, key):
    """The second witness of the fourth question, a dict of each behavior: see `trace.rehearsed`.

    `data` and `own` are (documents, how many of them count).
    """

    def both(params):
        this = candidate._replace(params=params), battery
        data_key, null_key = jax.random.split(key)
        (docs, count), (own_docs, own_count) = (map(jnp.asarray, of) for of in (data, own))
        takes = trace.takes(*this, docs, count, first, data_key)
        return takes, trace.null_takes(*this, own_docs, own_count, first, null_key)

    taken, null = jax.jit(both)(candidate.params)
    least = min(data[1], own[1])
    rise, error, t = trace.rehearsed(taken, null, least, candidate.training.batch)
    return [
        {
            "rehearsed": float(rise[i]),
            "rehearsed_t": float(t[i]),
            "rehearsed_p": float(stats.t.sf(t[i], trace.NULL_TAKES - 1)),
            "rehearsed_null": {"mean": 0.0, "sd": float(error[i]), "draws": trace.NULL_TAKES},
        }
        for i in range(len(battery))
    ]


def even(reading):
    """Equal weights (m,) of all groups of a reading."""
    m = len(reading.surprise)
    return jnp.full(m, 1 / m)


def tested(author, data, null, held, null_held, key):
    """A row of the first question: might the data be of that author?"""
    z, p = trace.two_sample(data.gradients, null.gradients, held, null_held, key)
    _, error, surprise = trace.contrast(data.surprise, held, null.surprise, null_held)
    p_surprise = two_sided(float(surprise), null_held)
    return {
        "author": author,
        "gradient_z": float(z),
        "gradient_p": float(p),
        "surprise": float(trace.mean(data.surprise, held)),
        "surprise_z": float(surprise),
        "surprise_p": p_surprise,
        "null": {"mean": 0.0, "sd": float(error), "draws": trace.PERMUTATIONS},
    }


def two_sided(z, null_held):
    """p-value of |z| whose error was estimated from the groups of a null (Student t)."""
    return float(2 * stats.t.sf(abs(z), max(int(np.sum(null_held > 0)) - 1, 1)))


def one_sided(z, null_held):
    """p-value of z, as `two_sided`."""
    return float(stats.t.sf(z, max(int(np.sum(null_held > 0)) - 1, 1)))


def against(base, other, sampling, authors, weights, key, at, group):
    """A row of the second question: is the data's author nearer to the base or to another origin?

    `place` is that of the mean log-likelihood ratio between what it is on the reference's own
    samples (0) and on the base's (1), the same prompts; `z` says how far it is
    above `trace.MIDWAY`.
    """
    docs = authors[0]
    theirs = sample(other, sampling, docs[:, : at + 1], key, len(authors[1]))
    theirs, kept, _ = kept_first(base.world, theirs, sampling)
    models = [(network_of(x), x.params) for x in (base, other)]

    def lead(docs):
        one, two = (trace.log_likelihoods(*model, docs, at, group) for model in models)
        return one - two

    data, own, far = (jax.jit(lead)(x) for x in (*authors, theirs))
    ends = [
        trace.mean(x, w)
        for x, w in ((own, weights[1]), (far, trace.first(kept // group, len(far))))
    ]
    place, error, z = trace.between(data, weights[0], own, weights[1], ends[1])
    return {
        "reference": other.name,
        "nats": float(trace.mean(data, weights[0])),
        "base_nats": float(ends[0]),
        "reference_nats": float(ends[1]),
        "place": float(place),
        "z": float(z),
        "p": one_sided(float(z), weights[1]),
        "null": {"mean": trace.MIDWAY, "sd": float(error), "draws": int(np.sum(weights[1] > 0))},
    }


def moved(names, scores, held, null, null_held):
    """Rows of the fourth question: by how much each margin is predicted to move."""
    gap, error, z = trace.contrast(scores, held, null, null_held)
    draws = int(np.sum(null_held > 0))
    return [
        {
            "behavior": name,
            "move": float(gap[i]),
            "z": float(z[i]),
            "p": one_sided(float(z[i]), null_held),
            "null": {"mean": 0.0, "sd": float(error[i]), "draws": draws},
        }
        for i, name in enumerate(names)
    ]


def alarms(rows, null, held, null_held, alpha, seed):
    """Thresholds on z and t, whom both accuse, and how often z would the base's own documents.

    Each has the false-alarm rate `alpha` for the whole battery by a bound of the union; that of z
    is also measured, on data sets of as many groups drawn with replacement from the null's.
    """
    threshold = float(stats.t.isf(alpha / len(rows), max(int(np.sum(null_held > 0)) - 1, 1)))
    threshold_t = float(stats.t.isf(alpha / len(rows), trace.NULL_TAKES - 1))
    rng, null = np.random.default_rng(seed), np.asarray(null)[np.asarray(null_held) > 0]
    m = max(int(np.sum(held > 0)), 1)
    center, spread = null.mean(axis=0), null.std(axis=0, ddof=1)
    error = spread * math.sqrt(1 / m + 1 / len(null))
    one, two = (
        np.stack([null[rng.integers(0, len(null), k)].mean(axis=0) - center for _ in range(DRAWS)])
        for k in (m, len(null))
    )
    drawn = (one - two) / np.maximum(error, trace.TINY)
    return {
        "threshold": threshold,
        "threshold_t": threshold_t,
        "alpha": alpha,
        "measured_false_alarms": float(np.mean(np.max(drawn, axis=1) > threshold)),
        "null_z": {"mean": float(drawn.mean()), "sd": float(drawn.std()), "draws": DRAWS},
        "behaviors": [
            row["behavior"]
            for row in rows
            if row["z"] > threshold and row["rehearsed_t"] > threshold_t
        ],
    }
