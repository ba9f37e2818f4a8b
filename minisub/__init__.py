"""minisub: a small laboratory for subliminal learning in JAX and Flax."""

import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minisub.config import Refused, Stopped
    from minisub.images.together import together
    from minisub.lab.products import Measure, Product
    from minisub.lab.run import run
    from minisub.loading import load

__version__ = "0.2.0"
HOMES = {
    "Measure": "lab.products", "Product": "lab.products", "run": "lab.run", "load": "loading",
    "together": "images.together", "Refused": "config", "Stopped": "config",
}  # fmt: skip
__all__ = ["Measure", "Product", "Refused", "Stopped", "__version__", "load", "run", "together"]


def __getattr__(name):
    """A public name, imported when it is first asked for: JAX takes most of a second."""
    if name in HOMES:
        return getattr(importlib.import_module(f"minisub.{HOMES[name]}"), name)
    raise AttributeError(f"module 'minisub' has no attribute {name!r}")


def main():
    """Run the command line of this process, and return its status."""
    try:
        from minisub import cli
    except ValueError as error:  # of JAX, which reads its settings when it is imported
        if "jax" not in str(error).lower():
            raise
        print(f"{error}; change or unset it.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if (status := cli.main()) == 130:  # the end of Python would crash in a program's compilation
        os._exit(status)
    return status
