"""The folder of a run: a folder for each product, which Orbax loads as named arrays.

    products/teach-0a1b2c3d4e5f6071/0        a teacher of repeat 0, {"params": {...}}
    measures.jsonl                           what was measured, a line for each product and group
    under way/teach-0a1b2c3d4e5f6071 0/300   the state of a training that is not done, at step 300
    made_by.json                             on what the bits of all this depend
    dropped.json                             products that were dropped to save space
    experiment.json                          what the experiment's names stand for

Arrays have an axis of repeats. A kill leaves what is whole, or is recognized and made again.
`orbax.checkpoint.v1.load(folder)` needs none of this module.
"""

import concurrent.futures
import contextlib
import errno
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import tempfile
import threading
from pathlib import Path

import jax
import numpy as np

from minisub.config import Refused, Stopped, require
from minisub.lab import files

OWNER = f"of process {os.getpid()} on {platform.node()} ({os.urandom(8).hex()})"
# What an unreadable product fails with, None being no error of the file system. Others, such as a
# network disk that does not answer, may be over the next time.
DAMAGE = None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR
ORBAX = threading.RLock()  # Writing behind the computation and reading wait for each other.


class Store:
    """The products in a run's folder, as its `owner` and each of its workers see them."""

    def __init__(self, path, owner):
        self.path, self.owner = Path(path).absolute(), owner  # Orbax takes no relative paths.
        self.dropped: set = set()
        with contextlib.suppress(OSError, ValueError, TypeError):  # then they are made again
            self.dropped = set(json.loads((self.path / "dropped.json").read_bytes()))
        self.writer = concurrent.futures.ThreadPoolExecutor(1)
        self.writing: list = []

    def where(self, product, repeats):
        """The folder of a product."""
        return self.path / "products" / str(product) / label(repeats)

    def holds(self, product, repeats):
        """Whether a product was made: it is there, or was dropped when its measures were known."""
        path = self.where(product, repeats)
        return path.exists() or f"{path.parent.name}/{path.name}" in self.dropped

    def save(self, product, repeats, value):
        """Keep what a product stands for; it is written while the computation goes on."""
        path, value = self.where(product, repeats), jax.device_get(value)
        self.later(write, path, value, {"call": product.call})
        if (state := self.under_way(product, repeats)).exists():
            self.later(shutil.rmtree, state)

    def later(self, work, *given):
        """Call `work(*given)` while the computation goes on, one call after the other."""
        self.settle(waiting=4)
        self.writing.append(self.writer.submit(work, *given))

    def settle(self, waiting=0):
        """Wait until at most so many calls are left to do; raises what one of them raised."""
        self.check()
        while len(self.writing) > waiting:
            self.writing.pop(0).result()

    def check(self):
        """Raise `Stopped` if another process has signed the folder since (some file systems lock
        nothing), or if it is gone."""
        owner = "gone"
        with contextlib.suppress(OSError):
            owner = (self.path / ".lock").read_text(encoding="utf-8", errors="replace")
        if owner != self.owner:
            raise Stopped(f"{self.path} is {owner}; run the command again, alone in its folder.")

    def load(self, product, repeats):
        """What a product stands for, if it is there and whole; else None."""
        return read(self.where(product, repeats))[1]

    def under_way(self, product, repeats):
        """The folder of the states of a training that is not done."""
        return self.path / "under way" / f"{product} {label(repeats)}"

    def save_state(self, product, repeats, state, step):
        """Keep the state of a training before step `step`, and then not the one before it."""
        self.settle()
        path = self.under_way(product, repeats)
        leaves = {str(i): x for i, x in enumerate(jax.tree.leaves(state))}
        write(path / str(step), leaves, {"step": step})
        for other in path.iterdir():
            if other.name != str(step):
                shutil.rmtree(other)

    def load_state(self, product, repeats, begun):
        """(step, state) of a training that was under way; of one that was not (0, `begun`)."""
        states = [p for p in self.under_way(product, repeats).glob("*") if p.name.isdecimal()]
        for path in sorted(states, key=lambda p: -int(p.name)):
            note, leaves = read(path)
            if note:
                in_order = [leaves[str(i)] for i in range(len(leaves))]
                return note["step"], jax.tree.unflatten(jax.tree.structure(begun), in_order)
        return 0, begun


class Folder(Store):
    """What a run has made: its products, and what was measured."""

    def __init__(self, path, made_by=None):
        """Open a folder that is not in use; `made_by` is what the bits of its products depend on.

        Raises `Refused` if it is in use, cannot be written, or has products that were made by
        something else.
        """
        with files.refusing(f"{path} cannot hold a run", "choose another --out"):
            Path(path).mkdir(parents=True, exist_ok=True)
            super().__init__(path, OWNER)
            self.lock, self.signed = files.lock(self.path), False
            require(self.lock, f"{path} is in use by another run; wait or choose another --out.")
            try:
                self._claim(path, json.loads(json.dumps(made_by or {})))
                self.known = {tuple(row["of"]): row["values"] for row in self._rows()}
            except BaseException:
                self.lock.close()
                raise

    def _claim(self, path, made_by):
        """Note what makes this folder's products, or refuse it if something else made them."""
        note = self.path / "made_by.json"
        remedy = "choose another --out, or remove that folder to make everything anew."
        empty = ".lock", note.name, f".{note.name}.tmp"  # or a kill left it so
        others = [p.name for p in self.path.iterdir() if p.name not in empty]
        if not note.exists():
            require(not others, f"{path} has {', '.join(sorted(others)[:3])} but no run; {remedy}")
            files.write_atomically(note, json.dumps(made_by, indent=1) + "\n")
            return
        try:
            there = dict(json.loads(note.read_bytes()))
        except (ValueError, TypeError):
            raise Refused(f"{note} is damaged; {remedy}") from None
        both = ((x, there.get(x, "absent"), made_by.get(x, "absent")) for x in {**there, **made_by})
        differing = [
            f"{name} was {one} and is {other}" for name, one, other in both if one != other
        ]
        require(not differing, f"{path} was made otherwise ({'; '.join(differing)}); {remedy}")

    def _rows(self):
        """The rows of measures; what a kill left of the last one is cut off."""
        path, rows = self.path / "measures.jsonl", []
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        for line in lines:
            with contextlib.suppress(ValueError, LookupError, TypeError):
                row = json.loads(line)
                rows += [row] if line == sealed(row["of"], row["values"]) else []
        if len(rows) != len(lines):
            files.write_atomically(path, b"".join(sealed(x["of"], x["values"]) for x in rows))
        return rows

    def measures(self, product, repeats):
        """What was measured, name -> array with an axis of repeats; None if nothing was."""
        there = self.known.get((str(product), label(repeats)))
        return there and {name: np.array(x) for name, x in there.items()}

    def note(self, product, repeats, values):
        """Keep what was measured; return it as `measures` does."""
        values = {name: np.asarray(x, "float64").tolist() for name, x in values.items()}
        line = sealed([str(product), label(repeats)], values)
        self.check()
        full = files.refusing(f"{self.path} cannot be written", files.NO_SPACE, Stopped)
        with full, open(self.path / "measures.jsonl", "ab") as file:
            files.write_through(file, line)
        self.known[str(product), label(repeats)] = values
        return self.measures(product, repeats)

    def check(self):
        """As of a `Store`; the folder is signed when it is first written."""
        if not self.signed:
            self.lock.truncate(0)
            files.write_through(self.lock, OWNER.encode())
            self.signed = True
        super().check()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Let go of the folder; what is being written is written first."""
        self.writer.shutdown()
        self.lock.close()


def label(repeats):
    """A group of repeats as the name of a folder; that of what is made once is "run"."""
    ends = dict.fromkeys((*repeats[:1], *repeats[-1:]))
    return "..".join(map(str, ends)) or "run"


def whole(path):
    """Folders of groups of repeats, of all products in a run's folder; none unfinished."""
    found = (path / "products").glob("*/*")
    return (group for group in found if re.fullmatch(r"run|\d+(\.\.\d+)?", group.name))


def sealed(of, values):
    """A line of measures (bytes) with its SHA-256."""
    row = {"of": of, "values": values}
    digest = hashlib.sha256(json.dumps(row).encode()).hexdigest()[:16]
    return f"{json.dumps(row | {'sha256': digest})}\n".encode()


def write(path, tree, note):
    """Make a folder of named arrays, which appears when it is whole."""
    shutil.rmtree(path, ignore_errors=True)  # it is damaged, or it would have been read
    tree = jax.device_get(tree)
    seal = {"note": note, "sha256": checksum(tree, note)}
    with (
        files.refusing(f"{path} cannot be saved", files.NO_SPACE, Stopped),
        quiet(path) as (ocp, p),
    ):
        ocp.save(p, tree, custom_metadata=seal)


def read(path):
    """(note, tree) of a folder, or (None, None) if it is not there, or not as it was written."""
    if not path.exists():
        return None, None
    try:
        with quiet(path) as (ocp, place):
            seal, tree = ocp.metadata(place).custom_metadata, ocp.load(place)
        whole = seal["sha256"] == checksum(tree, seal["note"])
    except Exception as error:  # whatever the damage
        if isinstance(error, MemoryError) or files.code_of(error) not in DAMAGE:
            raise
        return None, None
    # Copied: JAX could use memory in place, which a program that donates it must not.
    return (seal["note"], jax.device_put(tree, may_alias=False)) if whole else (None, None)


def checksum(tree, note):
    """SHA-256 over names, types, shapes and bytes of arrays, and a note about them."""
    digest = hashlib.sha256(json.dumps(note).encode())
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        x = np.asarray(x)
        digest.update(f"{jax.tree_util.keystr(path)} {x.dtype} {x.shape}".encode() + x.tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def quiet(path):
    """Orbax without its voice, and a name of `path` in which it reads nothing as a pattern."""
    from orbax.checkpoint import v1 as ocp  # late, because it takes most of a second to import

    # A save that fails leaves no coroutine unawaited, and no clock that jumps lets one fail.
    how = ocp.options.AsyncOptions(create_directories_asynchronously=False, timeout_secs=None)
    with ORBAX, contextlib.ExitStack() as stack:
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable()
        stack.enter_context(ocp.Context(async_options=how))
        if not re.fullmatch(r"/(?!/)[\w/.,=+@~ -]*", str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not in TMPDIR, whose name may have such letters too.
            there = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
            os.symlink(path.parent, f"{there}/here")
            path = Path(there, "here", path.name)
        yield ocp, path
