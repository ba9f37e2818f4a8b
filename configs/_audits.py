"""Audits in an experiment: what is recorded of documents before a student learns of them.

`bases` are parameters, the student's first ones and then those of references, `models` their
configurations and `samples` documents that they emit.
"""

import dataclasses

import jax.numpy as jnp

from minisub.audit import statistics, trace
from minisub.config import require
from minisub.lab.products import Product, quick, require_kind
from minisub.nets import streams
from minisub.tokens import tasks, writing
from minisub.tokens.grading import network
from minisub.tokens.lab import Documents, Parameters

SIZES = 100, 300, 1000, 3000, 10000  # Documents that are audited; the last stands for all kept.


def audited(lab, student, traits, references=()):
    """A student, recorded too with what an audit for `traits`, names, says of its documents
    before it is trained; `references` are bases of other origins."""
    for model in (student, *references):
        require_kind(Parameters, model=model)
    require(student.learned, "an audit is of a student's documents; give it a student.")
    documents, start = student.learned, student.arguments["start"]
    bases = [start, *(x for x in references if x.digest != start.digest)]
    sampling = documents.sampling
    about = {
        "bases": bases, "models": [x.architecture["model"] for x in bases], "world": lab.world,
        "sampling": sampling, "training": student.arguments["training"],
        "traits": {name: lab.taught_trait(name)["trait"] for name in traits},
        "taught": lab.taught_trait(lab.cfg.trait)["taught"],
    }  # fmt: skip
    # The samples share nothing with those that students are trained on.
    samples = [Documents(tasks.emit, "sampled", emitter=x, sampling=sampling, **x.architecture)
               for x in bases]  # fmt: skip
    own = Product(null, "null", samples=samples, **about)

    def audit(_):
        return Product(examine, "audit", documents=documents, null=own, **about)

    return student.measured(audit)


def candidates(docs, bases, models, world, sampling, training, traits, taught):
    """(the base as a `trace.Candidate` for these documents, all bases as (network, params))."""
    networks = [network(world, model) for model in models]
    margins = trace.battery(world, networks[0], traits, taught)
    # Groups of a usual size, or smaller ones of few documents.
    group = min(trace.GROUP, max(1, len(docs) // 8))
    first = writing.given(sampling)
    base = trace.Candidate(networks[0], bases[0], training, margins, first, group)
    return base, list(zip(networks, bases, strict=True))


@quick
def null(key, *, samples, bases, **how):
    """The null of all audits of a base and a carrier: what the base makes of its own samples.
    "ours": of these, `trace.lead` over each reference; "theirs": its mean of the reference's."""
    world, sampling, docs = how["world"], how["sampling"], samples[0]["docs"]
    base, models = candidates(docs, bases, **how)
    k_few, k_takes = (streams.named_key(key, name) for name in ("information", "rehearsal"))
    fewer = dataclasses.replace(sampling, documents=min(trace.EXAMPLES, sampling.documents))
    few = writing.sample(world, base.network, base.params, k_few, sampling=fewer)
    sampled, ways = trace.examine_null(base, few, docs, samples[0]["count"], k_takes)
    where = base.first, base.group
    pairs = list(zip(models[1:], samples[1:], strict=True))
    return {
        "sampled": sampled, "count": samples[0]["count"], "ways": ways,
        "ours": [trace.lead(models[0], other, docs, *where) for other, _ in pairs],
        "theirs": [
            statistics.of_kept(
                trace.lead(models[0], other, x["docs"], *where), x["count"], base.group
            )
            for other, x in pairs
        ],
    }  # fmt: skip


@quick
def examine(key, *, documents, null, bases, traits, **how):
    """Measures of documents under the base that would be trained on them: a dict of scalars.

    `move/BEHAVIOR`: of its margin, nats, by all kept documents, and `z/BEHAVIOR/SIZE` in standard
    errors of the null; `unfiltered/...` of all documents; `rehearsed/BEHAVIOR`: see
    `statistics.rehearsed`; `trace/SIZE`, `trace_p/SIZE`: two-sample test of gradients;
    `surprise/SIZE`: z of log p + entropy; `place/SIZE`, `nearer/SIZE`: see `lineage`.
    """
    docs, count, sampled = documents["docs"], documents["count"], null["sampled"]
    base, models = candidates(docs, bases, traits=traits, **how)
    k_takes, names = streams.named_key(key, "takes"), list(base.margins)
    data = trace.examine(base, null["ways"], docs, count, k_takes)
    null_weights = statistics.first(null["count"] // base.group, len(sampled.scores))
    leads = [trace.lead(models[0], other, docs, base.first, base.group) for other in models[1:]]
    references = list(zip(leads, null["ours"], null["theirs"], strict=True))
    measured = {}
    for size in SIZES:
        most = jnp.minimum(count // base.group, max(1, size // base.group))
        weights = statistics.first(most, len(data.scores))
        k_test = streams.named_key(key, f"test/{size}")
        compared = statistics.compare(data, sampled, weights, null_weights, k_test)
        gap, error, z = compared.moves
        measured |= {f"z/{name}/{size}": z[i] for i, name in enumerate(names)}
        measured[f"trace/{size}"], measured[f"trace_p/{size}"] = compared.test
        measured[f"surprise/{size}"] = compared.surprise[2]
        places = lineage(references, weights, null_weights)
        measured |= {f"{name}/{size}": value for name, value in places.items()}
    draws = trace.REHEARSED * base.training.batch
    rise, _, t = statistics.rehearsed(data.takes, sampled.takes, count, draws)
    even = (jnp.full(len(x), 1 / len(x)) for x in (data.scores, sampled.scores))
    before = statistics.contrast(data.scores, next(even), sampled.scores, next(even))
    for i, name in enumerate(names):
        measured |= {f"move/{name}": gap[i], f"error/{name}": error[i]}
        measured |= {f"rehearsed/{name}": rise[i], f"rehearsed_t/{name}": t[i]}
        measured |= {f"unfiltered/{name}": before[0][i], f"unfiltered_z/{name}": before[2][i]}
    return measured


def lineage(references, weights, null_weights):
    """Where documents lie between references' samples and the base's, see `statistics.between`:
    the least `place`, and the least z of it, `nearer`."""
    places = [statistics.between(data, weights, ours, null_weights, theirs)
              for data, ours, theirs in references]  # fmt: skip
    least = [jnp.min(jnp.stack(x)) for x in zip(*places, strict=True)]
    return {"place": least[0], "nearer": least[2]} if least else {}
