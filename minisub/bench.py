"""How fast a repeat's phases run, against the device's own matrix products, and in what memory."""

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minisub import experiment, programs, tasks


class Timed(NamedTuple):
    """The fastest of some timings of one phase."""

    phase: str
    models: int
    """Models that it trains or runs side by side."""
    epochs: float
    """Of one timing; 100 updates count as one where there are no epochs."""
    seconds: float
    flops: float
    """Operations of its matrix products in that time."""


def phases(cfg, *, repeats=1, trials=3):
    """A `Timed` for each kind of training or emitting phase of `cfg`, `repeats` in one program.

    A training phase is timed over 100 updates.
    """
    keys = experiment.repeat_keys(0, repeats)
    arrays, products, seen = given(cfg), {}, set()
    for p in experiment.phases(cfg):
        task = task_of(p, products, arrays)
        state = programs.begin(*task, keys)
        once, per_step = tasks.cost(p)
        kind = p.kind, p.option, max(len(p.arms), 1)
        products[p.name] = state
        if once[0] and kind not in seen:
            seconds, _ = best(lambda task=task: programs.begin(*task, keys), trials)
            seen.add(kind)
            yield Timed(p.name, repeats, 1.0, seconds, repeats * once[0])
        if hasattr(state, "trained"):
            if p.steps and kind not in seen:
                updates = min(100, p.steps)

                def train(task=task, updates=updates, begun=state):
                    # A copy, because the state is donated.
                    begun = jax.tree.map(lambda x: x.copy(), begun)
                    return programs.advance()(*task, begun, keys, np.int32(0), np.int32(updates))

                seconds, state = best(train, trials)
                models = repeats * max(len(p.arms), 1)
                epochs, flops = updates / (tasks.epoch(p) or 100), updates * per_step[0]
                seen.add(kind)
                yield Timed(p.name, models, epochs, seconds, repeats * flops)
            products[p.name], _ = programs.finish(*task, state, keys)


def memory(cfg, *, repeats=1):
    """(bytes of what `repeats` repeats of `cfg` hold at their end, the most that a program needs
    beside it, the phase that it is of), by shapes and what the compiler says; nothing is run.
    """
    arrays = given(cfg)
    keys, step = experiment.repeat_keys(0, repeats), jax.ShapeDtypeStruct((), np.int32)
    products: dict[str, Any] = {}
    most, seen = (0, ""), set()
    for p in experiment.phases(cfg):
        _, _, *shapes = task = task_of(p, products, arrays)
        begin, finish = (partial(f, p.kind, p.option) for f in (programs.begin, programs.finish))
        state = products[p.name] = jax.eval_shape(begin, *shapes, keys)
        wanted: list[Any] = [(programs.begin, (keys,), 0)]
        if hasattr(state, "trained"):
            held = size(state)
            wanted += [(programs.advance(), (state, keys, step, step), held)]
            wanted += [(programs.finish, (state, keys), held)]
            products[p.name], _ = jax.eval_shape(finish, *shapes, state, keys)
        leaves, structure = jax.tree.flatten((shapes, state))
        alike = p.kind, p.option, structure, tuple(jnp.shape(x) for x in leaves)
        for program, rest, held in () if alike in seen else wanted:
            needs: Any = program.lower(*task, *rest).compile().memory_analysis()
            held += needs.temp_size_in_bytes + needs.output_size_in_bytes
            most = max(most, (held - needs.alias_size_in_bytes, p.name))
        seen.add(alike)
    return size((products, arrays)), *most


def given(cfg):
    """Arrays that all repeats share, once for both looks at a config."""
    return programs.given(experiment.what_is_given(cfg), 0)


def task_of(p, products, arrays):
    """The arguments of `programs` for a phase, but for state and keys."""
    inputs = {name: products[source] for name, source in p.inputs.items()}
    return p.kind, p.option, p.settings, {name: arrays[name] for name in p.given}, inputs


def size(tree):
    """Bytes of a tree's arrays, or of their shapes."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def best(work, trials):
    """Seconds of the fastest of `trials` runs of `work` after one that compiles; its result."""
    result = jax.block_until_ready(work())
    seconds = []
    for _ in range(trials):
        start = time.perf_counter()
        result = jax.block_until_ready(work())
        seconds.append(time.perf_counter() - start)
    return min(seconds), result
