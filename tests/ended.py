"""How a command line ends, in this process; and whether what it says is a sentence."""

import contextlib
import io
import re

from minisub import cli

REMEDY = re.compile(
    r"\b(must|at least|at most|begin|change|choose|free|give|join|leave|lists every field|lower|"
    r"put|raise|rename|replace|report|return|run the same|see|set|take|unset|use|wait|wrap|write)\b"
)
"""What tells a reader what to do."""


def ended(*words):
    """(status, what was printed, what was said) of a command line; 0 is the status of --help."""
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    said = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        try:
            status = cli.main(list(map(str, words)))
        except SystemExit as end:
            status = end.code or 0
    return status, printed.buffer.getvalue().decode(), said.buffer.getvalue().decode()


def is_sentence(said):
    """Whether something is one line that ends as a sentence does, and has a remedy."""
    return bool(re.fullmatch(r"\S[^\n]*\.\n", said)) and bool(REMEDY.search(said))
