"""The one optimization loop. Pretraining, teaching and imitating only supply a `Fit`."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from minisub.config import require
from minisub.nets import lora, optimizers, starts, streams, trees

ENDLESS = 2**30
"""Steps of an epoch of data that are drawn anew at every step."""


class Batches(NamedTuple):
    """What the loss is given at each step: a fixed set of examples in a new order in every epoch,
    or, in one endless epoch, whatever `at` makes of the step."""

    steps: int
    """Updates in an epoch."""
    order: Any
    """epoch -> the order of its examples"""
    at: Any
    """(order, step within the epoch) -> the batch that the loss is given"""


class Watch(NamedTuple):
    """What is done beside each update."""

    rows: int
    """Rows of the log at most, at evenly spaced updates from the first on; 0: no log."""
    log: Any
    """(params, gradient, updates) -> a row: name -> array. Before the update is made, whose updates
    are those after `edit`; gradient and updates have None where parameters are frozen."""
    edit: Any
    """(params, updates, key) -> the updates that are made"""


class Fit(NamedTuple):
    """An optimization under a `Training` configuration, as a task describes it."""

    training: Any
    loss: Any
    """(params, key) -> scalar; (params, key, batch) with `batches`."""
    start: Any
    """The first parameters."""
    batches: Batches | None = None
    """None if each update draws its batch from its key."""
    watch: Watch | None = None


class State(NamedTuple):
    """An optimization under way: all that the next step needs."""

    trained: Any
    """The parameters being trained (None where frozen): with a rank, LoRA adapters alone."""
    frozen: Any
    """The others (None where trained)."""
    optimizer: Any
    """Optax state of the trained parameters."""
    bad_step: jax.Array
    """First step whose loss was not finite, else -1."""
    log: Any
    """name -> (rows, ...) of the watch, and "step" -> (rows,), -1 where no row is written."""


def begin(training, params, watch=None, key=None):
    """The state before the first step; parameters named in `training.frozen` stay as they are.

    With a `training.rank` so do all but adapters (see `lora`), which are drawn from the steps'
    `key` and can be named in `frozen` too. Raises `Refused` for a name that no parameter has, and
    for a rank with a `watch`.
    """
    if training.rank:
        require(
            not watch, "updates of adapters are not those of weights; leave out rank, or the watch."
        )
        stream = streams.named_key(key, "lora")
        params = lora.adapted(params, stream, training.rank, training.alpha, training.frozen)
    # Tied models have no unembedding of their own.
    trees.require_layers([name for name in training.frozen if name != "unembed"], params)
    fixed = trees.named(*training.frozen)
    trained, frozen = trees.partition(
        params, lambda path: not fixed(path) and (not training.rank or lora.trained(path))
    )
    moments, log = optimizers.make(training).init(trained), {}
    if watch and watch.rows:
        row = jax.eval_shape(watch.log, params, trained, trained)
        log = {name: jnp.zeros((watch.rows, *x.shape), x.dtype) for name, x in row.items()}
        log["step"] = jnp.full(watch.rows, -1, jnp.int32)
    return State(trained, frozen, moments, jnp.int32(-1), log)


def advance(training, loss, state, key, first, last, batches=None, watch=None):
    """Take steps `first` to `last` (exclusive, may be traced) of minimizing `loss(params, key)`.

    A step's randomness is `fold_in(key, step)`, so any cut into segments gives the same result.
    The loss is given merged parameters, `noisy` ones if there is weight noise; updates go to those
    without noise.
    """
    in_epoch = batches.steps if batches else ENDLESS

    def epoch(number, state):
        order = batches.order(number) if batches else None
        start = number * in_epoch

        def step(t, state):
            batch = (batches.at(order, t - start),) if batches else ()

            def trained_loss(trained):
                everything = lora.merged(trees.merge(trained, state.frozen))
                step_key = jax.random.fold_in(key, t)
                if training.weight_noise > 0:
                    everything = noisy(training, everything, step_key)
                return loss(everything, step_key, *batch)

            value, grads = jax.value_and_grad(trained_loss)(state.trained)
            updates, opt = optimizers.make(training).update(grads, state.optimizer, state.trained)
            log, bad = state.log, state.bad_step
            if watch:
                everything = params(state)
                edit_key = jax.random.fold_in(streams.named_key(key, "edit"), t)
                updates = watch.edit(everything, updates, edit_key)
                log = logged(watch, training, log, t, (everything, grads, updates))
            after = optax.apply_updates(state.trained, updates)
            bad = jnp.where((bad < 0) & ~jnp.isfinite(value), t, bad)
            return State(after, state.frozen, opt, bad, log)

        end = jnp.minimum(last, start + in_epoch)
        return jax.lax.fori_loop(jnp.maximum(first, start), end, step, state)

    if not batches:
        return epoch(0, state)
    return jax.lax.fori_loop(first // in_epoch, (last - 1) // in_epoch + 1, epoch, state)


def logged(watch, training, log, t, seen):
    """The log with a row for step `t`, if one is due; rows are `steps / rows` updates apart."""
    if not watch.rows:
        return log
    apart = -(-training.steps // watch.rows)

    def write(log):
        row = watch.log(*seen) | {"step": jnp.int32(t)}
        return {name: held.at[t // apart].set(row[name]) for name, held in log.items()}

    return jax.lax.cond(t % apart == 0, write, lambda log: log, log)


def noisy(training, params, key):
    """`params` with the weight noise of one step, through which gradients pass (arXiv 2608.05734).

    It is that of `starts.perturbed_relative`, on all arrays but those named in `training.frozen`.
    """
    frozen, others = trees.partition(params, trees.named(*training.frozen))
    stream = streams.named_key(key, "weight_noise")
    moved = starts.perturbed_relative(starts.Materials(others, None, stream, training.weight_noise))
    there = jax.tree.map(lambda x, y: x + jax.lax.stop_gradient(y - x), others, moved)
    return trees.merge(there, frozen)


def params(state):
    """All parameters, trained and frozen, adapters merged: a tree as `begin` was given."""
    return lora.merged(trees.merge(state.trained, state.frozen))
