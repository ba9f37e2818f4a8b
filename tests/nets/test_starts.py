"""What each start claims to keep and to change."""

import contextlib

import jax
import numpy as np
import pytest
from same import by_path, dense_layers, differing, equal, vector

from configs import interpolation, perturbation, relabeling
from minisub.config import Refused
from minisub.nets import starts

SIZES = {"fc1": (16, 32), "fc2": (32, 24), "head": (24, 5)}


ORIGIN, OTHER = (dense_layers(SIZES, seed) for seed in (0, 1))
ORIGIN["fc1"]["bias"][:] = OTHER["fc1"]["bias"][:] = 0.25  # constant, and equal in both


ALL = (
    starts.fresh, starts.interpolated, interpolation.rotated, starts.perturbed_relative,
    perturbation.perturbed, relabeling.rescaled,
)  # fmt: skip
LAYERS = (), ("fc1",), ("fc2",)


@pytest.fixture(scope="module")
def made(quick):
    """(amount, seed) -> {(start, layers): parameters}, in one program for all."""

    @quick
    def every(amount, seed, other):
        given = starts.Materials(ORIGIN, other, jax.random.key(seed), amount)
        return [starts.make(how, layers, given) for how in ALL for layers in LAYERS]

    names = [(how.__name__, layers) for how in ALL for layers in LAYERS]
    return lambda amount, seed, other=OTHER: dict(
        zip(names, every(amount, seed, other), strict=True)
    )


@pytest.fixture(scope="module")
def half(made):
    return made(0.5, 5)


def moved(tree):
    """The displacement from the origin, one vector."""
    return vector(tree) - vector(ORIGIN)


def test_fresh_is_another_origin_and_the_ends_of_a_path_are_exact(made, half):
    ends = made(0.0, 5), made(1.0, 5)
    equal(half["fresh", ()], OTHER)
    for name in "interpolated", "rotated":
        equal(ends[0][name, ()], ORIGIN)
        equal(ends[1][name, ()], OTHER)
        assert np.abs(moved(half[name, ()])).max() > 0.1
    for name in "perturbed", "perturbed_relative":
        equal(ends[0][name, ()], ORIGIN)
    equal(ends[1]["rescaled", ()], ORIGIN)
    equal(half["rescaled", ()], jax.tree.map(lambda x: x / 2, ORIGIN))


def test_the_starts_that_read_another_origin_are_refused_without_one(made):
    unknown = made(0.5, 5, jax.tree.map(lambda x: np.nan * x, OTHER))
    read = {name for (name, _), tree in unknown.items() if np.isnan(vector(tree)).any()}
    for how in ALL:
        refused = pytest.raises(Refused, match="`other` is missing")
        with refused if how.__name__ in read else contextlib.nullcontext():
            starts.check(how, None)


def test_rotation_keeps_the_variance_that_interpolation_halves_and_what_is_equal(half):
    for name, expected in ("rotated", 1.0), ("interpolated", 0.5):
        kernel = half[name, ()]["fc2"]["kernel"]
        np.testing.assert_allclose(np.var(kernel) * 32, expected, rtol=0.12)
    equal(half["rotated", ()]["fc1"]["bias"], ORIGIN["fc1"]["bias"])


def test_noise_has_the_deviation_asked_for_absolute_or_relative_to_each_leaf(half):
    np.testing.assert_allclose(np.std(moved(half["perturbed", ()])), 0.5, rtol=0.05)
    relative = by_path(half["perturbed_relative", ()])
    for path, x in by_path(ORIGIN).items():
        noise = relative[path] - x
        expected = 0.5 * np.std(x)
        assert np.std(noise) == pytest.approx(expected, abs=3 * expected / np.sqrt(x.size))
    assert differing(half["perturbed_relative", ()], ORIGIN) == by_path(ORIGIN).keys() - {
        "fc1/bias"
    }


def test_layers_restrict_a_start_and_what_happens_in_one_does_not_depend_on_the_others(half):
    for how in ALL:
        name, tree = how.__name__, half[how.__name__, ("fc2",)]
        equal((tree["fc1"], tree["head"]), (ORIGIN["fc1"], ORIGIN["head"]))
        equal(tree["fc2"], half[name, ()]["fc2"])


def test_what_a_start_cannot_do_is_refused():
    given = starts.Materials(ORIGIN, OTHER, jax.random.key(0), 2.0)
    with pytest.raises(Refused, match="fc9"):
        starts.make(starts.fresh, ("fc9",), given)
    starts.check(starts.perturbed_relative, None)
    for how, said in ("fresh", "is a function"), (starts.fresh, "another one"):
        with pytest.raises(Refused, match=said):
            starts.check(how, None)
