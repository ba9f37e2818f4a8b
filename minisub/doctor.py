"""The command `python train.py doctor`: what a bug report needs, on one screen."""

import contextlib
import itertools
import os
import platform
import re
import textwrap
from functools import partial
from importlib import metadata
from pathlib import Path

import jax

import minisub
from minisub import keeping, progress
from minisub.config import Refused, require

VARIABLES = re.compile(r"(PJRT_)?NPROC$|(JAX|XLA|MINISUB)_(?!.*(TOKEN|SECRET|PASSW|CREDENTIAL))")
ROWS = {"devices": 4, "settings": 5, "variables": 6}  # at most; others have 2


def lines(words=()):
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


def folder(path):
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
    "minisub": lambda: f"{minisub.__version__} {progress.revision()}",
    "python": lambda: f"{platform.python_version()}, {platform.platform()}",
    **{x: partial(metadata.version, x) for x in (*progress.VERSIONS, "orbax-checkpoint")},
    "devices": lambda: ", ".join(f"{x.id}: {x.platform} {x.device_kind}" for x in devices()),
    "settings": lambda: ", ".join(f"{x}={progress.setting(x)}" for x in progress.SETTINGS),
    "variables": lambda: " ".join(  # the long ones last, where they may be cut
        sorted((f"{x}={y}" for x, y in os.environ.items() if VARIABLES.match(x)), key=len)
    ),
    "threads": lambda: f"{progress.threads()} in use, of {os.cpu_count()} cores",
    "memory": lambda: f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
    "programs": lambda: folder(jax.config.values["jax_compilation_cache_dir"]),
    "products": lambda: folder(keeping.home() and keeping.home() / "products"),
    "tfds data": lambda: folder(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")),
}
