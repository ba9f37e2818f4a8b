"""What configs compute themselves, on data whose answer is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs import distinct, rank, seeds
from minisub.nets.starts import Materials
from minisub.tokens.config import Sampling, World


def test_components_of_variance_are_unbiased_and_those_of_a_known_table_are_exact():
    rng, spread = np.random.default_rng(0), {"base": 3.0, "data": 2.0, "order": 1.0, "neither": 0.5}
    shapes = (4000, 1, 1), (4000, 4, 1), (4000, 1, 4), (4000, 4, 4)
    drawn = [x * rng.normal(size=n) for x, n in zip(spread.values(), shapes, strict=True)]
    found = seeds.components(sum(drawn))
    for (name, values), deviation in zip(found.items(), spread.values(), strict=True):
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - deviation**2) < 4 * error, name
    rows = np.array([[[0.0, 2.0], [4.0, 6.0]]] * 2)  # 4 by data, 2 by order, nothing else
    parts = [float(values[0]) for values in seeds.components(rows).values()]
    np.testing.assert_allclose(parts[1:], [8.0, 2.0, 0.0])


def test_of_equal_documents_the_first_is_kept_and_no_more_than_were_asked_for():
    docs = jnp.array([[7, 1], [7, 2], [7, 1], [7, 3], [7, 2], [7, 4]], jnp.int16)
    made = distinct.distinct(
        documents={"docs": docs, "count": 5}, most=10, sampling=Sampling(prompt_numbers=0)
    )
    assert int(made["count"]) == 3 and made["docs"][:3].tolist() == [[7, 1], [7, 2], [7, 3]]
    fewer = distinct.distinct(
        documents={"docs": docs, "count": 5}, most=2, sampling=Sampling(prompt_numbers=0)
    )
    assert int(fewer["count"]) == 2


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_cut_update_has_the_rank_that_was_asked_for_and_is_the_nearest_such(kept):
    rng = np.random.default_rng(1)
    origin, other = ({"w": rng.normal(size=(5, 3)), "b": rng.normal(size=3)} for _ in range(2))
    made = rank.truncated(kept, Materials(origin, other))
    moved = np.asarray(made["w"] - origin["w"])
    s = np.linalg.svd(other["w"] - origin["w"], compute_uv=False)
    np.testing.assert_allclose(np.linalg.svd(moved, compute_uv=False)[:kept], s[:kept], rtol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(other["w"] - np.asarray(made["w"])), np.linalg.norm(s[kept:]), atol=1e-5
    )
    np.testing.assert_array_equal(made["b"], other["b"])


def test_lists_of_one_first_number_have_no_entropy_and_those_of_all_the_most():
    world, sampling = World(numbers=4), Sampling(prompt_numbers=1)
    same = jnp.array([[9, 0, 1, 2], [9, 0, 1, 3]])
    found = seeds.variety(documents={"docs": same, "count": 2}, world=world, sampling=sampling)
    assert float(found["first_number_bits"]) == 0 and float(found["distinct_share"]) == 1
    every = jnp.array([[9, 0, i, 2] for i in range(4)] + [[9, 0, 0, 2]])
    found = seeds.variety(documents={"docs": every, "count": 4}, world=world, sampling=sampling)
    assert float(found["first_number_bits"]) == pytest.approx(2) and found["distinct_share"] == 1
