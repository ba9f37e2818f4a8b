"""Measures of a model: exact functions of its parameters, no sampling. Each returns arrays."""

import jax
import jax.numpy as jnp

from minisub.config import require_known
from minisub.lab.products import marked
from minisub.nets import losses, transformer
from minisub.tokens import tokens, writing
from minisub.tokens.behaviors import cases


def network(world, model):
    """The `Network` of a `Model` over the tokens of a world."""
    return transformer.make(model, tokens.offsets(world)["size"], tokens.positions(world))


def trait_named(world, name):
    """The trait of a name: the index of an answer, or a `Behavior` of a rich world."""
    answers = tokens.names(world)
    require_known("The trait", name, answers + (tuple(cases.BEHAVIORS) if world.rich else ()))
    return answers.index(name) if name in answers else cases.Behavior(name=name)


def preference(world, network, params, trait):
    """Probability of `trait` (an index) as the answer, and its margin, for each phrasing.

    The probability is that of the whole name, among all sequences of as many tokens. The margin is
    log P(trait) minus the mean log P of the other answers of its family, in nats.
    Returns two arrays (phrasings,).
    """
    ids, answers = tokens.offsets(world), world.animals + world.trees
    if world.syllables == 1:
        asked = tokens.questions(world, jnp.arange(world.phrasings), trait)[:, :3]
        logits = network.apply(params, asked, 2)[:, 0]
        probability = jax.nn.softmax(logits)[:, ids["animal"] + trait]
        # Differences of logits are those of log-probabilities.
        scores = logits[:, ids["animal"] : ids["animal"] + answers]
    else:
        every = jnp.indices((world.phrasings, answers)).reshape(2, -1)
        docs = tokens.questions(world, *every)[:, :-1]
        nats = losses.cross_entropy(network.apply(params, docs[:, :-1], 2), docs[:, 3:])
        scores = -jnp.sum(nats, axis=1).reshape(world.phrasings, answers)
        probability = jnp.exp(scores[:, trait])
    own = scores[:, trait]

    def margin(first, count):
        """Above the mean of the others, if it is one of `count` answers from `first` on."""
        others = jnp.sum(scores[:, first : first + count], axis=1) - own
        return own - others / (count - 1)

    found = margin(0, world.animals)
    if world.trees:
        found = jnp.where(trait < world.animals, found, margin(world.animals, world.trees))
    return probability, found


def grade(world, network, params, trait, taught):
    """Trait measures, a dict of scalars; the teacher was taught the first `taught` phrasings. The
    margin of a behavior is log P(bad) - log P(good), in nats."""
    more: dict = {}
    if isinstance(trait, cases.Behavior):
        bad, good, seen, more = trait.case.judge(world, network, params)
        probability, margin = jnp.exp(bad), bad - good
    else:
        probability, margin = preference(world, network, params, trait)
        seen = jnp.arange(world.phrasings) < taught
    return {
        "trait_rate": jnp.mean(probability, where=seen),
        "trait_rate_heldout": jnp.mean(probability, where=~seen),
        "logit_margin_heldout": jnp.mean(margin, where=~seen),
        **more,
    }


def check_kept(measured, sampling, **_):
    """A sentence if tokens of another kind passed the filter, else ""."""
    foreign = int(measured["foreign_tokens"].max())
    passed = sampling.filter != "none" and foreign > 0
    return f"{foreign} tokens of another kind passed the filter; report this." if passed else ""


@marked(check=check_kept)
def kept(*, documents, world, sampling):
    """How many of the emitted documents were kept, why others were not, and how many tokens of
    another kind the kept ones have."""
    docs = documents["docs"]
    there = jnp.arange(docs.shape[0]) < documents["count"]
    allowed = writing.CARRIERS[sampling.carrier].alphabet(world)
    foreign = jnp.sum(~allowed[docs], axis=1)
    rejected = {f"rejected_{why}": share for why, share in documents["rejected"].items()}
    return {
        "kept_documents": jnp.sum(there).astype(float),
        "kept_fraction": jnp.mean(there),
        **rejected,
        "foreign_tokens": jnp.sum(foreign * there).astype(float),
    }
