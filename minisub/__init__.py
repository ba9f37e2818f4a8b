"""minisub: a small laboratory for subliminal learning in JAX and Flax."""

from minisub.config import Refused, Stopped
from minisub.lab.products import Measure, Product, together
from minisub.lab.run import run
from minisub.loading import load

__version__ = "0.2.0"
__all__ = ["Measure", "Product", "Refused", "Stopped", "__version__", "load", "run", "together"]
