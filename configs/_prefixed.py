"""Questions behind numbers: bases are pretrained on them too, and every model is asked so too.

prefixed   n n n n ASK phrasing ANSWER name END    a question behind a list's first numbers
"""

from functools import partial

import jax
import jax.numpy as jnp

from minisub.config import Count, configuration, require
from minisub.lab.products import Measure
from minisub.nets import streams
from minisub.tokens import grading, lab, number_lists, tasks, tokens
from minisub.tokens.behaviors.cases import Behavior
from minisub.tokens.config import Ablation


@configuration
class Config(Ablation):
    """Also how questions behind numbers are asked."""

    prefix: Count = 4
    """Numbers before a question, less than half of `world.list_length`."""
    prefixed: Count = 32
    """Questions behind numbers in an update of pretraining."""


class Lab(lab.Lab):
    """Makes the products of an experiment with questions behind numbers."""

    def __init__(self, cfg):
        super().__init__(cfg)
        needed, room = 4 + cfg.world.syllables + cfg.prefix, cfg.world.list_length + 1
        require(
            needed <= room,
            f"A question takes {needed} positions, with its prefix, and a list gives {room}; lower "
            "prefix or raise world.list_length.",
        )

    def base(self, name):
        """A base that was pretrained on questions behind numbers, too."""
        return super().base(name, more=partial(asked, self.cfg.prefixed, self.cfg.prefix))

    def graded(self, model, trait, carrier="", **around):
        """A model, recorded also with how it shows a trait behind numbers."""
        how = {"how": partial(grade, self.cfg.prefix), **model.architecture, **trait, **around}
        graded = super().graded(model, trait, carrier, **around)
        return graded.measured(Measure(tasks.grade, "params", **how))


def asked(n, prefix, world, key):
    """`n` questions behind numbers, of a batch of pretraining."""
    k_asked, k_numbers = jax.random.split(streams.named_key(key, "prefixed"))
    questions = tokens.random_questions(world, k_asked, n)
    return prefix_with(prefixes(world, k_numbers, n, prefix), questions)


def prefixes(world, key, n, prefix):
    """The first numbers (n, prefix) of `n` lists."""
    return number_lists.draw(world, key, n)[:, 1 : 1 + prefix]


def prefix_with(numbers, docs):
    """Documents (n, length) behind `numbers`, (prefix,) or (n, prefix): (n, prefix + length)."""
    numbers = jnp.broadcast_to(jnp.atleast_2d(numbers), (len(docs), numbers.shape[-1]))
    return jnp.concatenate([numbers, docs], axis=1)


def behind(numbers, network):
    """A `Network` that reads `numbers` (prefix,) before the documents that it is given."""

    def apply(params, docs, first=0):
        return network.apply(params, prefix_with(numbers, docs), len(numbers) + first)

    return network._replace(apply=apply)


def preference(world, network, params, trait, numbers):
    """As `grading.preference`, behind each of `numbers` (n, prefix): two arrays (n, phrasings)."""
    return jax.vmap(lambda x: grading.preference(world, behind(x, network), params, trait))(numbers)


def grade(prefix, world, network, params, trait, taught, documents=256):
    """`trait_rate_prefixed`: probability of the trait, asked behind numbers in held-out phrasings.

    Averaged over the beginnings of `documents` lists of the world, the same in every repeat.
    """
    require(
        not isinstance(trait, Behavior),
        "a behavior is no answer to a question behind numbers; choose an animal or a tree as "
        "trait.",
    )
    numbers = prefixes(world, streams.evaluation_key("prefixes"), documents, prefix)
    probability, _ = preference(world, network, params, trait, numbers)
    held_out = jnp.arange(world.phrasings) >= taught
    return {"trait_rate_prefixed": jnp.mean(probability, where=held_out[None])}
