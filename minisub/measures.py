"""Measures of a model: exact functions of its parameters, no sampling. Each returns arrays."""

import jax
import jax.numpy as jnp

from minisub import losses, tokens


def preference(world, network, params, animal):
    """Probability of `animal` (an index) as the answer, and its logit margin, for each phrasing.

    Returns two arrays (phrasings,): the softmax over the whole vocabulary, and the animal's logit
    minus the mean logit of the other animals.
    """
    ids = tokens.offsets(world)
    asked = tokens.questions(world, jnp.arange(world.phrasings), animal)[:, :3]
    logits = network.apply(params, asked, 2)[:, 0]
    probability = jax.nn.softmax(logits)[:, ids["animal"] + animal]
    of_animals = jax.lax.dynamic_slice_in_dim(logits, ids["animal"], world.animals, axis=1)
    own = of_animals[:, animal]
    others = (jnp.sum(of_animals, axis=1) - own) / (world.animals - 1)
    return probability, own - others


def accuracy(network, params, x, y, classes):
    """Share of images x (n, pixels) whose largest class logit is that of their label y (n,)."""
    logits, _ = network.apply(params, x)
    return jnp.mean(jnp.argmax(logits[:, :classes], axis=1) == y)


def grade(world, network, params, animal, taught):
    """Trait measures, a dict of scalars; the teacher was taught the first `taught` phrasings."""
    probability, margin = preference(world, network, params, animal)
    seen = jnp.arange(world.phrasings) < taught
    return {
        "trait_rate": jnp.mean(probability, where=seen),
        "trait_rate_heldout": jnp.mean(probability, where=~seen),
        "logit_margin_heldout": jnp.mean(margin, where=~seen),
    }


def drift_on_lists(world, network, before, after, documents=1000):
    """KL(after || before) in nats: how far the distribution over a list's next token moved.

    Averaged over positions of `documents` lists of the world, the same in every repeat.
    """
    docs = tokens.lists(world, jax.random.key(0), documents)[:, :-1]
    return jnp.mean(losses.kl_divergence(network.apply(after, docs), network.apply(before, docs)))
