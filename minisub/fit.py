"""The one optimization loop. Pretraining, teaching and distilling only supply a loss."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from minisub import starts


class State(NamedTuple):
    """An optimization under way: all that the next step needs."""

    trained: Any
    """The parameters being trained (None where frozen)."""
    frozen: Any
    """The others (None where trained)."""
    optimizer: Any
    """Optax state of the trained parameters."""
    bad_step: jax.Array
    """First step whose loss was not finite, else -1."""


def optimizer(training):
    """Adam with the learning rate and schedule of a `Training` configuration."""

    def learning_rate(step):
        decay = 0.5 * (1 + jnp.cos(jnp.pi * step / training.steps))
        return training.learning_rate * (decay if training.schedule == "cosine" else 1.0)

    return optax.chain(optax.scale_by_adam(), optax.scale_by_learning_rate(learning_rate))


def begin(training, params):
    """The state before the first step; parameters named in `training.frozen` stay as they are."""
    frozen, trained = starts.partition(params, starts.named(*training.frozen))
    moments = optimizer(training).init(trained)
    return State(trained, frozen, moments, jnp.int32(-1))


def advance(training, loss, state, key, first, last):
    """Take steps `first` to `last` (exclusive, may be traced) of minimizing `loss(params, key)`.

    A step's randomness is `fold_in(key, step)`, so any cut into segments gives the same result.
    """

    def step(t, state):
        def trained_loss(trained):
            return loss(starts.merge(trained, state.frozen), jax.random.fold_in(key, t))

        value, grads = jax.value_and_grad(trained_loss)(state.trained)
        updates, opt = optimizer(training).update(grads, state.optimizer, state.trained)
        return State(
            trained=optax.apply_updates(state.trained, updates),
            frozen=state.frozen,
            optimizer=opt,
            bad_step=jnp.where((state.bad_step < 0) & ~jnp.isfinite(value), t, state.bad_step),
        )

    return jax.lax.fori_loop(first, last, step, state)


def params(state):
    """All parameters, trained and frozen."""
    return starts.merge(state.trained, state.frozen)
