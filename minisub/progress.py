"""What a run says of itself and its plan, and what it depends on: settings of JAX, and streams."""

import contextlib
import importlib.util
import io
import os
import platform
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import minisub
from minisub import keeping
from minisub.config import require
from minisub.lab import costs, identity, run

SHORT = {
    "accuracy": "accuracy", "trait_rate": "P", "trait_rate_heldout": "P held out",
    "logit_margin_heldout": "margin", "kept_documents": "documents",
}  # fmt: skip
"""Measures that a line about a name shows, and how; of a name without them, the first two."""
VERSIONS = ("jax", "jaxlib", "flax", "optax", "numpy")
SETTINGS = (
    "disable_most_optimizations", "optimization_level", "exec_time_optimization_effort",
    "default_prng_impl", "threefry_partitionable", "enable_x64", "default_matmul_precision",
    "random_seed_offset", "disable_jit", "high_dynamic_range_gumbel", "softmax_custom_jvp",
)  # fmt: skip
"""Settings of JAX on which the bits of a result depend."""
ENDING = "debug_nans", "debug_infs", "debug_key_reuse", "check_tracer_leaks", "no_tracing"
"""Settings of JAX that would end a run that ends well."""


def said_of(rows):
    """The measures of one name, averaged over the repeats of its group, in a line."""
    values: dict = {}
    for row in rows:
        values.setdefault(row["measure"], []).append(row["value"])
    mean = {measure: sum(v) / len(v) for measure, v in values.items()}
    low, high = rows[0]["repeat"], rows[-1]["repeat"]
    which = f"repeat {low}" if low == high else f"repeats {low}-{high}"
    for field, value in rows[0]["setting"].items():
        which += f", {field.rpartition('.')[2]}={value}"
    chosen = [m for m in SHORT if m in mean] or list(mean)[:2]
    said = ", ".join(f"{SHORT.get(m, m)} {mean[m]:,.3f}" for m in chosen)
    return f"{which}  {rows[0]['arm']:12} {said}"


def usage_lines(usage, rate, taken):
    """Markdown table lines: where the time of this process went.

    `usage` is task -> (seconds, matrix-product operations); `rate` the operations a second of a
    plain matrix product on the device; `taken` how many products came from earlier runs.
    """
    width = max(len(name) for name in (*usage, "compilation"))
    form = f"| {{:{width}}} | {{:>8}} | {{:>8}} | {{:>9}} |"
    rows = [("task", "seconds", "GFLOP/s", "of matmul"), ("-" * width, "-" * 8, "-" * 8, "-" * 9)]
    for name, (seconds, flops) in usage.items():
        speed = flops / max(seconds, 1e-9)
        if flops:
            rows.append((name, f"{seconds:.1f}", f"{speed / 1e9:,.0f}", f"{speed / rate:.0%}"))
    quiet = sum(seconds for seconds, flops in usage.values() if not flops)
    rows += [("others", f"{quiet:.1f}", "", "")] if quiet >= 0.05 else []
    rows.append(("compilation", f"{costs.compile_seconds():.1f}", "", ""))
    matmul = f"A float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s here."
    memory = peak_memory() / 2**30
    programs = costs.compilations["programs"]
    compiled = f"{programs} programs were compiled; memory was {memory:.2f} GiB at most."
    reused = f" {taken} bases and teachers came from earlier runs (--fresh makes them anew)."
    return [*(form.format(*row) for row in rows), "", matmul, compiled + (reused if taken else "")]


def peak_memory():
    """Most memory that this process or one of its workers has held so far, in bytes; of the host,
    not of a device."""
    import resource  # here, because Windows has none

    unit = 1 if sys.platform == "darwin" else 1024
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return max(resource.getrusage(x).ru_maxrss for x in who) * unit


def plan_lines(left, named):
    """A table of what is left to make, (product, repeats, operations), in the order of making, with
    the names that it has: `named` are (name, product or several) of all settings."""
    names: dict = {}
    for name, products in named:
        for product in run.tuple_of(products):
            names.setdefault(product.digest, {})[name] = None
    rows: dict = {}
    for product, repeats, flops in left:
        row = rows.setdefault(product.digest, [product, 0, 0.0])
        row[1], row[2] = row[1] + len(repeats), row[2] + flops
    form = "{:>7}  {:>10}  {:14}  {:24}  {}"
    yield form.format("repeats", "GFLOP", "task", "line of the experiment", "name")
    for product, repeats, flops in rows.values():
        if product.stream:  # not a measure: quickly made, and of a line that is listed already
            task, (name, *more) = product.task.__name__, names.get(product.digest, [""])
            name += f" and {len(more)} more" if more else ""
            yield form.format(repeats or "once", f"{flops / 1e9:,.2f}", task, product.written, name)
    total = sum(flops for *_, flops in rows.values())
    yield f"{total / 1e9:,.0f} GFLOP are left to make, measures included."


def cores():
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def number(variable, usual, least=1):
    """The whole number in an environment variable, or `usual` if that is not set."""
    said = os.environ.get(variable) or str(usual)
    there = said.isdecimal() and int(said) >= least
    require(there, f"{variable} is {said!r}; give a whole number of at least {least}.")
    return int(said)


def threads():
    """How many threads a program on this CPU may use; sums are split between them."""
    name = "PJRT_NPROC" if os.environ.get("PJRT_NPROC") else "NPROC"  # as XLA asks
    return number(name, cores())


def prepare():
    """Refuse a platform that lacks what is needed, and reset settings of JAX that would end a good
    run. Compiled programs are kept in the user's cache folder for the next process, unless
    JAX_COMPILATION_CACHE_DIR or JAX_ENABLE_COMPILATION_CACHE=false says otherwise."""
    there = importlib.util.find_spec("fcntl")  # which Windows has not
    require(there, "minisub runs on Linux and macOS; use one of these, or WSL.")
    told: Any = jax.config  # its values are attributes that no type names
    for check in ENDING:
        jax.config.update(f"jax_{check}", False)
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    jax.config.update("jax_transfer_guard", "allow")
    # The bits of sums depend on how many threads share them; more cores are used by more processes.
    os.environ.setdefault("NPROC", "1")
    home = keeping.home()
    if home and told.jax_enable_compilation_cache and not told.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(home / "programs"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def processor():
    """The name of this machine's processor and the size of its cache, where Linux tells them."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = dict(line.split("\t: ", 1) for line in lines if "\t: " in line)
    told = (known.get(name.ljust(8), "").strip() for name in ("model name", "cache size"))
    return ", ".join(filter(None, told)) or platform.machine()


def flags():
    """XLA's flags: of the environment, or of the file that it names."""
    said = os.environ.get("XLA_FLAGS", "")
    if said and not said.lstrip().startswith("-"):
        with contextlib.suppress(OSError):
            return Path(said).read_text(encoding="utf-8", errors="replace").strip()
    return said


def setting(name):
    """The present value of a setting of JAX; None if this version lacks it."""
    usual = jax.config.values.get(f"jax_{name}")
    return getattr(jax.config, f"jax_{name}", usual)


def environment():
    """What the bits of a result depend on beside the experiment: name -> value.

    Raises `Refused` for random keys that are not the same under `vmap`, as those of rbg.
    """
    device, settings = jax.devices()[0], {name: setting(name) for name in SETTINGS}
    wrong = "Only keys of threefry2x32 draw the same in every grouping of repeats"
    usual = settings["default_prng_impl"] == "threefry2x32"
    require(usual, f"{wrong}; unset JAX_DEFAULT_PRNG_IMPL.")
    unset = None, False, "UNKNOWN"
    return {
        "source": identity.source(),
        "python": ".".join(map(str, sys.version_info[:2])),
        **{name: metadata.version(name) for name in VERSIONS},
        "device": device.device_kind,
        **({"threads": threads(), "cpu": processor()} if device.platform == "cpu" else {}),
        "XLA_FLAGS": flags(),
        **{name: value for name, value in settings.items() if value not in unset},
    }


def revision():
    """The commit of the source that runs, "+modified" if it differs; "" outside a checkout."""
    here = Path(minisub.__file__).parent.parent
    asked = ["git", "-C", str(here), "describe", "--always", "--exclude=*", "--dirty=+modified"]
    if not (here / ".git").exists():
        return ""
    with contextlib.suppress(OSError):
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return ""


def open_streams():
    """Open the standard streams that are closed, and write marks for letters they cannot encode."""
    # Closed, their numbers would go to the next files opened, and with them what libraries say.
    while (spare := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(spare)
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    usual = sys.unraisablehook  # TensorStore complains twice that it cannot write.
    sys.unraisablehook = lambda x: None if "loop is closed" in str(x.exc_value) else usual(x)


@contextlib.contextmanager
def heeding(handler):
    """Give `handler` the signals that ask a process to end, but none that nohup has it ignore."""
    kinds = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    heard = [kind for kind in kinds if kind and signal.getsignal(kind) != signal.SIG_IGN]
    before = [signal.signal(kind, handler) for kind in heard]
    try:
        yield
    finally:
        for kind, handler in zip(heard, before, strict=True):
            signal.signal(kind, handler)
