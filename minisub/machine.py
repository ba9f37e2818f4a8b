"""The machine: what of it the bits of results depend on, its signals and streams, and `doctor`."""

import contextlib
import importlib.util
import io
import itertools
import os
import platform
import re
import signal
import subprocess
import sys
import textwrap
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import joblib

import minisub
from minisub import keeping
from minisub.config import Refused, require
from minisub.lab import identity

VERSIONS = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn")
SETTINGS = (
    "disable_most_optimizations", "optimization_level", "exec_time_optimization_effort",
    "default_prng_impl", "threefry_partitionable", "enable_x64", "default_matmul_precision",
    "random_seed_offset", "disable_jit", "high_dynamic_range_gumbel", "softmax_custom_jvp",
)  # fmt: skip
"""Settings of JAX on which the bits of a result depend."""
ENDING = "debug_nans", "debug_infs", "debug_key_reuse", "check_tracer_leaks", "no_tracing"
"""Settings of JAX that would end a run that ends well."""
VARIABLES = re.compile(r"(PJRT_)?NPROC$|(JAX|XLA|MINISUB)_(?!.*(TOKEN|SECRET|PASSW|CREDENTIAL))")
ROWS = {"devices": 4, "settings": 5, "variables": 6}  # at most; others have 2


def number(variable, usual, least=1):
    """The whole number in an environment variable, or `usual` if that is not set."""
    said = os.environ.get(variable) or str(usual)
    there = said.isdecimal() and int(said) >= least
    require(there, f"{variable} is {said!r}; give a whole number of at least {least}.")
    return int(said)


def threads():
    """How many threads a program on this CPU may use; sums are split between them."""
    name = "PJRT_NPROC" if os.environ.get("PJRT_NPROC") else "NPROC"  # as XLA asks
    return number(name, joblib.cpu_count())


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
    usual = sys.unraisablehook

    def but_of_closed_loops(x):  # of which TensorStore complains twice when it cannot write
        if "loop is closed" not in str(x.exc_value):
            usual(x)

    if getattr(usual, "__name__", "") != but_of_closed_loops.__name__:  # once in a process
        sys.unraisablehook = but_of_closed_loops


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


# The command `doctor`.


def doctor(words=()):
    """What there is to say, line by line, in 80 columns; also what cannot be found out."""
    require(not words, "doctor takes no other words; leave them out.")
    for name, find in ITEMS.items():
        try:
            said = find()
        except Refused as refusal:
            said = str(refusal)
        except Exception as error:  # whatever is wrong here is what a reader wants to know
            said = f"cannot be found out ({reason(error)})."
        how: dict = {"max_lines": ROWS.get(name, 2), "break_on_hyphens": False}
        for i, row in enumerate(textwrap.wrap(without_homes(said) or "none", 63, **how)):
            yield f"{name if i == 0 else '':16} {row}"


def reason(error):
    """An exception in a few words."""
    return f"{type(error).__name__}: {error}".split("\n")[0].rstrip(": .")


def without_homes(text):
    """A text without home folders, and without letters that some terminal cannot show."""
    with contextlib.suppress(RuntimeError):  # a user without a home
        home = str(Path.home())
        text = text.replace(home, "~") if len(home) > 1 else text
    return re.sub(r"[^ -~]", "?", re.sub(r"/(home|Users)/[^/\s:,;'\"]+|/root\b", "~", text))


def devices():
    """JAX's devices; raises `Refused` if the environment lets none start."""
    try:
        jax.random.key(0).block_until_ready()  # which some settings forbid
        return jax.devices()
    except Exception as error:
        sentence = f"JAX cannot start ({reason(error)}); change or unset JAX_PLATFORMS."
        raise Refused(sentence) from None


def about(path):
    """A folder, how much is in it, and whether it can be written."""
    if not path:
        return "nothing is kept"
    path = Path(path).expanduser().absolute()
    there = next(p for p in (path, *path.parents) if p.exists())
    can = "can" if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else "cannot"
    sizes = [p.lstat().st_size for p in itertools.islice(path.rglob("*"), 20_000)]  # in a moment
    least = "at least " if len(sizes) == 20_000 else ""
    holds = f"{least}{sum(sizes) / 2**20:,.1f} MiB" if path.exists() else "not there"
    return f"{holds}, {can} be written: {path}"


ITEMS: dict = {  # name -> a function that finds it out, and may fail
    "minisub": lambda: f"{minisub.__version__} {revision()}",
    "python": lambda: f"{platform.python_version()}, {platform.platform()}",
    **{x: partial(metadata.version, x) for x in (*VERSIONS, "orbax-checkpoint")},
    "devices": lambda: ", ".join(f"{x.id}: {x.platform} {x.device_kind}" for x in devices()),
    "settings": lambda: ", ".join(f"{x}={setting(x)}" for x in SETTINGS),
    "variables": lambda: " ".join(  # the long ones last, where they may be cut
        sorted((f"{x}={y}" for x, y in os.environ.items() if VARIABLES.match(x)), key=len)
    ),
    "threads": lambda: f"{threads()} in use, of {os.cpu_count()} cores",
    "memory": lambda: f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
    "programs": lambda: about(jax.config.values["jax_compilation_cache_dir"]),
    "products": lambda: about(keeping.home() and keeping.home() / "products"),
    "tfds data": lambda: about(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")),
}
