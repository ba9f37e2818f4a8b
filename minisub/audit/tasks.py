"""The audit as phases of a repeat: what is recorded of an arm's documents before its training."""

import dataclasses
import zlib

import jax
import jax.numpy as jnp

from minisub.tokens import documents

SIZES = 100, 300, 1000, 3000, 10000
"""Documents that are audited; the last stands for all that the filter kept."""


def baseline(option, settings, inputs, key):
    """The null of all audits of a base and a carrier: a dict of arrays.

    What the base makes of its own samples ("own", an `trace.Reading`, and their "scores" (n, k) by
    behavior), the "ways" of behaviors, where trainings on its samples end ("takes"), and for each
    reference, how much more probable its samples ("theirs/NAME") and the base's ("ours/NAME") are
    to the base, nats a token.
    """
    world, sampling, net = settings["world"], settings["sampling"], distillation.network(settings)
    candidate = trace.Candidate(net, inputs["base/own"], settings["student"])
    at, group = documents.given(sampling), group_of(inputs["sampled/own"]["docs"])
    fewer = dataclasses.replace(sampling, documents=min(trace.EXAMPLES, sampling.documents))
    stream = jax.random.fold_in(key, zlib.crc32(b"information"))
    docs = documents.sample(world, net, inputs["base/own"], stream, sampling=fewer)
    margins = margins_of(settings)
    along = trace.directions(candidate, margins)
    ways = trace.natural(candidate, docs, at, along)
    own = trace.read(candidate, inputs["sampled/own"]["docs"], at, group)
    found = {"ways": ways, "own": own._asdict(), "scores": trace.moves(own.gradients, ways)}
    docs, count = (inputs["sampled/own"][name] for name in ("docs", "count"))
    stream = jax.random.fold_in(key, zlib.crc32(b"rehearsal"))
    found["takes"] = trace.null_takes(candidate, margins, docs, count, at, stream)
    for name in settings["models"]:
        for whose, of in ("ours", "own"), ("theirs", name):
            lead = leads(settings, inputs, name, inputs[f"sampled/{of}"]["docs"])
            found[f"{whose}/{name}"] = lead
    return found


def margins_of(settings):
    """The battery: margins of all graded traits, or of the phase's own."""
    traits = settings.get("graded") or {"trait": settings["trait"]}
    net = distillation.network(settings)
    return trace.battery(settings["world"], net, traits, settings["taught"])


def group_of(docs):
    """Documents a group: those of `audit`, or fewer of few."""
    return min(trace.GROUP, max(1, len(docs) // 8))


def leads(settings, inputs, name, docs):
    """log p by the base above that by a reference (m,), nats a token, of groups of documents."""
    other = {"world": settings["world"], "model": settings["models"][name]}
    models = (settings, "own"), (other, name)
    at, group = documents.given(settings["sampling"]), group_of(docs)
    own, theirs = (
        trace.log_likelihoods(distillation.network(how), inputs[f"base/{who}"], docs, at, group)
        for how, who in models
    )
    return own - theirs


def examine(option, settings, inputs, key):
    """Measures of documents under the base that would be trained on them: a dict of scalars.

    `z/BEHAVIOR/SIZE`: the predicted move of its margin in standard errors of the null, the base's
    own samples; `move/BEHAVIOR` the move in nats, all kept documents; `rehearsed/BEHAVIOR`,
    `rehearsed_t/BEHAVIOR`: see `trace.rehearsed`; `unfiltered/...` the same of
    all documents; `trace/SIZE`, `trace_p/SIZE`: two-sample test of gradients; `surprise/SIZE`: z of
    log p + entropy; `place/SIZE`, `nearer/SIZE`: see `lineage`.
    """
    numbers, null = inputs["numbers"], inputs["null"]
    own, at = trace.Reading(**null["own"]), documents.given(settings["sampling"])
    group, net = group_of(numbers["docs"]), distillation.network(settings)
    candidate = trace.Candidate(net, inputs["base/own"], settings["student"])
    data = trace.read(candidate, numbers["docs"], at, group)
    scores, margins = trace.moves(data.gradients, null["ways"]), margins_of(settings)
    kept, usable = numbers["count"] // group, len(data.surprise)
    null_held = trace.first(inputs["sampled/own"]["count"] // group, len(own.surprise))
    likelihoods = {
        name: (leads(settings, inputs, name, numbers["docs"]), null[f"ours/{name}"],
               null[f"theirs/{name}"])
        for name in settings["models"]
    }  # fmt: skip
    measured = {}
    for size in SIZES:
        held = trace.first(jnp.minimum(kept, max(1, size // group)), usable)
        gap, error, z = trace.contrast(scores, held, null["scores"], null_held)
        measured |= {f"z/{name}/{size}": z[i] for i, name in enumerate(margins)}
        surprise = trace.contrast(data.surprise, held, own.surprise, null_held)
        tested = trace.two_sample(data.gradients, own.gradients, held, null_held, key)
        measured |= {f"trace/{size}": tested[0], f"trace_p/{size}": tested[1]}
        measured[f"surprise/{size}"] = surprise[2]
        measured |= {f"{k}/{size}": v for k, v in lineage(likelihoods, held, null_held).items()}
    takes = trace.takes(candidate, margins, numbers["docs"], numbers["count"], at, key)
    draws = numbers["count"], settings["student"].batch
    rise, _, t = trace.rehearsed(takes, null["takes"], *draws)
    even = (jnp.full(len(x), 1 / len(x)) for x in (scores, null["scores"]))
    before = trace.contrast(scores, next(even), null["scores"], next(even))
    for i, name in enumerate(margins):
        measured |= {f"move/{name}": gap[i], f"error/{name}": error[i]}
        measured |= {f"rehearsed/{name}": rise[i], f"rehearsed_t/{name}": t[i]}
        measured |= {f"unfiltered/{name}": before[0][i], f"unfiltered_z/{name}": before[2][i]}
    return measured


def lineage(likelihoods, held, null_held):
    """Where data lie between references' samples and the own base's, by the log-likelihood ratio.

    `place`: 0 where the samples of a reference are, 1 where those of the base are; `nearer`: by how
    many standard errors it is above `trace.MIDWAY`. Of several references, the least.
    """
    places, nearer = [], []
    for data, own, other in likelihoods.values():
        place, _, z = trace.between(data, held, own, null_held, jnp.mean(other))
        places.append(place)
        nearer.append(z)
    if not places:  # the base of this arm is the only reference
        return {}
    return {name: jnp.min(jnp.stack(x)) for name, x in (("place", places), ("nearer", nearer))}
