"""Bases and teachers that earlier runs have made, in the user's cache folder.

A product is found by its digest, the seed, its repeats, and all that its bits depend on. What was
not used for longest goes when the folder grows over its limit.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from minisub.lab import folder

LIMIT = 2 * 2**30  # bytes of the folder


class Cache:
    """What runs with one environment and one seed share."""

    def __init__(self, root, environment, seed, limit=LIMIT):
        digest = hashlib.sha256(json.dumps(environment, sort_keys=True).encode())
        self.root, self.seed = Path(root) / "products", seed
        self.folder = self.root / digest.hexdigest()[:16]
        self.limit, self.taken = limit, 0

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
