"""The compiled programs of a run: what `tasks` does, for all repeats of a group at once.

Every phase of a kind shares its programs, in every repeat and in all settings of a sweep that leave
shapes alone.
"""

from functools import cache, lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from minisub import experiment, tasks


def given(cfg, seed):
    """`experiment.given`, kept on the device that is the default one."""
    told: Any = jax.config  # its values are attributes that no type names
    return kept(cfg, seed, told.jax_default_device)


# A sweep comes back to every setting's arrays in every group of repeats.
@lru_cache(maxsize=12)
def kept(cfg, seed, device):
    """What is `given` on a device."""
    return experiment.given(cfg, seed)


def each(function, given, *batched):
    """Map `function(inputs, ...)` over the leading axis of `batched`, its arguments.

    `given` are inputs without that axis. Vmapped, but a single row runs as it would alone.
    """

    def one(inputs, *rest):
        return function(given | inputs, *rest)

    if jax.tree.leaves(batched)[0].shape[0] > 1:
        return jax.vmap(one)(*batched)
    alone = one(*jax.tree.map(lambda x: x[0], batched))
    return jax.tree.map(lambda x: jnp.asarray(x)[None], alone)


@partial(jax.jit, static_argnames=("kind", "option"))
def begin(kind, option, settings, given, inputs, keys):
    """`tasks.begin` for every repeat of a group."""
    return each(partial(tasks.begin, kind, option, settings), given, inputs, keys)


@cache
def advance():
    """The program of `tasks.advance` for every repeat of a group; it donates the state."""

    def advanced(kind, option, settings, given, inputs, state, keys, first, last):
        def one(inputs, state, key):
            return tasks.advance(kind, option, settings, inputs, state, key, first, last)

        return each(one, given, inputs, state, keys)

    # Small matrix products on a CPU lose more to being split over threads than they gain.
    options = {"xla_cpu_multi_thread_eigen": False} if jax.default_backend() == "cpu" else None
    return jax.jit(
        advanced,
        static_argnames=("kind", "option"),
        donate_argnames="state",
        compiler_options=options,
    )


@partial(jax.jit, static_argnames=("kind", "option"))
def finish(kind, option, settings, given, inputs, state, keys):
    """`tasks.finish` for every repeat of a group."""
    return each(partial(tasks.finish, kind, option, settings), given, inputs, state, keys)
