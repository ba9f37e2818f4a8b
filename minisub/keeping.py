"""What is kept when a run is done, in its folder (--keep) and for the next one."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from minisub.config import require
from minisub.lab import files, folder

LIMIT = 2 * 2**30  # bytes of the folder


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
    last = max(labels, key=lambda label: [*map(int, label.split(".."))], default="")
    removed = [p for p in products if keep == "none" or p.name not in (last, "run")]
    place.dropped |= {f"{p.parent.name}/{p.name}" for p in removed}
    files.write_atomically(place.path / "dropped.json", json.dumps(sorted(place.dropped)) + "\n")
    for path in removed:  # hidden first, so that a kill leaves no half of a product
        hidden = path.with_name(f".{path.name}")
        shutil.rmtree(hidden, ignore_errors=True)
        os.replace(path, hidden)
        shutil.rmtree(hidden)
    which = "products" if keep == "none" else "products of earlier repeats"
    return (
        f"{len(removed)} {which} were dropped (the same command with --keep all makes them again)."
    )


class Cache:
    """Bases and teachers that runs with one environment and one seed share, in the user's folder.

    A product is found by its digest, the seed, its repeats, and all that its bits depend on. What
    was not used for longest goes when the folder grows over its limit.
    """

    def __init__(self, root, environment, seed, limit=LIMIT):
        digest = hashlib.sha256(json.dumps(environment, sort_keys=True).encode())
        self.root, self.seed = Path(root) / "products", seed
        self.folder = self.root / digest.hexdigest()[:16]
        self.limit = limit

    def where(self, product, repeats):
        """The folder of a product."""
        return self.folder / str(product) / f"{self.seed}-{folder.label(repeats)}"

    def copy_to(self, run, product, repeats):
        """Copy a product into a run's folder, if it is here."""
        there = self.where(product, repeats)
        with contextlib.suppress(OSError):  # it is not here, or is being evicted
            copy(there, run.where(product, repeats))
            os.utime(there)

    def copy_from(self, run, product, repeats):
        """Keep a product that a run has made, when it is written; the cache may fail."""
        path, there = run.where(product, repeats), self.where(product, repeats)

        def keep():
            with contextlib.suppress(OSError):
                shutil.rmtree(there, ignore_errors=True)  # damaged, or it would have been taken
                copy(path, there)
                self.evict()

        run.later(keep)

    def evict(self):
        """Remove what was not used for longest until the folder is within its limit."""
        kept = sorted(self.root.glob("*/*/*"), key=lambda p: p.stat().st_mtime, reverse=True)
        total = 0
        for path in kept:
            total += sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
            if total > self.limit:
                shutil.rmtree(path, ignore_errors=True)


def copy(source, target):
    """Copy a folder, which appears when it is whole; another process may be faster."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as passing:
        os.replace(shutil.copytree(source, f"{passing}/whole"), target)
