"""The run folder: who owns it, and its records.

A run may be killed at any instant. What is on disk is then either whole or recognized as not whole.
"""

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re

from minisub import config

OUTPUTS = ("records.jsonl", "checkpoints", "summary.json", "report.md", "figure.png")
SCALE = "repeats", "group", "lanes"
NAMED = 6  # Differing fields that a refusal names; the others it counts.
NOTED = (
    "lanes",
    "devices",
    "processes",
    "revision",
)  # In config.json, without a part in what is computed.
NO_SPACE = "free some space or choose another --out"


def claim(folder, identity):
    """Make `folder` this run's own until the process ends; return the open lock file, to be kept.

    `identity` is the run's configuration as a JSON object. A new folder gets it as config.json; a
    folder that has one must hold one that is equal but for `NOTED`, or has fewer repeats. Raises
    `config.Refused` if it holds another run, something else's files or a damaged config.json, is in
    use, or cannot be written.
    """
    with refusing(f"{folder} cannot hold a run", "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        check_identity(folder, identity)  # Before the lock: a refused folder stays as it was.
        lock = locked(folder)
        in_use = f"{folder} is in use by another run; wait for it or choose another --out."
        config.require(lock, in_use)
        try:
            wanted = check_identity(folder, identity)  # Another run may have come first.
            if wanted is not None:
                write_atomically(folder / "config.json", json.dumps(wanted, indent=2) + "\n")
        except BaseException:
            lock.close()
            raise
        return lock


def locked(folder):
    """The lock of a folder, held as long as it is open; None if another process has it."""
    lock = open(folder / ".lock", "a")  # noqa: SIM115 (open as long as its holder is at work)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        lock.close()
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


def check_identity(folder, identity):
    """Raise `config.Refused` if `folder` holds a run that is not `identity`, or no run of ours.

    Returns what its config.json has to become; None if it says so already.
    """
    path, remedy = folder / "config.json", "choose another --out or remove that folder."
    if not path.exists():
        found = ", ".join(name for name in OUTPUTS if (folder / name).exists())
        config.require(not found, f"{folder} holds {found} but no config.json; {remedy}")
        return identity
    try:
        tree = json.loads(path.read_bytes())
        there, here = dotted(tree), dotted(identity)
    except (ValueError, AttributeError):
        raise config.Refused(f"{path} is damaged (not a JSON object); {remedy}") from None
    more = grows(tree, identity)
    same = (*NOTED, "repeats") if more else NOTED
    names = [name for name in there | here if name not in same]
    differing = [name for name in names if there.get(name) != here.get(name)]
    parts = [
        f"{name} is {there.get(name, 'absent')} there, {here.get(name, 'absent')} here"
        for name in differing[:NAMED]
    ]
    if len(differing) > NAMED:
        parts.append(f"and {len(differing) - NAMED} more")
    config.require(not parts, f"{folder} holds another run ({'; '.join(parts)}); {remedy}")
    return tree | {"repeats": identity["repeats"]} if more else None


def grows(there, here):
    """Whether a run has the repeats of another and more behind them, whose rows follow its own.

    Not behind a group that is not whole, nor in lanes, which divide all repeats.
    """
    scale = old, group, lanes = [there.get(name, 1) for name in SCALE]
    whole = all(type(n) is int for n in scale) and group > 0 and old % group == 0
    return whole and lanes == 1 and 0 < old < here.get("repeats", 1)


def noted(folder, name, default):
    """What the config.json of `folder` says of `name`; `default` if it says nothing of its kind."""
    try:
        there = json.loads((folder / "config.json").read_bytes()).get(name)
    except (OSError, ValueError, AttributeError):
        return default
    return there if type(there) is type(default) else default


def parts(folder, lanes):
    """The folders of records and checkpoints of a run's lanes: `folder` itself if there is one."""
    return [folder] if lanes == 1 else [folder / "lanes" / str(i) for i in range(lanes)]


def joined(folder, parts):
    """The rows of all lanes in order, which become the records of `folder`, as a list of dicts."""
    lines = b"".join((part / "records.jsonl").read_bytes() for part in parts)
    if parts != [folder]:
        write_atomically(folder / "records.jsonl", lines)
    return [json.loads(line) for line in lines.splitlines()]


def dotted(tree, prefix=""):
    """A nested dict as {"a.b": value as JSON text}. Raises AttributeError if it is not a dict."""
    flat = {}
    for name, value in tree.items():
        inner = isinstance(value, dict) and value
        # Text, because 1 == True == 1.0.
        flat |= dotted(value, f"{prefix}{name}.") if inner else {prefix + name: json.dumps(value)}
    return flat


@contextlib.contextmanager
def refusing(what, remedy):
    """Turn an error of the file system into `config.Refused`: "WHAT (reason); REMEDY."."""
    try:
        yield
    except BrokenPipeError:  # of what is printed: no fault of the file system
        raise
    except Exception as error:
        # TensorStore and Orbax raise ValueErrors that quote the number of an error or describe 2.
        quoted = re.search(r"os_error_code='(\d+)'|NOT_FOUND|does not exist", str(error))
        code = int(quoted[1] or 2) if quoted else getattr(error, "errno", None)
        if code is None:
            raise
        raise config.Refused(f"{what} ({os.strerror(code)}); {remedy}.") from None


def write_atomically(path, content):
    """Write text or bytes to `path`, which holds the old or the new content at every instant."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            write_through(file, content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_through(file, content):
    """Write bytes to an open file, as far as the disk."""
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def unused(path):
    """`path`, or the first of path-2, path-3, ... that does not exist."""
    numbered = (path.with_name(f"{path.name}-{n}") for n in itertools.count(2))
    return next(p for p in itertools.chain([path], numbered) if not p.exists())


class Records:
    """The rows of records.jsonl, in the one order in which every run of a configuration makes them.

    A resumed run starts earlier than the file ends: it makes rows that are there, which must agree.
    """

    def __init__(self, path):
        """Read `path` if it exists, and cut off what a kill left unfinished at its end.

        Lines after an invalid one in the middle go to PATH.damaged, and a sentence to `notices`.
        Raises `config.Refused` if the file cannot be read or repaired.
        """
        self.path, self.notices, self.cursor = path, [], 0
        self.sha256, self._doubted, self._size = hashlib.sha256(), False, 0
        with refusing(f"{path} cannot be used", NO_SPACE):
            self._lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
            self._cut_off(len(list(itertools.takewhile(is_row, self._lines))))

    def seek(self, n, sha256=None):
        """Go to row `n`; return self. Raises ValueError if the file has fewer rows before it, or
        others than `sha256` was of; what follows the row of the next call is cut off then."""
        if not 0 <= n <= len(self._lines):
            raise ValueError(f"checkpoint is ahead: it follows {n} rows of {len(self._lines)}")
        found = hashlib.sha256(b"".join(self._lines[:n]))
        if sha256 not in (None, found.hexdigest()):
            self._doubted = True
            raise ValueError(f"the {n} rows before it differ from their checksum")
        if self._doubted:
            with refusing(f"{self.path} cannot be used", NO_SPACE):
                self._cut_off(n)
        self.cursor, self.sha256, self._doubted = n, found, False
        return self

    def rows(self):
        """The rows before the cursor, as a list of dicts."""
        return [json.loads(line) for line in self._lines[: self.cursor]]

    def append(self, rows):
        """Add `rows` (JSON dicts) at the cursor and move it past them; new ones reach the disk.

        Raises ValueError for a number that is not finite, and `config.Refused` if a row differs
        from the one on file, the file is no longer what it was, or the disk does not take it.
        """
        lines = [json.dumps(row, allow_nan=False).encode() + b"\n" for row in rows]
        known = self._lines[self.cursor : self.cursor + len(lines)]
        for number, (there, here) in enumerate(zip(known, lines, strict=False), self.cursor + 1):
            config.require(
                there == here,
                f"{self.path} line {number} differs from what this run computes, so the folder was "
                "made by other code or on another device; choose another --out.",
            )
        if new := lines[len(known) :]:
            with refusing(f"{self.path} cannot be used", NO_SPACE), open(self.path, "ab") as file:
                same = file.tell() == self._size
                config.require(same, f"{self.path} was changed meanwhile; repeat the command.")
                write_through(file, b"".join(new))
                self._size = file.tell()
            self._lines += new
        self.cursor += len(lines)
        self.sha256.update(b"".join(lines))

    def _cut_off(self, n):
        """Cut the file behind `n` lines; others are kept elsewhere unless a kill explains them."""
        self._lines, rest = self._lines[:n], self._lines[n:]
        self._size = sum(map(len, self._lines))
        if any(map(is_row, rest)):
            aside = unused(self.path.with_name(f"{self.path.name}.damaged"))
            write_atomically(aside, b"".join(rest))
            where = f"{self.path} is damaged at line {n + 1} or behind it; the lines from there on "
            self.notices.append(where + f"were moved to {aside.name} and will be computed again.")
        if rest:
            os.truncate(self.path, self._size)


def is_row(line):
    """Whether `line` (bytes) is one whole JSON object with its newline."""
    with contextlib.suppress(ValueError):
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    return False
