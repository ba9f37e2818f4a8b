"""`jit`: as `jax.jit`, but compiles fast what is run once."""

from functools import partial

import jax

OPTIONS = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""With these XLA compiles two to three times as fast; not every version has all of them."""


def is_known(option):
    """Whether XLA takes one of `OPTIONS`."""
    try:
        jax.jit(lambda: 0, compiler_options={option: OPTIONS[option]})()
    except jax.errors.JaxRuntimeError:
        return False
    return True


jit = partial(jax.jit, compiler_options={x: OPTIONS[x] for x in OPTIONS if is_known(x)})
