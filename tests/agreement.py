"""A filter against an independent judge of the same documents: for the tests of carriers."""

import itertools

import fast
import jax.numpy as jnp
import numpy as np

from minisub.tokens import tokens

CHUNK = 1000
"""Documents at a time, so that one program serves all."""


def meaning(world):
    """Token -> its kind and number within that."""
    spans = itertools.pairwise(tokens.offsets(world).items())
    return {
        token: (kind, token - first)
        for (kind, first), (_, end) in spans
        for token in range(first, end)
    }


class Filter:
    """`rejections(docs)` of a carrier, whose `reasons` come in order; `judge` says one, or kept."""

    def __init__(self, rejections, reasons, judge):
        self.reasons, self.judge = reasons, judge

        @fast.jit
        def flags(docs):
            found = rejections(docs)
            assert tuple(found) == ("format", "correct")
            assert (*found["format"], *found["correct"]) == reasons
            return jnp.stack([*found["format"].values(), *found["correct"].values()])

        self.flags = flags

    def verdicts(self, docs):
        """Of each document its reason or "kept"; the filter never gives two reasons."""
        docs = np.asarray(docs)
        parts = [
            np.resize(docs[i : i + CHUNK], (CHUNK, docs.shape[1]))
            for i in range(0, len(docs), CHUNK)
        ]
        found = np.concatenate([self.flags(part) for part in parts], axis=1)[:, : len(docs)]
        assert (found.sum(axis=0) <= 1).all()
        return np.where(found.any(axis=0), np.array(self.reasons)[found.argmax(axis=0)], "kept")

    def agree(self, docs):
        """Assert that filter and judge agree; how often each verdict was given."""
        expected = [self.judge(doc) for doc in np.asarray(docs).tolist()]
        np.testing.assert_array_equal(self.verdicts(docs), expected)
        return {reason: expected.count(reason) for reason in dict.fromkeys(expected)}
