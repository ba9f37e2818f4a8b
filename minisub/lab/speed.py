"""What time and memory go into: compilation apart from computation, the device's own speed."""

import resource
import sys
import time
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minisub.lab import cache, plan, run
from minisub.lab.products import named_key
from minisub.nets import fit

compilations: dict[str, Any] = {"programs": 0, "intervals": []}
"""What JAX has compiled in this process, and when it was tracing, lowering or compiling."""


def on_duration(event, duration_secs, **_):
    """Note a piece of compilation that JAX reports when it ends; it may enclose earlier ones."""
    if event.startswith("/jax/core/compile/"):
        end, intervals = time.perf_counter(), compilations["intervals"]
        while intervals and intervals[-1][0] >= end - duration_secs:
            intervals.pop()
        intervals.append((end - duration_secs, end))
        compilations["programs"] += event.endswith("backend_compile_duration")


jax.monitoring.register_event_duration_secs_listener(on_duration)


def compile_seconds():
    """Time that this process has spent on compilation so far."""
    return sum(end - start for start, end in compilations["intervals"])


def remember_programs():
    """Keep what is compiled for the next process, in the user's cache folder.

    Unless JAX has been told where (JAX_COMPILATION_CACHE_DIR) or not to (by
    JAX_ENABLE_COMPILATION_CACHE=false).
    """
    told: Any = jax.config  # its values are attributes that no type names
    folder = cache.home()
    if folder and told.jax_enable_compilation_cache and not told.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(folder / "programs"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def peak_memory():
    """Most memory that this process has held so far, in bytes; of the host, not of a device."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def matmul_rate(size=2048, trials=10):
    """FLOP/s of a float32 matrix product at JAX's default precision: the best of some trials."""
    square = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(jnp.matmul)
    product(square, square).block_until_ready()
    seconds = []
    for _ in range(trials):
        start = time.perf_counter()
        product(square, square).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


@contextmanager
def timed(usage, name, flops):
    """Add a block's wall time, compilation apart, and its operations to `usage[name]`."""
    start, compiling = time.perf_counter(), compile_seconds()
    yield
    seconds = time.perf_counter() - start - (compile_seconds() - compiling)
    before = usage.get(name, (0.0, 0.0))
    usage[name] = before[0] + max(seconds, 0.0), before[1] + flops


class Timed(NamedTuple):
    """The fastest of some timings of one program."""

    task: str
    what: str
    """How much of the task's work that is."""
    seconds: float
    flops: float
    """Operations of its matrix products in that time."""


def bench(named, *, repeats=1, trials=3, updates=100):
    """A `Timed` for each different program of an experiment, `repeats` repeats in each.

    Trainings are timed over at most `updates` updates, and go on from there untrained.
    """
    planned = plan.Plan(repeats)
    planned.add(named)
    keys, values, programs = run.repeat_keys(0, repeats), {}, set()
    wanted = [p for products in named.values() for p in run.tuple_of(products)]
    seen: set = set()
    for product, of in (call for p in wanted for call in plan.calls(p, planned.group, seen=seen)):
        inputs = [run.part(values[p.digest], p.path) for p in product.inputs]
        if product.on_host:
            values[product.digest] = run.called_on_host(product, inputs)
            continue
        own = keys if of else jax.random.key(0)[None]
        streams = jax.vmap(lambda key, p=product: named_key(key, p.stream or ""))(own)
        task = run.program_arguments(product, inputs, streams)
        cost, program = planned.costs[product.digest], (product.task, task[1])
        made = run.begin(*task)
        if program not in programs and cost.once:
            seconds, made = best(lambda task=task: run.begin(*task), trials)
            yield Timed(product.task.__name__, "all at once", seconds, repeats * cost.once)
        if isinstance(made, fit.State):
            steps = min(updates, cost.steps)
            if program not in programs and steps:

                def train(task=task, steps=steps, state=made):
                    state = jax.tree.map(lambda x: x.copy(), state)  # because it is donated
                    return run.advance()(*task, state, np.int32(0), np.int32(steps))

                seconds, made = best(train, trials)
                work = repeats * steps * cost.step
                yield Timed(product.task.__name__, f"{steps} updates", seconds, work)
            made = run.end(made)
        programs.add(program)
        values[product.digest] = made if of else jax.tree.map(lambda x: x[0], made)


def best(work, trials):
    """Seconds of the fastest of `trials` runs of `work` after one that compiles; its result."""
    result = jax.block_until_ready(work())
    seconds = []
    for _ in range(trials):
        start = time.perf_counter()
        result = jax.block_until_ready(work())
        seconds.append(time.perf_counter() - start)
    return min(seconds), result
