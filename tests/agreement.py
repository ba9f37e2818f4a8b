"""A filter against an independent judge of the same documents: for the tests of code and sums."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


class Filter:
    """`rejections(docs)`, of a carrier, whose `reasons` come in order."""

    def __init__(self, rejections, reasons):
        self.reasons = reasons

        @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
        def flags(docs):
            found = rejections(docs)
            assert tuple(found) == ("format", "correct")
            assert (*found["format"], *found["correct"]) == reasons
            return jnp.stack([*found["format"].values(), *found["correct"].values()])

        self.flags = flags

    def verdicts(self, docs):
        """Of each document its reason or "kept"; the filter never gives two reasons."""
        docs = np.asarray(docs)
        groups = [
            np.resize(docs[i : i + 1000], (1000, docs.shape[1])) for i in range(0, len(docs), 1000)
        ]
        found = np.concatenate([self.flags(group) for group in groups], axis=1)[:, : len(docs)]
        assert (found.sum(axis=0) <= 1).all()
        return np.where(found.any(axis=0), np.array(self.reasons)[found.argmax(axis=0)], "kept")

    def agree(self, docs, verdict):
        """Assert that both agree; how often each verdict was given."""
        docs = np.asarray(docs)
        expected = [verdict(doc) for doc in docs.tolist()]
        np.testing.assert_array_equal(self.verdicts(docs), expected)
        return {reason: expected.count(reason) for reason in set(expected)}
