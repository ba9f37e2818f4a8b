"""minisub: a small laboratory for subliminal learning in JAX and Flax."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minisub.config import Refused, Stopped
    from minisub.images.together import together
    from minisub.lab.products import Measure, Product
    from minisub.lab.run import run
    from minisub.loading import load

__version__ = "0.2.0"
__all__ = ["Measure", "Product", "Refused", "Stopped", "__version__", "load", "run", "together"]
HOMES = {
    "lab.products": ("Measure", "Product"),
    "lab.run": ("run",),
    "images.together": ("together",),
    "config": ("Refused", "Stopped"),
    "loading": ("load",),
}


def __getattr__(name):
    """A public name, imported when it is first asked for: JAX takes most of a second."""
    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"minisub.{home}"), name)
    raise AttributeError(f"module 'minisub' has no attribute {name!r}")
