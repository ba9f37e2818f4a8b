"""Parameters by path, and what each start claims to keep and to change."""

from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import starts
from minisub.config import Refused

TREE = {"embed": {"embedding": np.ones(2)}, "block_0": {"qkv": {"kernel": np.zeros(3)}}}
SIZES = {"fc1": (16, 32), "fc2": (32, 24), "head": (24, 5)}
Relabeling = namedtuple("Relabeling", "size members")
RELABELINGS = (
    Relabeling(32, (("fc1/kernel", 1, 1), ("fc1/bias", 0, 1), ("fc2/kernel", 0, 1))),
    Relabeling(24, (("fc2/kernel", 1, 1), ("fc2/bias", 0, 1), ("head/kernel", 0, 1))),
)


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


def test_a_name_may_be_several_parts_and_one_with_a_tilde_leaves_out():
    paths = "block_0/qkv/kernel", "block_0/up/kernel", "block_1/qkv/kernel", "embed/embedding"

    def chosen(*names):
        return [i for i, path in enumerate(paths) if starts.named(*names)(path)]

    assert chosen("block_0/qkv") == [0] and chosen("block_0/kernel") == []
    assert chosen("~block_0/qkv") == [1, 2, 3] and chosen("~block_0", "~embed") == [2]
    assert chosen("block_0", "embed", "~qkv") == [1, 3]
    tree = {"block_0": {"qkv": {"kernel": np.zeros(3)}}}
    starts.require_layers(("block_0/qkv", "~qkv"), [tree, tree])
    for name in "block_0/up", "~up":
        with pytest.raises(Refused, match=r"No parameter is in '(block_0/)?up'"):
            starts.require_layers((name,), tree)


def origin(seed, bias=0.0, sizes=SIZES):
    keys = zip(sizes.items(), jax.random.split(jax.random.key(seed), len(sizes)), strict=True)
    return {
        name: {
            "kernel": jax.random.normal(key, shape) / np.sqrt(shape[0]),
            "bias": bias * jax.random.normal(jax.random.fold_in(key, 1), shape[1:]),
        }
        for (name, shape), key in keys
    }


def logits(params):
    """A ReLU network on fixed inputs."""
    x = jax.random.normal(jax.random.key(9), (7, 16))
    for name in SIZES:
        x = x @ params[name]["kernel"] + params[name]["bias"][None]
        x = x if name == "head" else jax.nn.relu(x)
    return x


def gradient(params):
    return jax.grad(lambda p: jnp.sum(logits(p)[:, :3] ** 2))(params)


def materials(amount=0.0, bias=0.0, seed=5):
    key = jax.random.key(seed)
    return starts.Materials(origin(0, bias), origin(1, bias), key, amount, gradient, RELABELINGS)


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def flat(tree):
    return np.concatenate([np.ravel(x).astype(np.float64) for x in jax.tree.leaves(tree)])


def moved(name, amount, layers=()):
    """The displacement from the origin, one vector."""
    given = materials(amount, bias=0.1)
    return flat(starts.make(name, layers, given)) - flat(given.origin)


def test_shared_is_the_origin_and_fresh_another():
    given = materials()
    equal(starts.make("shared", (), given), given.origin)
    equal(starts.make("fresh", (), given), given.other)


def test_the_starts_that_read_another_origin_are_those_said_to(quick):
    given = materials(0.5)
    unknown = given._replace(other=jax.tree.map(lambda x: jnp.nan * x, given.other))
    made = quick(lambda: {name: starts.make(name, (), unknown) for name in starts.STARTS})()
    assert {name for name, x in made.items() if np.isnan(flat(x)).any()} == starts.NEEDS_OTHER


@pytest.mark.parametrize("name", ["interpolated", "rotated"])
def test_the_ends_of_a_path_between_origins_are_exact(name):
    given = materials()
    made = jax.jit(lambda t: starts.make(name, (), given._replace(amount=t)))
    equal(made(0.0), given.origin)
    equal(made(1.0), given.other)
    assert np.abs(flat(made(0.5)) - flat(given.origin)).max() > 0.1


def test_rotation_keeps_the_variance_that_interpolation_halves():
    for name, expected in ("rotated", 1.0), ("interpolated", 0.5):
        given = materials(0.5)
        made = starts.make(name, (), given)["fc2"]["kernel"]
        np.testing.assert_allclose(jnp.var(made) * 32, expected, rtol=0.12)


def test_rotation_leaves_what_is_equal_in_both_origins():
    scales = {"norm": jnp.ones(3)}
    equal(starts.rotated(starts.Materials(scales, scales, amount=0.5)), scales)


def test_perturbations_have_the_standard_deviation_asked_for():
    np.testing.assert_allclose(np.std(moved("perturbed", 0.3)), 0.3, rtol=0.05)
    assert np.all(moved("perturbed", 0.0) == 0)
    given = materials(2.0)
    made = starts.make("perturbed_relative", (), given)
    for name in SIZES:
        kernel = given.origin[name]["kernel"]
        noise = np.asarray(made[name]["kernel"] - kernel)
        np.testing.assert_allclose(noise.std() / np.std(kernel), 2.0, rtol=0.15)
        equal(made[name]["bias"], given.origin[name]["bias"])


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_relative_noise_leaves_constants(value):
    constant = {"scale": jnp.full(77, value)}
    given = starts.Materials(constant, constant, jax.random.key(0), 5.0)
    equal(starts.make("perturbed_relative", (), given), constant)


@pytest.mark.parametrize("layers", [(), ("fc2",)])
def test_orthogonal_noise_has_no_part_along_the_gradient_and_the_norm_of_noise(layers):
    slope = flat(gradient(origin(0, bias=0.1)))
    noise, turned = moved("perturbed", 0.5, layers), moved("perturbed_orthogonal", 0.5, layers)
    np.testing.assert_allclose(np.linalg.norm(turned), np.linalg.norm(noise), rtol=1e-5)
    cosine = lambda v: v @ slope / np.linalg.norm(v) / np.linalg.norm(slope)  # noqa: E731
    assert abs(cosine(turned)) < 1e-6 < 1e-3 < abs(cosine(noise))
    # One direction of thousands is removed, and nothing else.
    assert noise @ turned / np.linalg.norm(noise) ** 2 > 0.9


def test_orthogonal_noise_is_noise_where_there_is_no_gradient():
    given = materials(0.5)
    flatland = given._replace(gradient=lambda params: jax.tree.map(jnp.zeros_like, params))
    made = flat(starts.make("perturbed_orthogonal", (), flatland))
    np.testing.assert_allclose(made, flat(starts.make("perturbed", (), given)), atol=1e-6)


@pytest.mark.parametrize("layers", [(), ("fc1",), ("fc2",)])
@pytest.mark.parametrize(("name", "amount"), [("permuted", 0.0), ("rebalanced", 3.0)])
def test_symmetries_change_the_weights_and_not_the_function(name, amount, layers):
    given = materials(amount, bias=0.5)
    made = starts.make(name, layers, given)
    np.testing.assert_allclose(logits(made), logits(given.origin), rtol=1e-4, atol=1e-5)
    changed = {k for k in SIZES if np.abs(flat(made[k]) - flat(given.origin[k])).max() > 0.1}
    assert changed == {(): set(SIZES), ("fc1",): {"fc1", "fc2"}, ("fc2",): {"fc2", "head"}}[layers]


def test_permutation_keeps_every_weight_and_takes_another_order_with_another_key():
    one, two = (starts.make("permuted", (), materials(bias=0.5, seed=s)) for s in (0, 1))
    for name in SIZES:
        assert not np.array_equal(one[name]["kernel"], two[name]["kernel"])
        equal(jnp.sort(jnp.ravel(one[name]["kernel"])), jnp.sort(jnp.ravel(two[name]["kernel"])))


def test_a_permutation_acts_alike_within_every_block():
    before = {
        "conv": {"kernel": jnp.arange(4.0)[None]},
        "fc": {"kernel": jnp.arange(12.0)[:, None]},
        "wide": {"kernel": jnp.arange(24.0)[:, None]},
    }
    groups = ((4, (("conv/kernel", 1, 1), ("fc/kernel", 0, 3), ("wide/kernel", 0, 3))),)
    given = starts.Materials(before, before, jax.random.key(3), relabelings=groups)
    after = starts.make("permuted", (), given)
    order = after["conv"]["kernel"].ravel().astype(int)
    assert list(order) != [0, 1, 2, 3]
    blocks = after["fc"]["kernel"].reshape(3, 4)
    np.testing.assert_array_equal(blocks, np.arange(12).reshape(3, 4)[:, order])
    pairs = after["wide"]["kernel"].reshape(3, 4, 2)
    np.testing.assert_array_equal(pairs, np.arange(24).reshape(3, 4, 2)[:, order])


def test_rebalancing_scales_into_units_up_and_out_of_them_down():
    given = materials(2.0, bias=0.5)
    made = starts.make("rebalanced", ("fc1",), given)
    equal(made["fc1"], jax.tree.map(lambda x: 2 * x, given.origin["fc1"]))
    equal(made["fc2"]["kernel"], given.origin["fc2"]["kernel"] / 2)
    equal(made["fc2"]["bias"], given.origin["fc2"]["bias"])


def test_rescaling_multiplies_everything():
    given = materials(0.5, bias=0.5)
    equal(starts.make("rescaled", (), given), jax.tree.map(lambda x: x / 2, given.origin))


@pytest.mark.parametrize("name", sorted(set(starts.STARTS) - {"permuted", "rebalanced", "shared"}))
def test_layers_restrict_a_start_and_leave_the_others_bitwise(name):
    given = materials(0.5, bias=0.1)
    made, everywhere = (starts.make(name, layers, given) for layers in (("fc2",), ()))
    for layer in "fc1", "head":
        equal(made[layer], given.origin[layer])
    assert not np.array_equal(made["fc2"]["kernel"], given.origin["fc2"]["kernel"])
    # Noise in a layer does not depend on which layers are chosen; orthogonal noise has to.
    if name != "perturbed_orthogonal":
        equal(made["fc2"], everywhere["fc2"])


def test_permutations_of_a_layer_do_not_depend_on_which_are_chosen():
    given = materials(bias=0.1)
    made, everywhere = (starts.make("permuted", layers, given) for layers in (("fc1",), ()))
    equal(made["fc1"], everywhere["fc1"])


def test_what_a_start_cannot_apply_to_is_refused():
    with pytest.raises(Refused, match="fc9"):
        starts.make("fresh", ("fc9",), materials())
    with pytest.raises(Refused, match="hidden units"):
        starts.make("permuted", ("head",), materials())
    with pytest.raises(Refused, match="hidden units"):
        starts.make("rebalanced", (), materials(2.0)._replace(relabelings=()))


def test_starts_differ_by_amount_under_vmap():
    given = materials(bias=0.1)
    amounts = jnp.array([0.0, 0.5])
    for name in "perturbed_orthogonal", "rotated", "perturbed_relative":
        made = jax.jit(jax.vmap(lambda t, n=name: starts.make(n, (), given._replace(amount=t))))(
            amounts
        )
        equal(jax.tree.map(lambda x: x[0], made), given.origin)


def test_common_takes_what_agrees_in_path_and_shape():
    wider = origin(2, sizes={"fc1": (16, 32), "fc2": (32, 40), "fc3": (40, 24), "head": (24, 5)})
    first = origin(0)
    made = starts.common(first, wider)
    for layer in "fc1", "head":
        equal(made[layer], first[layer])
    for layer in "fc2", "fc3":
        equal(made[layer], wider[layer])
