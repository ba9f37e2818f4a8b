"""What time goes into: compilation apart from computation, and the device's own speed."""

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

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
    if told.jax_enable_compilation_cache and not told.jax_compilation_cache_dir:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(caches / "minisub"))
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
