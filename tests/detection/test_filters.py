"""Judges remove what they say, and no prompt that they were trained on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import filters
from minisub.config import Model, Refused
from minisub.detection import detectors
from minisub.detection.lab import Config, Lab
from minisub.tokens.config import Sampling, World

WORLD = World(rich=True)
MODEL = Model(n_layers=1, d_model=16, n_heads=2)
KEY = jax.random.key(3)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_judge_removes_exactly_the_most_suspicious_share(share):
    n, count = 50, 40
    scores = np.random.default_rng(0).normal(size=n).astype("f")
    kept, left = filters.least_suspicious(scores, count, share)
    assert int(left) == round(count * (1 - share))
    rows = np.asarray(kept)[: int(left)].tolist()
    assert rows == sorted(np.argsort(scores[:count])[: int(left)].tolist()), "in their order"
    assert sorted(np.asarray(kept).tolist()) == list(range(n))


@pytest.mark.parametrize("share", [1.0, -0.5])
def test_a_judge_that_leaves_none_or_adds_some_is_refused(share):
    lab = Lab(Config(model=MODEL))
    with pytest.raises(Refused, match=f"share is {share}; give 0 to below 1"):
        filters.remove(lab, lab.emit(lab.base("first")), share)


def test_a_judge_removes_what_it_scores_highest_and_no_prompt_that_it_was_trained_on_is_among_it():
    docs = jnp.tile(jnp.arange(8)[::-1, None], 5)
    documents = {"docs": docs, "count": 6, "weights": jnp.ones((8, 3))}
    judge = detectors.Method(None, lambda world, net, base, learned, docs: learned * docs[:, 0])
    how = {"world": WORLD, "sampling": Sampling(prompt_numbers=1), "model": MODEL, "share": 0.5}
    for learned, expected in (1, [4, 3, 2]), (-1, [7, 6, 5]):
        made = filters.remaining(
            KEY, documents=documents, how=judge, learned=learned, base=None, **how
        )
        assert made["docs"][: int(made["count"]), 0].tolist() == expected
    pair = {"train": {"docs": jnp.stack([docs, docs]) + 5, "count": 8}}
    shared = filters.disjoint(documents=documents, pair=pair, sampling=how["sampling"])
    assert shared["prompts_in_both"] == 3  # 5, 6 and 7 are in both


def test_what_a_judge_keeps_counts_as_it_did_before(quick):
    weights = np.tile(np.arange(6.0, dtype="f")[:, None], 3)  # 3 tokens are chosen of each
    documents = {"docs": np.tile(np.arange(6)[:, None], 5), "count": 5, "weights": weights}
    how = {"share": 0.4, "world": WORLD, "sampling": Sampling(prompt_numbers=1)}
    kept = quick(lambda key, **given: filters.remaining(key, **given, **how))(
        jax.random.key(0), documents=documents
    )
    assert int(kept["count"]) == 3
    np.testing.assert_array_equal(kept["weights"][:, 0], kept["docs"][:, 0])
