"""What is kept when a run is done, in its folder (--keep) and for the next one."""

import contextlib
import json
import os
import shutil
from pathlib import Path

from minisub.config import require
from minisub.lab import files, folder


def home():
    """The folder of this user's caches of minisub."""
    caches = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # a user without a home
        caches = caches or str(Path.home() / ".cache")
    return Path(caches) / "minisub" if caches else None


def destination(out):
    """The path of a file that a command will write, after making its folder. Raises `Refused` if
    something else is there, such as a device, which root could replace."""
    out = Path(out)
    require(not out.exists() or out.is_file(), f"{out} is no file; choose another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def number(variable, usual, least=1):
    """The whole number in an environment variable, or `usual` if that is not set."""
    said = os.environ.get(variable) or str(usual)
    there = said.isdecimal() and int(said) >= least
    require(there, f"{variable} is {said!r}; give a whole number of at least {least}.")
    return int(said)


def thin(place, keep, most=2**30):
    """Remove products of a `Folder` that are not to be kept; return a sentence about them, or "".

    "all" keeps those of every repeat, "last" those of the last group of repeats, "none" keeps
    none; "auto" keeps all while they take less than `most` bytes, and then as "last".
    """
    place.settle()
    products = [*folder.whole(place.path)]
    size = sum(p.stat().st_size for path in products for p in path.rglob("*") if p.is_file())
    if keep == "all" or not products or (keep == "auto" and size <= most):
        return ""
    labels = {p.name for p in products} - {"run"}
    last = max(labels, key=lambda label: int(label.split("..")[0]), default="")
    removed = [p for p in products if keep == "none" or p.name not in (last, "run")]
    place.dropped |= {f"{p.parent.name}/{p.name}" for p in removed}
    files.write_atomically(place.path / "dropped.json", json.dumps(sorted(place.dropped)) + "\n")
    for path in removed:
        shutil.rmtree(path)
    which = "products" if keep == "none" else "products of earlier repeats"
    return (
        f"{len(removed)} {which} were dropped (the same command with --keep all makes them again)."
    )
