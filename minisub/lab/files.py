"""Files that a kill at any instant leaves whole, or recognizably not whole; who owns a folder."""

import contextlib
import os
import re

from minisub.config import Refused

NO_SPACE = "free some space or choose another --out"


@contextlib.contextmanager
def refusing(what, remedy, kind=Refused):
    """Turn an error of the file system into `Refused`, or `Stopped`: "WHAT (reason); REMEDY."."""
    try:
        yield
    except Exception as error:
        if (code := code_of(error)) is None:
            raise
        raise kind(f"{what} ({os.strerror(code)}); {remedy}.") from None


def code_of(error):
    """The number of an error of the file system, or None if it is another error."""
    # TensorStore and Orbax raise ValueErrors that quote the number of an error, or say in words
    # that a file does not exist, which is number 2.
    said = str(error) if isinstance(error, ValueError) else ""
    quoted = re.search(r"os_error_code='(\d+)'|NOT_FOUND|does not exist", said)
    return int(quoted[1] or 2) if quoted else getattr(error, "errno", None)


def lock(folder):
    """An open file that locks `folder` until it is closed, or None if another process has it."""
    import fcntl  # here, because Windows has none

    file = open(folder / ".lock", "ab", 0)  # noqa: SIM115 - open as long as the run
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return file.close()
    except OSError:  # of a file system without locks
        pass
    return file


def write_atomically(path, content):
    """Write text or bytes to `path`, which has the old or the new content at every instant."""
    temporary = path.parent / f".{path.name}.tmp"
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
