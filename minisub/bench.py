"""How fast a repeat's phases run, against the device's own matrix products."""

import time
from typing import NamedTuple

import jax
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
    arrays, products, seen = experiment.given(cfg, 0), {}, set()
    for p in experiment.phases(cfg):
        inputs = {name: products[source] for name, source in p.inputs.items()}
        given = {name: arrays[name] for name in p.given}
        task = p.kind, p.option, p.settings, given, inputs
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


def best(work, trials):
    """Seconds of the fastest of `trials` runs of `work` after one that compiles; its result."""
    result = jax.block_until_ready(work())
    seconds = []
    for _ in range(trials):
        start = time.perf_counter()
        result = jax.block_until_ready(work())
        seconds.append(time.perf_counter() - start)
    return min(seconds), result
