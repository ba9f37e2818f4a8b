"""The audit as a phase of a repeat: what is recorded of an arm's documents before its training."""

import jax.numpy as jnp

from minisub import audit, distillation, documents

SIZES = 100, 300, 1000, 3000, 10000
"""Documents that are audited; the last stands for all that the filter kept."""


def phase(settings, inputs, key):
    """Measures of documents under the base that would be trained on them: a dict of scalars.

    `z/BEHAVIOR/SIZE`: predicted move of the margin in standard errors of the base's own samples;
    `move/BEHAVIOR`: that move, by an Adam update of rate 1, of all kept documents, `unfiltered/...`
    of all documents; `trace/SIZE` and `trace_p/SIZE`: the two-sample test of gradients;
    `surprise/SIZE`: z of log p + entropy; `lineage/SIZE`: see `lineage`.
    """
    world, numbers = settings["world"], inputs["numbers"]
    net, at = distillation.network(settings), documents.given(settings["sampling"])
    own, samples = inputs["base/own"], inputs["sampled/own"]
    candidate = audit.Candidate(net, own, settings["student"].frozen)
    group = min(audit.GROUP, max(1, len(samples["docs"]) // 8))
    data, null = (audit.read(candidate, x["docs"], at, group) for x in (numbers, samples))
    # Groups of the null are of documents that passed the filter; so are those of the data below.
    usable = len(null.surprise)
    null_held = audit.first(samples["count"] // group, usable)
    traits = settings.get("graded") or {"trait": settings["trait"]}
    margins = audit.battery(world, net, traits, settings["taught"])
    along = audit.directions(candidate, margins)
    steps = audit.scales(null.gradients)
    scores, null_scores = (audit.moves(x.gradients, steps, along) for x in (data, null))
    kept = numbers["count"] // group
    likelihoods = gains(settings, inputs, at, group)
    measured = {}
    for size in SIZES:
        count = jnp.minimum(kept, max(1, size // group))
        held = audit.first(count, len(data.surprise))
        gap, error, z = audit.contrast(scores, held, null_scores, null_held)
        for i, name in enumerate(margins):
            measured[f"z/{name}/{size}"] = z[i]
            if size == SIZES[-1]:
                measured |= {f"move/{name}": gap[i], f"error/{name}": error[i]}
        _, _, measured[f"surprise/{size}"] = audit.contrast(
            data.surprise, held, null.surprise, null_held
        )
        tested = audit.two_sample(data.gradients, null.gradients, held, null_held, key)
        measured |= {f"trace/{size}": tested[0], f"trace_p/{size}": tested[1]}
        measured |= {f"{k}/{size}": v for k, v in lineage(likelihoods, held, null_held).items()}
    every = jnp.full(len(data.surprise), 1 / len(data.surprise))
    gap, _, z = audit.contrast(scores, every, null_scores, jnp.full(usable, 1 / usable))
    for i, name in enumerate(margins):
        measured |= {f"unfiltered/{name}": gap[i], f"unfiltered_z/{name}": z[i]}
    return measured


def gains(settings, inputs, at, group):
    """Per reference: log p by the own base above that by the reference, of groups of the data, of
    the own samples and of the reference's, in nats a token."""
    found = {}
    for name, model in settings["models"].items():
        if name == "own":
            continue
        nets = {"own": distillation.network(settings)}
        nets[name] = distillation.network({"world": settings["world"], "model": model})

        def lead(docs, nets=nets, name=name):
            models = (nets["own"], inputs["base/own"]), (nets[name], inputs[f"base/{name}"])
            own, other = (audit.judge(*model, docs, at, group).likelihood for model in models)
            return own - other

        places = "numbers", "sampled/own", f"sampled/{name}"
        found[name] = [lead(inputs[place]["docs"]) for place in places]
    return found


def lineage(likelihoods, held, null_held):
    """Where data lie between references' samples and the own base's, by the log-likelihood ratio.

    `place`: 0 where the samples of a reference are, 1 where those of the base are; `nearer`: by how
    many standard errors it is above the middle. Of several references, the least.
    """
    places, nearer = [], []
    for data, own, other in likelihoods.values():
        gap, error, _ = audit.contrast(data, held, own, null_held)
        width = audit.mean(own, null_held) - jnp.mean(other)
        places.append(1 + gap / width)
        nearer.append((places[-1] - 0.5) * width / error)
    return {name: jnp.min(jnp.stack(x)) for name, x in (("place", places), ("nearer", nearer))}
