"""What programs cost: operations of their matrix products, and seconds, compilation apart.

Operations are counted in what JAX traced. The body of a scan counts as often as it runs, that of a
loop of unknown length once: an update.
"""

import math
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import jax
import jax.extend.core

compilations: dict[str, Any] = {"programs": 0, "seconds": 0.0, "intervals": []}
"""What JAX has compiled: programs, seconds of other processes, and when this one was tracing,
lowering or compiling."""


@lru_cache(maxsize=1000)  # Calls that share a program share its jaxpr.
def flops(jaxpr):
    """Operations of the matrix products and convolutions of a jaxpr, two for a multiply-add."""
    return sum(of_equation(equation) for equation in jaxpr.eqns)


def of_equation(equation):
    """As `flops`, of one equation with all that is inside it."""
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        inner = math.prod(equation.invars[0].aval.shape[i] for i in contracted)
        return 2 * inner * math.prod(equation.outvars[0].aval.shape)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        out = params["dimension_numbers"].rhs_spec[0]
        taps = math.prod(kernel) // kernel[out]
        return 2 * taps * math.prod(equation.outvars[0].aval.shape)
    inside = [flops(getattr(x, "jaxpr", x)) for x in jax.extend.core.jaxprs_in_params(params)]
    if name == "cond":
        return max(inside)
    return sum(inside) * (params["length"] if name == "scan" else 1)


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
    """Time that was spent on compilation so far."""
    of_this_process = sum(end - start for start, end in compilations["intervals"])
    return compilations["seconds"] + of_this_process


@contextmanager
def timed(usage, name, flops):
    """Add a block's wall time, compilation apart, and its operations to `usage[name]`."""
    start, compiling = time.perf_counter(), compile_seconds()
    yield
    seconds = time.perf_counter() - start - (compile_seconds() - compiling)
    usage[name] += max(seconds, 0.0), flops
