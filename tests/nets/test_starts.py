"""What each start claims to keep and to change."""

import jax
import numpy as np
import pytest
from same import by_path, differing, equal, vector

from configs import relabeling
from minisub.config import Refused
from minisub.nets import starts
from minisub.nets.transformer import Relabeling

SIZES = {"fc1": (16, 32), "fc2": (32, 24), "head": (24, 5)}
RELABELINGS = (
    Relabeling(32, (("fc1/kernel", 1, 1), ("fc1/bias", 0, 1), ("fc2/kernel", 0, 1))),
    Relabeling(24, (("fc2/kernel", 1, 1), ("fc2/bias", 0, 1), ("head/kernel", 0, 1))),
)


def drawn(seed):
    rng = np.random.default_rng(seed)

    def layer(shape):
        kernel = rng.normal(size=shape) / np.sqrt(shape[0])
        return {"kernel": kernel.astype("f"), "bias": rng.normal(size=shape[1]).astype("f")}

    return {name: layer(shape) for name, shape in SIZES.items()}


ORIGIN, OTHER = drawn(0), drawn(1)
ORIGIN["fc1"]["bias"][:] = OTHER["fc1"]["bias"][:] = 0.25  # constant, and equal in both


def logits(params):
    """A ReLU network on fixed inputs."""
    x = np.random.default_rng(9).normal(size=(7, 16)).astype("f")
    for name in SIZES:
        x = x @ params[name]["kernel"] + params[name]["bias"][None]
        x = x if name == "head" else jax.nn.relu(x)
    return x


ALL = (
    starts.fresh, starts.interpolated, starts.rotated, starts.perturbed,
    starts.perturbed_relative, starts.permuted, relabeling.rescaled, relabeling.rebalanced,
)  # fmt: skip
LAYERS = (), ("fc1",), ("fc2",)


@pytest.fixture(scope="module")
def made(quick):
    """(amount, seed) -> {(start, layers): parameters}, in one program for all."""

    @quick
    def every(amount, seed, other):
        given = starts.Materials(ORIGIN, other, jax.random.key(seed), amount, RELABELINGS)
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


def test_the_starts_that_read_another_origin_are_those_said_to(made):
    unknown = made(0.5, 5, jax.tree.map(lambda x: np.nan * x, OTHER))
    read = {name for (name, _), tree in unknown.items() if np.isnan(vector(tree)).any()}
    assert read == {how.__name__ for how in starts.NEED_OTHER}


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


def test_symmetries_change_the_weights_of_chosen_units_and_not_the_function(half):
    changed = {
        ("permuted", ()): set(SIZES),
        ("permuted", ("fc1",)): {"fc1", "fc2"},
        ("permuted", ("fc2",)): {"fc2", "head"},
        ("rebalanced", ()): set(SIZES),
    }
    for which, expected in changed.items():
        tree = half[which]
        np.testing.assert_allclose(logits(tree), logits(ORIGIN), rtol=1e-4, atol=1e-5)
        assert {path.split("/")[0] for path in differing(tree, ORIGIN)} == expected


def test_permuted_keeps_every_weight_in_an_order_of_its_key_and_rebalanced_scales(made, half):
    other = made(0.5, 6)["permuted", ()]
    for path, x in by_path(half["permuted", ()]).items():
        np.testing.assert_array_equal(np.sort(x.ravel()), np.sort(by_path(ORIGIN)[path].ravel()))
        if path.endswith("kernel"):
            assert (x != by_path(other)[path]).any()
    scaled = half["rebalanced", ()]
    equal(scaled["fc1"], jax.tree.map(lambda x: x / 2, ORIGIN["fc1"]))
    equal(scaled["head"], ORIGIN["head"] | {"kernel": ORIGIN["head"]["kernel"] * 2})


def test_a_permutation_acts_alike_within_every_block():
    before = {
        "conv": {"kernel": np.arange(4.0)[None]},
        "fc": {"kernel": np.arange(12.0)[:, None]},
        "wide": {"kernel": np.arange(24.0)[:, None]},
    }
    groups = (Relabeling(4, (("conv/kernel", 1, 1), ("fc/kernel", 0, 3), ("wide/kernel", 0, 3))),)
    given = starts.Materials(before, before, jax.random.key(3), relabelings=groups)
    after = starts.make(starts.permuted, (), given)
    order = after["conv"]["kernel"].ravel().astype(int)
    assert list(order) != [0, 1, 2, 3]
    for name, shape in ("fc", (3, 4)), ("wide", (3, 4, 2)):
        expected = np.arange(np.prod(shape)).reshape(shape)[:, order]
        np.testing.assert_array_equal(after[name]["kernel"].reshape(shape), expected)


def test_layers_restrict_a_start_and_what_happens_in_one_does_not_depend_on_the_others(half):
    for how in ALL:
        name, tree = how.__name__, half[how.__name__, ("fc2",)]
        if how is relabeling.rebalanced:
            continue  # of all units
        if how is starts.permuted:  # which feeds others
            equal(half[name, ("fc1",)]["fc1"], half[name, ()]["fc1"])
            continue
        equal((tree["fc1"], tree["head"]), (ORIGIN["fc1"], ORIGIN["head"]))
        equal(tree["fc2"], half[name, ()]["fc2"])


def test_what_a_start_cannot_do_is_refused():
    given = starts.Materials(ORIGIN, OTHER, jax.random.key(0), 2.0, RELABELINGS)
    for how, layers, said in (
        (starts.fresh, ("fc9",), "fc9"),
        (starts.permuted, ("head",), "hidden units"),
    ):
        with pytest.raises(Refused, match=said):
            starts.make(how, layers, given)
    with pytest.raises(Refused, match="hidden units"):
        starts.make(relabeling.rebalanced, (), given._replace(relabelings=()))
    starts.check(starts.permuted, None)
    for how, said in ("fresh", "is a function"), (starts.fresh, "another one"):
        with pytest.raises(Refused, match=said):
            starts.check(how, None)
