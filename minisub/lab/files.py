"""Files that a kill at any instant leaves whole, or recognizably not whole; who owns a folder."""

import contextlib
import json
import os
import re
from pathlib import Path

from minisub.config import Refused

try:
    import fcntl
except ImportError as error:  # pragma: no cover
    raise Refused("minisub runs on Linux and macOS; use one of these, or WSL.") from error

NO_SPACE = "free some space or choose another --out"


@contextlib.contextmanager
def refusing(what, remedy):
    """Turn an error of the file system into `Refused`: "WHAT (reason); REMEDY."."""
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
        raise Refused(f"{what} ({os.strerror(code)}); {remedy}.") from None


def lock(folder):
    """An open file that locks `folder` until it is closed, or None if another process has it."""
    file = open(Path(folder) / ".lock", "ab")  # noqa: SIM115 - open as long as the run
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        file.close()
        if isinstance(error, BlockingIOError):
            return None
        raise
    return file


def write_atomically(path, content):
    """Write text or bytes to `path`, which has the old or the new content at every instant."""
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


def is_row(line):
    """Whether `line` (bytes) is one whole JSON object with its newline."""
    with contextlib.suppress(ValueError):
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    return False
