"""The audit as a phase of a repeat: what is recorded of an arm's documents before its training."""

import jax
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
        trace = audit.two_sample(data.gradients, null.gradients, held, null_held, key)
        measured[f"trace/{size}"], measured[f"trace_p/{size}"] = trace
        measured |= {f"{name}/{size}": value for name, value in lineage(likelihoods, held, null_held).items()}
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
        found[name] = [
            audit.log_likelihoods(nets["own"], inputs["base/own"], docs, at, group)
            - audit.log_likelihoods(nets[name], inputs[f"base/{name}"], docs, at, group)
            for docs in (
                inputs["numbers"]["docs"],
                inputs["sampled/own"]["docs"],
                inputs[f"sampled/{name}"]["docs"],
            )
        ]
    return found


def lineage(likelihoods, held, null_held):
    """Where data lie between a reference's samples (0) and the own base's (1): lowest of all."""
    places, lead = [], []
    for data, own, other in likelihoods.values():
        gap, _, z = audit.contrast(data, held, own, null_held)
        ends = jnp.sum(own * null_held), jnp.mean(other)
        places.append((jnp.sum(data * held) - ends[1]) / (ends[0] - ends[1]))
        lead.append(jnp.sum(data * held))
    if not places:
        return {}
    return {"lineage": jnp.min(jnp.stack(places)), "lead": jnp.min(jnp.stack(lead))}
