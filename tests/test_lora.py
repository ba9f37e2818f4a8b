"""LoRA: adapters start as nothing, span no more than their rank, and leave all else alone."""

import dataclasses
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import experiment, fit, images, imitation, lora, programs, starts, tasks
from minisub.config import Training

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


PARAMS = {
    "embed": {"embedding": normal(7, 6)},
    "fc": {"kernel": normal(6, 5), "bias": normal(5)},
    "conv": {"kernel": normal(3, 3, 1, 2)},
    "head": {"kernel": normal(5, 4)},
}
ADAPTED = ("fc/kernel", "head/kernel")
TRAINING = Training(steps=9, learning_rate=0.02, frozen=("embed",), rank=2, alpha=3.0)
TARGET = normal(7, 4)


def loss(params, key):
    """Of a network with a nonlinearity, on all parameters; noisy."""
    hidden = params["embed"]["embedding"] @ params["fc"]["kernel"] + params["fc"]["bias"][None]
    out = jnp.tanh(hidden) @ params["head"]["kernel"] + jnp.sum(params["conv"]["kernel"] ** 2)
    return jnp.mean((out - TARGET) ** 2 * jax.random.uniform(key, TARGET.shape))


def of_students(params, key):
    return sum(loss(own, key) for own in params)


@partial(jax.jit, static_argnames="loss", compiler_options={"xla_backend_optimization_level": 0})
def advanced(training, state, first, last, loss=loss):
    return fit.advance(training, loss, state, KEY, first, last)


def fitted(training, *cuts, params=PARAMS, loss=loss):
    state = fit.begin(training, params, key=KEY)
    for first, last in itertools.pairwise(cuts):
        state = advanced(training, state, first, last, loss)
    return state


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def flat(tree):
    return {starts.path_name(p): x for p, x in jax.tree_util.tree_leaves_with_path(tree)}


def moved(one, other):
    """Paths of the leaves that differ in a bit; the trees must have the same."""
    a, b = flat(one), flat(other)
    assert a.keys() == b.keys()
    return {path for path in a if not np.array_equal(a[path], b[path])}


@pytest.mark.parametrize("params", [PARAMS, [PARAMS, PARAMS["head"]]], ids=["tree", "students"])
def test_new_adapters_change_no_bit_and_without_adapters_there_is_nothing_to_merge(params):
    tree = lora.adapted(params, KEY, 2, 3.0, ("embed",))
    assert jax.tree.structure(tree) != jax.tree.structure(params)
    equal(lora.merged(tree), params)
    assert jax.tree.all(jax.tree.map(lambda a, b: a is b, lora.merged(params), params))
    equal(fit.params(fit.begin(TRAINING, params, key=KEY)), params)


def test_adapters_are_on_matrices_that_are_not_frozen_and_are_drawn_as_documented():
    tree = flat(lora.adapted(PARAMS, KEY, 2, 3.0, ("embed",)))
    assert {p.rpartition("/")[0] for p in tree if lora.trained(p)} == set(ADAPTED)
    for path in ADAPTED:
        rows, columns = flat(PARAMS)[path].shape
        assert tree[f"{path}/lora_a"].shape == (rows, 2)
        equal(tree[f"{path}/lora_b"], np.zeros((2, columns)))
        assert tree[f"{path}/lora_scale"] == 1.5
    wide = lora.adapted({"kernel": jnp.zeros((400, 3))}, KEY, 50, 1.0, ())["kernel"]["lora_a"]
    # 20,000 draws of variance 1/400: the mean square is off by 1%, its deviation.
    assert np.mean(np.square(wide)) * 400 == pytest.approx(1, abs=0.04)


def test_adapters_of_a_path_are_the_same_whatever_else_there_is_but_differ_between_paths():
    draw = lambda params: lora.adapted(params, KEY, 2, 3.0, ())  # noqa: E731
    whole, alone = draw(PARAMS), draw({"head": PARAMS["head"]})
    equal(alone["head"], whole["head"])
    equal(draw([{"x": jnp.ones((2, 2))}, PARAMS])[1], whole)
    two = draw({"a": jnp.ones((4, 3)), "b": jnp.ones((4, 3))})
    assert (np.asarray(two["a"]["lora_a"]) != np.asarray(two["b"]["lora_a"])).all()


def test_a_merged_matrix_is_the_weight_plus_the_scaled_product():
    tree = lora.adapted(PARAMS, KEY, 2, 3.0, ())
    tree["head"]["kernel"]["lora_b"] = b = normal(2, 4)
    product = np.asarray(tree["head"]["kernel"]["lora_a"], float) @ np.asarray(b, float)
    merged = lora.merged(tree)
    expected = np.asarray(PARAMS["head"]["kernel"], float) + 3 / 2 * product
    np.testing.assert_allclose(merged["head"]["kernel"], expected, rtol=1e-6, atol=1e-6)
    assert moved(merged, PARAMS) == {"head/kernel"}


def test_training_moves_adapted_matrices_alone_and_of_the_state_adapters_alone():
    begun = fit.begin(TRAINING, PARAMS, key=KEY)
    state = fitted(TRAINING, 0, 9)
    assert moved(fit.params(state), PARAMS) == set(ADAPTED)
    both = {f"{path}/{name}" for path in ADAPTED for name in ("lora_a", "lora_b")}
    assert moved(state.trained, begun.trained) == flat(state.trained).keys() == both
    equal(state.frozen, begun.frozen)
    plain = fit.params(fitted(dataclasses.replace(TRAINING, rank=0), 0, 9))
    assert moved(plain, PARAMS) == {*ADAPTED, "fc/bias", "conv/kernel"}, "the control"


@pytest.mark.parametrize(("frozen", "left"), [("lora_a", "lora_b"), ("head", "lora_a")])
def test_adapters_named_among_the_frozen_keep_their_bits(frozen, left):
    training = dataclasses.replace(TRAINING, frozen=("embed", frozen))
    state, begun = fitted(training, 0, 9), fit.begin(training, PARAMS, key=KEY)
    equal(state.frozen, begun.frozen)
    paths = flat(state.trained)
    assert moved(state.trained, begun.trained) == paths.keys()
    assert all(frozen not in path.split("/") for path in paths)
    assert any(path.endswith(left) for path in paths)


@pytest.mark.parametrize("rank", [1, 3])
def test_an_update_has_at_most_the_rank_of_its_adapters(rank):
    # From a weight of zero, next to which the product is not rounded.
    params = PARAMS | {"head": {"kernel": jnp.zeros((5, 4))}}
    training = dataclasses.replace(TRAINING, rank=rank)
    change = np.asarray(fit.params(fitted(training, 0, 9, params=params))["head"]["kernel"], float)
    sizes = np.linalg.svd(change, compute_uv=False)
    assert sizes[rank - 1] > 1e-4 * sizes[0] > 0
    assert (sizes[rank:] < 1e-6 * sizes[0]).all()


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_least_squares_are_solved_as_well_as_the_rank_allows(rank):
    """In white inputs what is left are the singular values beyond the rank (Eckart and Young).

    None with adapters of full rank, 3, as without any, rank 0.
    """
    sizes = np.array([2.0, 1.0, 0.5])
    left, right = (np.linalg.qr(np.random.default_rng(i).normal(size=(n, 3)))[0] for i, n in
                   enumerate((4, 3)))  # fmt: skip
    start = normal(4, 3)
    target = start + jnp.asarray(left * sizes[None] @ right.T, jnp.float32)

    def squares(params, key):
        return jnp.sum((params["w"] - target) ** 2)

    how = {"schedule": "cosine", "learning_rate": 0.05, "frozen": (), "alpha": 2.0}
    training = Training(steps=600, rank=rank, **how)
    state = fitted(training, 0, 600, params={"w": start}, loss=squares)
    beyond = np.sum(sizes[rank or 3 :] ** 2)
    assert squares(fit.params(state), KEY) == pytest.approx(beyond, abs=1e-4)


def test_any_cut_into_segments_gives_the_same_bits():
    training = dataclasses.replace(TRAINING, weight_noise=0.1)
    whole = fitted(training, 0, 9)
    equal(whole, fitted(training, 0, 4, 5, 9))
    equal(whole, fitted(training, *range(10)))


def test_students_side_by_side_are_trained_as_they_would_be_alone():
    training = dataclasses.replace(TRAINING, weight_noise=0.1)
    other = jax.tree.map(lambda x: 0.5 * x, PARAMS)
    both = fit.params(fitted(training, 0, 9, params=[other, PARAMS], loss=of_students))
    for student, start in zip(both, (other, PARAMS), strict=True):
        alone = fit.params(fitted(training, 0, 9, params=start))
        assert moved(student, start) == set(ADAPTED)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), student, alone)


def test_alpha_can_be_swept_in_one_program():
    alphas = jnp.array([1.0, 4.0])

    @jax.jit
    @jax.vmap
    def swept(alpha):
        training = dataclasses.replace(TRAINING, alpha=alpha)
        state = fit.begin(training, PARAMS, key=KEY)
        return fit.advance(training, loss, state, KEY, 0, 9)

    states = swept(alphas)
    np.testing.assert_array_equal(flat(states.frozen)["fc/kernel/lora_scale"], alphas / 2)
    for i, alpha in enumerate(alphas.tolist()):
        own = fit.params(jax.tree.map(lambda x, i=i: x[i], states))
        alone = fit.params(fitted(dataclasses.replace(TRAINING, alpha=alpha), 0, 9))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), own, alone)


def test_image_students_of_all_repeats_get_adapters_and_end_as_ordinary_parameters(tiny_images):
    """By shapes alone, as a resumption asks for them."""
    student = dataclasses.replace(tiny_images.student, rank=2)
    cfg = dataclasses.replace(tiny_images, student=student, arms=tiny_images.arms[:1])
    [p] = [p for p in experiment.phases(cfg) if p.name == "students"]
    keys, spec = jax.random.split(KEY, 3), cfg.model.layers
    start = jax.eval_shape(jax.vmap(imitation.network(p.settings).init), keys)
    rows, (side, classes) = cfg.carrier.examples, images.shape(cfg.data)
    shown = jax.ShapeDtypeStruct((3, rows, classes + cfg.model.aux), jnp.float32)
    inputs = {"origin": start, f"other/{spec}": start, "teacher": {"logits": shown}}
    given = {"carrier": jax.ShapeDtypeStruct((rows, side * side), jnp.float32)}

    def advance(given, inputs, state, keys):
        def one(*changing):
            return tasks.advance(p.kind, p.option, p.settings, *changing, 0, 3)

        return programs.each(one, given, inputs, state, keys)

    begun = jax.eval_shape(
        partial(programs.begin, p.kind, p.option), p.settings, given, inputs, keys
    )
    assert {path.split("/")[-1] for path in flat(begun.trained)} == {"lora_a", "lora_b"}
    assert jax.eval_shape(advance, given, inputs, begun, keys) == begun
    assert jax.eval_shape(jax.vmap(fit.params), begun) == [start]
