"""The optimization loop: Adam as in Optax, cut anywhere, with frozen, noisy and watched weights."""

import dataclasses
import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from same import by_path, differing, equal, near

from minisub.config import Training
from minisub.nets import fit, trees
from minisub.theory import vectors

KEY = jax.random.key(0)
PARAMS = {
    "head": {"w": np.linspace(-1, 1, 5).astype("f")},
    "body": {"w": np.arange(10).reshape(2, 5).astype("f") / 9},
}
TRAINING = Training(steps=12, learning_rate=0.1, frozen=())


def loss(params, key, batch=None):
    """A noisy quadratic that couples both parameters, and shows what batch it was given."""
    x = jax.random.normal(key, (5,)) if batch is None else batch
    return jnp.sum((params["body"]["w"] @ x - 1) ** 2) + jnp.sum((params["head"]["w"] * x) ** 2)


ROWS = np.random.default_rng(0).normal(size=(5, 5)).astype("f")
EPOCHS = fit.Batches(
    5,
    lambda epoch: jax.random.permutation(jax.random.fold_in(KEY, epoch), 5),
    lambda order, step: jnp.asarray(ROWS)[order[step]],
)


def seen(params, gradient, updates):
    """A row of a log: all that there is to see; frozen parameters have neither of the last."""
    shown = {"params": params, "gradient": gradient, "updates": updates}
    return {
        f"{kind}/{trees.path_name(path)}": x
        for kind, tree in shown.items()
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    }


def as_they_are(params, updates, key):
    return updates


def without_body(params, updates, key):
    return updates | {"body": jax.tree.map(jnp.zeros_like, updates["body"])}


class Trainer:
    """A training of `PARAMS` in one program, whose steps may be cut anywhere."""

    def __init__(self, quick, training, batches=None, watch=None):
        self.begun = fit.begin(training, PARAMS, watch, KEY)
        self.advance = quick(
            lambda state, first, last: fit.advance(
                training, loss, state, KEY, first, last, batches, watch
            )
        )

    def __call__(self, *cuts):
        state = self.begun
        for first, last in itertools.pairwise(cuts):
            state = self.advance(state, first, last)
        return state


WATCH = fit.Watch(5, seen, without_body)
CUT = {
    "cosine in epochs": (dataclasses.replace(TRAINING, schedule="cosine"), EPOCHS, None),
    "noisy adapters": (dataclasses.replace(TRAINING, rank=1, weight_noise=0.1), None, None),
    "watched": (TRAINING, EPOCHS, WATCH),
}


@pytest.mark.parametrize("name", CUT)
def test_any_cut_into_segments_gives_the_same_bits(name, quick):
    train = Trainer(quick, *CUT[name])
    whole = train(0, 12)
    assert differing(whole, train.begun)
    equal(train(0, 5, 6, 12), whole)
    equal(train(*range(13)), whole)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_steps_are_those_of_an_optax_loop_over_every_example_once_an_epoch(schedule, quick):
    training = dataclasses.replace(TRAINING, schedule=schedule)
    rate = optax.cosine_decay_schedule(0.1, 12) if schedule == "cosine" else 0.1
    optimizer = optax.adam(rate)
    params, state, slope = PARAMS, optimizer.init(PARAMS), quick(jax.grad(loss))
    for t in range(12):
        epoch, step = divmod(t, 5)
        updates, state = optimizer.update(
            slope(params, KEY, EPOCHS.at(EPOCHS.order(epoch), step)), state
        )
        params = optax.apply_updates(params, updates)
    near(fit.params(Trainer(quick, training, EPOCHS)(0, 12)), params, rtol=2e-4, atol=1e-5)


@pytest.fixture(scope="module")
def watched(quick):
    """A training that is logged at five updates."""
    return Trainer(quick, TRAINING, None, fit.Watch(5, seen, as_they_are))


def test_a_log_holds_evenly_spaced_updates_and_what_was_seen_at_them(watched, quick):
    """A row is taken before its update is made: parameters are those of a run up to there."""
    log, slope = watched(0, 12).log, quick(jax.grad(loss))
    assert log["step"].tolist() == [0, 3, 6, 9, -1]
    for row, step in enumerate([0, 3, 6, 9]):
        before, after = (fit.params(watched(0, end)) for end in (step, step + 1))
        gradient = slope(before, jax.random.fold_in(KEY, step))
        for path, x in by_path(before).items():
            np.testing.assert_array_equal(log[f"params/{path}"][row], x)
            moved = x + log[f"updates/{path}"][row]
            np.testing.assert_allclose(moved, by_path(after)[path], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(
                log[f"gradient/{path}"][row], by_path(gradient)[path], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize(
    ("steps", "rows", "expected"),
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
def test_rows_are_as_far_apart_as_fill_the_log_or_leave_some_empty(steps, rows, expected):
    training = dataclasses.replace(TRAINING, steps=steps)
    watch = fit.Watch(rows, lambda params, gradient, updates: {"x": jnp.float32(7)}, None)
    log = fit.begin(training, PARAMS, watch).log
    for t in range(steps):
        log = fit.logged(watch, training, log, t, (None, None, None))
    assert log["step"].tolist() == expected
    np.testing.assert_array_equal(log["x"], [7.0 * (step >= 0) for step in expected])


def test_frozen_and_edited_parameters_keep_their_bits_and_a_log_changes_but_rounding(
    watched, quick
):
    plain = fit.params(Trainer(quick, TRAINING)(0, 12))
    near(fit.params(watched(0, 12)), plain)
    edited = fit.params(Trainer(quick, TRAINING, None, fit.Watch(0, seen, without_body))(0, 12))
    equal(edited["body"], PARAMS["body"])
    near(edited["head"], plain["head"])
    training = dataclasses.replace(TRAINING, frozen=("head",))
    frozen = Trainer(quick, training, None, fit.Watch(3, seen, as_they_are))(0, 12)
    equal(fit.params(frozen)["head"], PARAMS["head"])
    assert {name.split("/")[1] for name in frozen.log if name.startswith("updates")} == {"body"}
    assert "params/head/w" in frozen.log
    for tree in plain, fit.params(frozen):
        assert (np.abs(tree["body"]["w"] - PARAMS["body"]["w"]) > 0.01).all()
    equal(fit.params(watched(0, 0)), PARAMS)


def test_the_first_step_with_a_loss_that_is_not_finite_is_kept(watched, quick):
    # Steps of about 0.1 downhill: the logarithm is undefined once x passes zero.
    training = Training(steps=40, learning_rate=0.1, frozen=())
    breaks = lambda params, key: jnp.sum(jnp.log(params["x"]))  # noqa: E731
    begun = fit.begin(training, {"x": jnp.array([0.35])})
    state = quick(lambda begun: fit.advance(training, breaks, begun, KEY, 0, 40))(begun)
    assert 3 <= int(state.bad_step) <= 5
    assert int(watched(0, 12).bad_step) == -1


# Weight noise.


NOISY = Training(steps=3, learning_rate=0.25, optimizer="sgd", frozen=(), weight_noise=0.5)


def noise(key, step, path, x):
    """What is added to a leaf at a step, by hand."""
    key = jax.random.fold_in(key, step)
    for name in "weight_noise", path:
        key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return 0.5 * np.std(x) * np.asarray(jax.random.normal(key, x.shape))


def half_square(params, key):
    """Whose gradient is the point where it is taken: the weights plus noise."""
    return 0.5 * vectors.dot(params, params)


def test_the_loss_is_that_of_noisy_weights_and_the_update_goes_to_those_without_noise(quick):
    """Frozen and constant parameters get no noise; adapters' merged matrix does."""
    params = PARAMS | {"constant": np.full(5, 3, "f"), "frozen": np.arange(5).astype("f")}
    training = dataclasses.replace(NOISY, frozen=("frozen",))

    @quick
    def trained(training, params):
        state = fit.begin(training, params, key=KEY)
        return state, fit.advance(training, half_square, state, KEY, 0, training.steps)

    found = by_path(fit.params(trained(training, params)[1]))
    for path in "head/w", "body/w":
        w = start = by_path(PARAMS)[path]
        for t in range(3):
            w = w - 0.25 * (w + noise(KEY, t, path, w))
        np.testing.assert_allclose(found[path], w, rtol=1e-5, atol=1e-5)
        assert np.abs(w - 0.75**3 * start).max() > 0.01, "the control: without noise"
    np.testing.assert_array_equal(found["frozen"], params["frozen"])
    np.testing.assert_array_equal(found["constant"], np.full(5, 3 * 0.75**3, "f"))
    adapters = dataclasses.replace(NOISY, steps=1, rank=1, alpha=2.0, frozen=("head",))
    begun, after = (by_path(state.trained) for state in trained(adapters, PARAMS))
    w, a = PARAMS["body"]["w"], begun["body/w/lora_a"]
    # At first B is zero, and so is the gradient of A.
    b = -0.25 * 2 * a.T @ (w + noise(KEY, 0, "body/w", w))
    np.testing.assert_allclose(after["body/w/lora_b"], b, rtol=1e-5)
    np.testing.assert_array_equal(after["body/w/lora_a"], a)


def test_without_weight_noise_no_program_draws_any():
    """This loss draws nothing either."""

    def draws(training):
        run = lambda state: fit.advance(training, half_square, state, KEY, 0, 3)  # noqa: E731
        return "random_bits" in str(jax.make_jaxpr(run)(fit.begin(training, PARAMS)))

    assert draws(NOISY) and not draws(dataclasses.replace(NOISY, weight_noise=0.0))
