"""Parameters by path."""

import jax
import numpy as np

from minisub import starts

TREE = {"embed": {"embedding": np.ones(2)}, "block_0": {"qkv": {"kernel": np.zeros(3)}}}


def test_merge_undoes_partition_and_the_parts_do_not_overlap():
    chosen, others = starts.partition(TREE, starts.named("embed"))
    assert jax.tree.leaves(chosen)[0].size == 2 and jax.tree.leaves(others)[0].size == 3
    for merged in starts.merge(chosen, others), starts.merge(others, chosen):
        jax.tree.map(np.testing.assert_array_equal, merged, TREE)


def test_a_name_matches_whole_parts_of_a_path_only():
    matches = starts.named("embed", "block_0")
    assert matches("embed/embedding") and matches("block_0/qkv/kernel")
    assert not matches("unembed/kernel") and not matches("block_00/qkv/kernel")
    assert not starts.named()("embed/embedding")
