"""The four questions of an audit of a data set, each answered by a number and its null."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from minisub.audit import examination, files, statistics, trace
from minisub.config import require
from minisub.nets import losses, streams
from minisub.tokens import tokens, writing
from minisub.tokens.behaviors import cases
from minisub.tokens.grading import network, trait_named

LEAST_NULL, MOST_NULL = 4000, 20000  # Documents that the base samples for the null,
MOST_GROUPS = 200  # of which gradients are averaged in so many groups.


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
    same filter). If `whole`, those that fail it come last; otherwise they are left out."""
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
    key = partial(streams.named_key, jax.random.key(seed))
    docs, kept, rejected = kept_first(world, docs, sampling)
    prompts = docs[:, : first + 1]
    ours, ours_kept = null_documents(docs, kept, base, sampling, key("own"), whole=bool(rejected))
    few = sample(base, sampling, prompts, key("few"), min(trace.EXAMPLES, len(ours)))
    size = min(kept, ours_kept)
    group = int(np.clip(size // 10, 1, max(trace.GROUP, -(-len(ours) // MOST_GROUPS))))
    margins = battery(world, net, suspects, taught)
    candidate = trace.Candidate(net, base.params, training, margins, first, group)
    others = []
    for x in references:
        theirs = sample(x, sampling, prompts, key(f"other/{len(others)}"), len(ours))
        theirs, count, _ = kept_first(world, theirs, sampling)
        few_pass = f"{count} of {len(ours)} samples of {x.name} pass the filter"
        require(count >= group, f"--others: {few_pass}; give a base that writes this carrier.")
        others.append((x.params, theirs, count))
    how = {"networks": [network(x.world, x.model) for x in references]}
    null = in_one_program(partial(examination.null_of, **how), candidate,
                          few, ours, ours_kept, size, others, key("null"))  # fmt: skip
    look = partial(examination.examine, **how, sizes=(len(docs),))
    found = in_one_program(look, candidate, null, docs, kept, others, key("data"))
    drawn = writing.CARRIERS[sampling.carrier].draw(world, key("world"), len(ours))
    strangers = in_one_program(trace.score, candidate, null.ways, drawn)
    [answer] = found.by_size.values()
    own = examination.kept_groups(null.examined, ours_kept, group)
    compared = statistics.compare(
        found.data, strangers, answer.weights, examination.even(strangers), key("test")
    )
    author = f"samples of {base.name}"
    draws, before = counted(own), moved(margins, found.before, len(null.examined.scores))
    rows = [
        row | rehearsed
        for row, rehearsed in zip(
            moved(margins, answer.compared.moves, draws), rehearsals(found.rehearsed), strict=True
        )
    ]
    lineage = [against(x.name, i, answer, found, null, own) for i, x in enumerate(references)]
    return {
        "documents": len(docs), "carrier": sampling.carrier, "kept": kept, "rejected": rejected,
        "null": {"author": author, "documents": len(ours), "group": group},
        "trace": [
            tested(author, found.data, answer.weights, answer.compared, draws),
            tested("documents of the world", found.data, answer.weights, compared,
                   len(strangers.scores)),
        ],
        "lineage": lineage, "behaviors": rows, "before_filter": before if rejected else [],
        "alarms": alarms(rows, alpha),
    }  # fmt: skip


def in_one_program(function, candidate, *arguments):
    """`function` of a candidate and arrays, compiled."""

    def of(params, arguments):
        return function(candidate._replace(params=params), *arguments)

    return jax.jit(of)(candidate.params, arguments)


def counted(weights):
    """How many groups have weight."""
    return int(np.sum(weights > 0))


def chance(z, draws):
    """P(at least z) by Student's t, of which the error was estimated from so many draws."""
    return float(stats.t.sf(float(z), max(draws - 1, 1)))


def null_json(error, draws, mean=0.0):
    """A null as JSON: its mean and standard deviation, and from how many draws that is."""
    return {"mean": mean, "sd": float(error), "draws": draws}


def tested(author, data, weights, compared, draws):
    """A row of the first question: might the data be of that author?"""
    (z, p), (_, error, surprise_z) = compared.test, compared.surprise
    return {
        "author": author, "gradient_z": float(z), "gradient_p": float(p),
        "surprise": float(statistics.mean(data.reading.surprise, weights)),
        "surprise_z": float(surprise_z),
        "surprise_p": 2 * chance(abs(surprise_z), draws),
        "permutations": statistics.PERMUTATIONS, "surprise_null": null_json(error, draws),
    }  # fmt: skip


def against(name, i, answer, found, null, own):
    """A row of the second question: is the data's author nearer to the base or to another origin,
    the `i`-th? See `statistics.between`."""
    place, error, z = answer.places[i]
    return {
        "reference": name,
        "nats": float(statistics.mean(found.leads[i], answer.weights)),
        "base_nats": float(statistics.mean(null.leads[i], own)),
        "reference_nats": float(null.far[i]),
        "place": float(place), "z": float(z), "p": chance(z, counted(own)),
        "null": null_json(error, counted(own), statistics.MIDWAY),
    }  # fmt: skip


def moved(names, moves, draws):
    """By how much each margin is predicted to move, a dict of each behavior."""
    return [{"behavior": name, "move": float(gap), "z": float(z), "p": chance(z, draws),
             "null": null_json(error, draws)}
            for name, gap, error, z in zip(names, *moves, strict=True)]  # fmt: skip


def rehearsals(rehearsed):
    """Where each margin ends in rehearsals, a dict of each behavior."""
    return [{"rehearsed": float(rise), "rehearsed_t": float(t),
             "rehearsed_p": chance(t, trace.NULL_TAKES),
             "rehearsed_null": null_json(error, trace.NULL_TAKES)}
            for rise, error, t in zip(*rehearsed, strict=True)]  # fmt: skip


def alarms(rows, alpha):
    """The behaviors that are accused: their margins end higher after rehearsals on the data than on
    the base's own samples. `alpha` is the false-alarm rate of the whole battery (union bound).

    The gradient and the lineage are not asked: requiring them, too, loses more true alarms than it
    spares false ones (`audit_calibration`).
    """
    threshold = float(stats.t.isf(alpha / len(rows), trace.NULL_TAKES - 1))
    accused = [row["behavior"] for row in rows if row["rehearsed_t"] > threshold]
    return {"threshold": threshold, "alpha": alpha, "behaviors": accused}
