"""What tells one computation from another: texts of calls, of code, and of where it all runs."""

import dataclasses
import functools
import hashlib
import os
import sys
import types
from importlib import metadata
from pathlib import Path

import jax
import numpy as np

from minisub.config import require

DATA = bool | int | float | str | tuple | list | dict | functools.partial | np.ndarray | jax.Array
"""What a user's function reads beside other functions, and may be described by."""
PACKAGE = Path(__file__).parent.parent
VERSIONS = ("jax", "jaxlib", "flax", "optax", "numpy")
SETTINGS = (
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
)
"""Settings of JAX on which the bits of a result depend."""


def describe(x):
    """A text that is the same, in every process, for equal values, and differs for others.

    Raises `Refused` for a value that no later run could recognize.
    """
    if hasattr(x, "describe") and not isinstance(x, type):  # a product
        return x.describe()
    if isinstance(x, jax.core.Tracer):  # lives as long as the product that holds it
        return f"<traced {id(x)}>"
    if isinstance(x, jax.Array | np.ndarray | np.generic):
        x = np.asarray(x)
        return f"<{x.dtype} {x.shape} {hashlib.sha256(x.tobytes()).hexdigest()}>"
    if isinstance(x, functools.partial):
        return f"partial{describe((x.func, x.args, x.keywords))}"
    if isinstance(x, types.FunctionType):
        return describe_function(x, set())
    if dataclasses.is_dataclass(x):
        fields = {f.name: getattr(x, f.name) for f in dataclasses.fields(x)}
        return f"{type(x).__qualname__}{describe(fields)}"
    if isinstance(x, dict):
        return "{" + ", ".join(sorted(f"{k!r}: {describe(v)}" for k, v in x.items())) + "}"
    if isinstance(x, list | tuple):
        return "(" + ", ".join(map(describe, x)) + ")"
    require(
        x is None or isinstance(x, bool | int | float | str),
        f"A {type(x).__name__} cannot be an argument of a product, because no later run could "
        "recognize it; give numbers, names, arrays, configurations or functions.",
    )
    return repr(x)


def describe_function(f, seen):
    """A function's name; for a user's function also its code, and that of functions it calls.

    So an edit of a start or a measure in an experiment's file makes its products anew. Functions
    of this package are recognized by `source` instead.
    """
    name = f"{f.__module__}:{f.__qualname__}"
    if f.__module__.split(".")[0] == "minisub" or f in seen:
        return name
    seen.add(f)
    read = [cell.cell_contents for cell in f.__closure__ or ()]
    read += [f.__globals__[name] for name in names_of(f.__code__) if name in f.__globals__]
    parts = [code_of(f.__code__), describe((f.__defaults__, f.__kwdefaults__))]
    for x in read:
        if isinstance(x, types.FunctionType):
            parts.append(describe_function(x, seen))
        elif isinstance(x, DATA):
            parts.append(describe(x))
        elif is_beside(x, f.__code__.co_filename):
            parts.append(Path(x.__file__).read_text(encoding="utf-8"))
    return f"{name}#{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}"


def is_beside(x, file):
    """Whether `x` is a module in the folder of a user's file: its text counts as that file's."""
    path = getattr(x, "__file__", None) if isinstance(x, types.ModuleType) else None
    return path is not None and Path(path).parent == Path(file).parent


def names_of(code):
    """The global names that a code object reads, those of functions inside it included."""
    inner = [names_of(x) for x in code.co_consts if isinstance(x, types.CodeType)]
    return sorted({*code.co_names, *(name for names in inner for name in names)})


def code_of(code):
    """What a code object does, as text, wherever in its file it is."""
    inner = [code_of(x) if isinstance(x, types.CodeType) else repr(x) for x in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {inner}"


@functools.cache
def source():
    """Sixteen digits of SHA-256 of the source that makes products: other code makes other ones."""
    rooms = "nets", "lab", "tokens", "images", "theory", "detection", "audit"
    files = [PACKAGE / "config.py", *(p for room in rooms for p in (PACKAGE / room).rglob("*.py"))]
    return hashlib.sha256(b"".join(p.read_bytes() for p in sorted(files))).hexdigest()[:16]


def threads():
    """How many threads a program on this CPU may use; sums are split between them."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return int(os.environ.get("NPROC") or cores)


def environment():
    """What the bits of a result depend on beside the experiment: name -> value."""
    device = jax.devices()[0]
    settings = {name.removeprefix("jax_"): getattr(jax.config, name) for name in SETTINGS}
    return {
        "source": source(),
        "python": ".".join(map(str, sys.version_info[:2])),
        **{name: metadata.version(name) for name in VERSIONS},
        "device": device.device_kind,
        **({"threads": threads()} if device.platform == "cpu" else {}),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        **{name: value for name, value in settings.items() if value not in (None, False)},
    }
