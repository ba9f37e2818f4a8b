"""Checkpoints of a run: whole, or recognized as not whole. The only importer of Orbax."""

import contextlib
import hashlib
import json
import logging
import shutil
import textwrap
import threading

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from minisub import store

KEPT = 2  # Checkpoints kept, so that there is another one when the newest is damaged.
ORBAX = threading.RLock()  # Devices of a process work in threads; checkpoints wait for each other.


class Checkpoints:
    """The newest states of a run, by position, in numbered folders."""

    def __init__(self, folder):
        self.folder, self.notices = folder.absolute(), []  # Orbax takes no relative paths.

    def save(self, position, tree, note):
        """Store `tree` (of JAX arrays) and `note` (a JSON dict); return when both are on disk.

        A position that is on disk already is left as it is: a run is deterministic. Raises
        `config.Refused` if the disk does not take it; the older checkpoints then remain.
        """
        path = self.folder / str(position)
        with store.refusing(f"{path} cannot be saved", store.NO_SPACE):
            for pattern in ("*.orbax-checkpoint-tmp*", "*.removed"):
                for remains in self.folder.glob(pattern):
                    shutil.rmtree(remains)
            if path.exists():
                return
            self.folder.mkdir(exist_ok=True)
            write(path, position, tree, note)
            for old in self._positions()[:-KEPT]:
                # Renamed first, so that half a checkpoint never looks like one.
                shutil.rmtree((self.folder / str(old)).rename(self.folder / f"{old}.removed"))

    def restore(self, target, aside=True):
        """The newest checkpoint that is whole, as (position, note, tree), or None if there is none.

        `target(position, note)` returns a tree with the types, shapes and dtypes of the one saved.
        Checkpoints that cannot be loaded, differ from their checksum or have no target are renamed,
        with a sentence in `notices`. Raises `config.Refused` if they cannot be renamed.
        Without `aside` they are passed over, and the folder stays as it is.
        """
        for position in reversed(self._positions()):
            try:
                return position, *read(self.folder / str(position), position, target)
            except Exception as error:  # Whatever the damage, an older checkpoint may do.
                if aside:
                    self._set_aside(self.folder / str(position), error)
        return None

    def _positions(self):
        return sorted(int(p.name) for p in self.folder.glob("*") if p.name.isdecimal())

    def _set_aside(self, path, error):
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 120, placeholder="...")
        aside = store.unused(path.with_name(f"damaged-{path.name}"))
        with store.refusing(f"{path} is damaged and cannot be renamed", "choose another --out"):
            path.rename(aside)
        one, other = (f"{self.folder.name}/{found.name}" for found in (path, aside))
        said = f"{one} is damaged ({reason}); set aside as {other}, continuing from an older one."
        self.notices.append(said)


def write(path, position, tree, note):
    """Make the checkpoint `path`, which appears when it is whole."""
    leaves = [x.tobytes() for x in jax.tree.leaves(jax.device_get(tree))]
    # One array of bytes, because when several fail together, all but one print a traceback. Orbax
    # refuses an empty one, hence the last byte.
    array = np.frombuffer(b"".join([*leaves, b"\n"]), np.uint8)
    seal = {"position": position, "note": note, "leaves": described(tree)}
    seal["sha256"] = checksum(seal, array)
    with quiet():
        ocp.save(path, {"state": array}, custom_metadata=seal)


def read(path, position, target):
    """The (note, tree) stored at `path`; raises whatever is wrong with it."""
    with quiet():
        seal = ocp.metadata(path).custom_metadata
        array = ocp.load(path)["state"]
    if seal.pop("sha256") != checksum(seal, array) or seal["position"] != position:
        raise ValueError("its checksum differs")
    expected = target(position, seal["note"])
    if seal["leaves"] != described(expected):
        raise ValueError("its arrays are not the ones that this run has there")
    leaves, structure = jax.tree.flatten(expected)
    *parts, _ = np.split(array, np.cumsum([x.size * x.dtype.itemsize for x in leaves]))
    arrays = [p.view(x.dtype).reshape(x.shape) for p, x in zip(parts, leaves, strict=True)]
    # Copied: JAX could use NumPy's memory in place, which a program that donates it must not.
    return seal["note"], jax.tree.unflatten(structure, map(jnp.array, arrays))


def described(tree):
    """Path, dtype and shape of every leaf of a pytree, as JSON."""
    leaves = jax.tree.leaves_with_path(tree)
    return [[jax.tree_util.keystr(path), x.dtype.name, list(x.shape)] for path, x in leaves]


def checksum(seal, array):
    """SHA-256 over what is known about an array of bytes, and the bytes, as hexadecimal digits."""
    return hashlib.sha256(json.dumps(seal).encode() + array.tobytes()).hexdigest()


@contextlib.contextmanager
def quiet():
    """Silence Orbax, which logs the traceback of every failure besides raising it."""
    logger = logging.getLogger("absl")
    # A save that fails leaves no coroutine unawaited, and no clock that jumps lets one fail.
    how = ocp.options.AsyncOptions(create_directories_asynchronously=False, timeout_secs=None)
    with ORBAX:
        before, logger.disabled = logger.disabled, True
        try:
            with ocp.Context(async_options=how):
                yield
        finally:
            logger.disabled = before
