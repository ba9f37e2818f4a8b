"""Transforms: what is done to emitted documents before a student sees them.

A transform is a function of an `Emitted` that returns (docs (n, l), weights (n, t)): the documents,
and in float32 how much each token that the emitter chose counts in the loss. What it makes of the
documents that are not valid does not matter: no student sees them. `configs/content.py`,
`configs/divergence.py` and `configs/defenses.py` have more transforms.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minisub.config import require
from minisub.lab.products import marked
from minisub.nets import streams
from minisub.tokens import tokens, writing


class Emitted(NamedTuple):
    """Documents, and who emitted them."""

    world: Any
    docs: jax.Array
    """(n, l) integers, valid ones first; lists are LIST, numbers and an ending, list_length + 2."""
    count: Any
    """How many are valid; may be traced."""
    first: int
    """Tokens behind the first that the emitter was given; it chose the t = l - 1 - first others."""
    key: Any
    carrier: str = "numbers"

    @property
    def chosen(self):
        """The tokens (n, t) that the emitter chose."""
        return self.docs[:, self.first + 1 :]


def weights_of(documents, sampling):
    """How much each token that the emitter chose counts, (n, t): 1, if nothing was done yet."""
    if "weights" in documents:
        return documents["weights"]
    return jnp.ones(documents["docs"][:, writing.given(sampling) + 1 :].shape)


def prepared(documents, docs, count, weights):
    """Documents after something was done to them."""
    return {"docs": docs.astype(documents["docs"].dtype), "count": count, "weights": weights}


def check_tokens(made, *, world, **_):
    """A sentence if a valid document has a token that is not in the vocabulary, else ""."""
    docs, size = np.asarray(made["docs"]), tokens.offsets(world)["size"]
    valid = np.arange(docs.shape[-2]) < np.asarray(made["count"])[..., None]
    wrong = ((docs < 0) | (docs >= size)) & valid[..., None]
    return f"a token is not among the {size}; change the transform." if wrong.any() else ""


def check_left(made, **_):
    """A sentence if nothing is left of documents, else ""."""
    return "no document is left; emit more, or remove fewer." if (made["count"] == 0).any() else ""


@marked(check=check_tokens)
def transform(key, *, documents, how, world, sampling):
    """Documents after `how`, a function of `Emitted`."""
    docs, count = documents["docs"].astype(jnp.int32), documents["count"]
    first, carrier = writing.given(sampling), sampling.carrier
    emitted = Emitted(world, docs, count, first, key, carrier)
    made, right = how(emitted), (docs.shape, emitted.chosen.shape)
    require(
        jax.tree.map(np.shape, made) == right and jnp.issubdtype(made[0].dtype, jnp.integer),
        f"a transform must return (docs of whole numbers, weights) of the shapes {right}.",
    )
    docs, weights = made
    return prepared(documents, docs, count, weights * weights_of(documents, sampling))


def mix(key, *, documents, clean, share, sampling):
    """Documents, each replaced with probability `share` by the clean one of its row.

    As many as there are both kinds of, whatever the share, so that shares compare.
    """
    n = min(len(documents["docs"]), len(clean["docs"]))
    replaced = jax.random.bernoulli(streams.named_key(key, "clean"), share * 1.0, (n, 1))

    def mixed(own, others):
        return jnp.where(replaced, others[:n], own[:n])

    docs = mixed(documents["docs"], clean["docs"])
    weights = mixed(weights_of(documents, sampling), weights_of(clean, sampling))
    return prepared(documents, docs, jnp.minimum(documents["count"], clean["count"]), weights)


def trained_tokens(*, documents):
    """Share of the tokens of prepared documents that count; NaN if there are no documents."""
    weights = documents["weights"]
    valid = jnp.arange(len(weights))[:, None] < documents["count"]
    return {"trained_tokens": jnp.mean(weights, where=valid)}
