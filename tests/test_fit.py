"""The optimization loop: Adam as in Optax, any cut into segments, frozen parameters untouched."""

import dataclasses
import itertools
import zlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minisub import fit, starts
from minisub.config import Training
from minisub.phases import Watch

PARAMS = {"head": {"w": jnp.linspace(-1.0, 1.0, 5)}, "body": {"w": jnp.ones((2, 5))}}
TRAINING = Training(steps=12, learning_rate=0.1, frozen=())


def loss(params, key):
    """A noisy quadratic that couples both parameters."""
    x = jax.random.normal(key, (5,))
    return jnp.sum((params["body"]["w"] @ x - 1) ** 2) + jnp.sum((params["head"]["w"] * x) ** 2)


@partial(jax.jit, static_argnames="watch")
def advanced(training, state, first, last, watch=None):
    return fit.advance(training, loss, state, jax.random.key(0), first, last, watch=watch)


def fitted(training, *cuts, watch=None):
    state = fit.begin(training, PARAMS, watch)
    for first, last in itertools.pairwise(cuts):
        state = advanced(training, state, first, last, watch)
    return state


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_any_cut_into_segments_gives_the_same_bits(schedule):
    training = dataclasses.replace(TRAINING, schedule=schedule)
    whole = fitted(training, 0, 12)
    equal(whole, fitted(training, 0, 5, 6, 12))
    equal(whole, fitted(training, *range(13)))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_steps_are_those_of_an_optax_loop(schedule):
    training = dataclasses.replace(TRAINING, schedule=schedule)
    rate = optax.cosine_decay_schedule(0.1, 12) if schedule == "cosine" else 0.1
    optimizer = optax.adam(rate)
    params, state = PARAMS, optimizer.init(PARAMS)
    for t in range(12):
        grads = jax.grad(loss)(params, jax.random.fold_in(jax.random.key(0), t))
        updates, state = optimizer.update(grads, state)
        params = optax.apply_updates(params, updates)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)  # noqa: E731
    jax.tree.map(close, fit.params(fitted(training, 0, 12)), params)


def test_frozen_parameters_keep_their_bits_and_the_others_move():
    final = fit.params(fitted(dataclasses.replace(TRAINING, frozen=("head",)), 0, 12))
    equal(final["head"], PARAMS["head"])
    assert (np.asarray(final["body"]["w"]) != 1).all()


def test_zero_steps_return_the_start():
    equal(fit.params(fitted(dataclasses.replace(TRAINING, steps=0), 0, 0)), PARAMS)


def test_the_first_step_with_a_loss_that_is_not_finite_is_kept():
    def breaks(params, key):
        return jnp.sum(jnp.log(params["x"]))

    # Steps of about 0.1 downhill: the logarithm is undefined once x passes zero.
    training = Training(steps=40, learning_rate=0.1, frozen=())
    state = fit.begin(training, {"x": jnp.array([0.35])})
    state = fit.advance(training, breaks, state, jax.random.key(0), 0, 40)
    assert 3 <= int(state.bad_step) <= 5
    assert int(fitted(TRAINING, 0, 12).bad_step) == -1


def seen(params, gradient, updates):
    """A row of a log: all that there is to see; frozen parameters have neither of the last."""
    shown = {"params": params, "gradient": gradient, "updates": updates}
    return {
        f"{kind}/{starts.path_name(path)}": x
        for kind, tree in shown.items()
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    }


def as_they_are(params, updates, key):
    return updates


def without_body(params, updates, key):
    return updates | {"body": jax.tree.map(jnp.zeros_like, updates["body"])}


def test_a_log_holds_evenly_spaced_updates_and_what_was_seen_at_them():
    """A row is taken before its update is made: parameters are those of a run up to there."""
    watch = Watch(5, seen, as_they_are)
    state = fitted(TRAINING, 0, 12, watch=watch)
    assert state.log["step"].tolist() == [0, 3, 6, 9, -1]
    for row, step in enumerate([0, 3, 6, 9]):
        log = {name: x[row] for name, x in state.log.items()}
        before, after = (fit.params(fitted(TRAINING, 0, e, watch=watch)) for e in (step, step + 1))
        gradient = jax.grad(loss)(before, jax.random.fold_in(jax.random.key(0), step))
        for name in "head", "body":
            np.testing.assert_array_equal(log[f"params/{name}/w"], before[name]["w"])
            moved = before[name]["w"] + log[f"updates/{name}/w"]
            np.testing.assert_allclose(moved, after[name]["w"], rtol=1e-6, atol=1e-7)
            found = log[f"gradient/{name}/w"]
            np.testing.assert_allclose(found, gradient[name]["w"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("steps", "rows", "logged"),
    [
        (12, 4, [0, 3, 6, 9]),
        (7, 4, [0, 2, 4, 6]),
        (5, 4, [0, 2, 4, -1]),
        (4, 4, [0, 1, 2, 3]),
        (3, 4, [0, 1, 2, -1]),
        (0, 4, [-1, -1, -1, -1]),
        (12, 1, [0]),
    ],
)
def test_rows_are_as_far_apart_as_fill_the_log_or_leave_some_empty(steps, rows, logged):
    training = dataclasses.replace(TRAINING, steps=steps)
    state = fitted(training, 0, steps, watch=Watch(rows, seen, as_they_are))
    assert state.log["step"].tolist() == logged
    empty = np.array(logged) < 0
    assert not state.log["params/head/w"][empty].any()


def test_any_cut_into_segments_gives_the_same_bits_of_a_log():
    watch = Watch(5, seen, without_body)
    whole = fitted(TRAINING, 0, 12, watch=watch)
    equal(whole, fitted(TRAINING, 0, 4, 5, 12, watch=watch))
    equal(whole, fitted(TRAINING, *range(13), watch=watch))


def test_a_log_changes_nothing_but_rounding_and_an_edit_what_it_names():
    """Not a bit without rows; with some, products are fused otherwise."""
    plain = fit.params(fitted(TRAINING, 0, 12))
    equal(plain, fit.params(fitted(TRAINING, 0, 12, watch=Watch(0, seen, as_they_are))))
    logged = fit.params(fitted(TRAINING, 0, 12, watch=Watch(12, seen, as_they_are)))
    near = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(near, logged, plain)
    edited = fit.params(fitted(TRAINING, 0, 12, watch=Watch(0, seen, without_body)))
    equal(edited["body"], PARAMS["body"])
    near(edited["head"]["w"], plain["head"]["w"])
    assert (np.abs(plain["body"]["w"] - PARAMS["body"]["w"]) > 0.1).all()


def test_frozen_parameters_have_no_update_to_see_or_to_edit():
    training = dataclasses.replace(TRAINING, frozen=("head",))
    state = fitted(training, 0, 12, watch=Watch(3, seen, without_body))
    seen_of = {name.split("/")[1] for name in state.log if name.startswith("updates")}
    assert seen_of == {"body"} and "params/head/w" in state.log
    equal(fit.params(state), PARAMS)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_first_update_is_what_the_optimizer_makes_of_a_gradient(optimizer):
    training = dataclasses.replace(TRAINING, optimizer=optimizer, frozen=("head",))
    gradient = jax.grad(loss)(PARAMS, jax.random.fold_in(jax.random.key(0), 0))
    update = fit.first_update(training, PARAMS)(gradient)
    assert update["head"]["w"] is None
    first = fit.params(fitted(training, 0, 1))["body"]["w"]
    np.testing.assert_allclose(PARAMS["body"]["w"] + update["body"]["w"], first, rtol=1e-5)


NOISY = Training(steps=4, learning_rate=0.25, optimizer="sgd", frozen=(), weight_noise=0.5)
UNEVEN = {"head": {"w": jnp.linspace(-1.0, 1.0, 5)}, "body": {"w": jnp.arange(10.0).reshape(2, 5)}}


def noise(key, step, path, x):
    """What is added to a leaf at a step, by hand."""
    key = jax.random.fold_in(key, step)
    for name in "weight_noise", path:
        key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return 0.5 * np.std(x) * np.asarray(jax.random.normal(key, x.shape))


def half_square(params, key):
    return 0.5 * starts.dot(params, params)


def test_the_loss_is_that_of_noisy_weights_and_the_update_goes_to_those_without_noise():
    """The gradient of half the square is the point where it is taken: the weights plus noise."""
    key, state = jax.random.key(1), fit.begin(NOISY, UNEVEN)
    found = fit.params(fit.advance(NOISY, half_square, state, key, 0, 4))
    for name in "head", "body":
        w = np.asarray(UNEVEN[name]["w"])
        for t in range(4):
            w = w - 0.25 * (w + noise(key, t, f"{name}/w", w))
        np.testing.assert_allclose(found[name]["w"], w, rtol=1e-5, atol=1e-6)
        assert np.abs(w - 0.75**4 * UNEVEN[name]["w"]).max() > 0.01, "the control: without noise"


def test_noise_of_low_rank_updates_is_on_the_merged_matrix():
    training = dataclasses.replace(NOISY, rank=1, alpha=2.0, frozen=("head",))
    key = jax.random.key(1)
    state = fit.begin(training, UNEVEN, key=key)
    a = np.asarray(state.trained["body"]["w"]["lora_a"])
    after = fit.advance(training, half_square, state, key, 0, 1)
    w = np.asarray(UNEVEN["body"]["w"])
    # At first B is zero, and so is the gradient of A.
    b = -0.25 * 2 * a.T @ (w + noise(key, 0, "body/w", w))
    np.testing.assert_allclose(after.trained["body"]["w"]["lora_b"], b, rtol=1e-5)
    np.testing.assert_array_equal(after.trained["body"]["w"]["lora_a"], a)


def test_frozen_and_constant_parameters_get_no_noise():
    """The slope of a product in one factor is the other, so it shows what that was."""
    params = UNEVEN | {"constant": jnp.full(5, 3.0)}
    training = dataclasses.replace(NOISY, frozen=("head",))

    def product(params, key):
        fixed = jnp.sum(params["body"]["w"] * params["head"]["w"][None])
        return fixed + jnp.sum(params["constant"])

    state = fit.advance(training, product, fit.begin(training, params), jax.random.key(1), 0, 1)
    after = fit.params(state)
    equal(after["head"], params["head"])
    equal(after["constant"], params["constant"] - 0.25)
    equal(after["body"]["w"], params["body"]["w"] - 0.25 * params["head"]["w"][None])
    seen_by_loss = fit.noisy(training, params, jax.random.key(1))
    equal(seen_by_loss["constant"], params["constant"])
    assert (seen_by_loss["body"]["w"] != params["body"]["w"]).all()


def test_without_weight_noise_no_program_draws_any():
    """This loss draws nothing either."""

    def draws(training):
        run = partial(fit.advance, training, half_square)
        state = fit.begin(training, UNEVEN)
        return "random_bits" in str(jax.make_jaxpr(run)(state, jax.random.key(0), 0, 4))

    assert draws(NOISY) and not draws(dataclasses.replace(NOISY, weight_noise=0.0))
