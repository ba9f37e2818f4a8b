"""Audits in an experiment: what is recorded of documents before a student learns of them.

`bases` are parameters, the student's first ones and then those of references, `models` their
configurations and `samples` documents that they emit.
"""

import dataclasses

import jax.numpy as jnp

from minisub.audit import examination, trace
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
    # One audit serves students that are trained longer or shorter: it rehearses as long for all.
    training = dataclasses.replace(student.arguments["training"], steps=trace.REHEARSED)
    about = {
        "bases": bases, "models": [x.architecture["model"] for x in bases], "world": lab.world,
        "sampling": sampling, "training": training,
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


def candidate_of(docs, bases, models, world, sampling, training, traits, taught):
    """(the start as a `trace.Candidate` for these documents, the networks of other bases)."""
    most = f"audits in a run name those of all kept documents by {SIZES[-1]:,}"
    require(len(docs) <= SIZES[-1], f"{most}; lower sampling.documents.")
    own, *others = (network(world, model) for model in models)
    margins = trace.battery(world, own, traits, taught)
    first, group = writing.given(sampling), group_of(len(docs))
    return trace.Candidate(own, bases[0], training, margins, first, group), others


def group_of(documents):
    """How many documents are in a group, of so many: the usual number, or fewer of few."""
    return min(trace.GROUP, max(1, documents // 8))


@quick
def null(key, *, samples, bases, **how):
    """The `examination.Null` that all audits of a start and a carrier share, and the samples of the
    other bases."""
    world, sampling, [own, *theirs] = how["world"], how["sampling"], samples
    candidate, networks = candidate_of(own["docs"], bases, **how)
    fewer = dataclasses.replace(sampling, documents=min(trace.EXAMPLES, sampling.documents))
    k_few, k_takes = (streams.named_key(key, name) for name in ("information", "rehearsal"))
    few = writing.sample(world, candidate.network, bases[0], k_few, sampling=fewer)
    others = emitted(bases, theirs)
    made = examination.null_of(
        candidate, few, own["docs"], *[own["count"]] * 2, others, k_takes, networks=networks
    )
    return {"null": made, "samples": theirs}


def emitted(bases, samples):
    """Other bases as `examination` takes them."""
    return [(x, s["docs"], s["count"]) for x, s in zip(bases[1:], samples, strict=True)]


@quick
def examine(key, *, documents, null, bases, **about):
    """Measures of documents under the start that would be trained on them: a dict of scalars.

    `move/BEHAVIOR`: of its margin, nats, by all kept documents, and `z/BEHAVIOR/SIZE` in standard
    errors of the null; `unfiltered/...` of all documents; `rehearsed/BEHAVIOR`: see
    `statistics.rehearsed`; `trace/SIZE`, `trace_p/SIZE`: two-sample test of gradients;
    `surprise/SIZE`: z of log p + entropy; `place/SIZE`, `nearer/SIZE`: where documents lie between
    other bases' samples and the start's, the least of `statistics.between`, and the least z of it.
    """
    docs, count = documents["docs"], documents["count"]
    candidate, networks = candidate_of(docs, bases, **about)
    others = emitted(bases, null["samples"])
    how = {"networks": networks, "sizes": SIZES}
    found = examination.examine(candidate, null["null"], docs, count, others, key, **how)
    measured, names = {}, list(candidate.margins)
    for size, answer in found.by_size.items():
        _, _, z = answer.compared.moves
        measured |= {f"z/{name}/{size}": z[i] for i, name in enumerate(names)}
        measured[f"trace/{size}"], measured[f"trace_p/{size}"] = answer.compared.test
        measured[f"surprise/{size}"] = answer.compared.surprise[2]
        if answer.places:
            place, _, nearer = (jnp.min(jnp.stack(x)) for x in zip(*answer.places, strict=True))
            measured |= {f"place/{size}": place, f"nearer/{size}": nearer}
    gap, error, _ = found.by_size[SIZES[-1]].compared.moves
    (rise, _, t), before = found.rehearsed, found.before
    for i, name in enumerate(names):
        measured |= {f"move/{name}": gap[i], f"error/{name}": error[i]}
        measured |= {f"rehearsed/{name}": rise[i], f"rehearsed_t/{name}": t[i]}
        measured |= {f"unfiltered/{name}": before[0][i], f"unfiltered_z/{name}": before[2][i]}
    return measured
