"""minisub: a small laboratory for subliminal learning in JAX and Flax."""

from minisub.config import Refused, Stopped

__version__ = "0.2.0"
__all__ = ["Refused", "Stopped", "__version__"]
