"""minisub: a small laboratory for subliminal learning in JAX and Flax."""

from minisub.config import Arm, Config, Model, Pretraining, Refused, Sampling, Training, World
from minisub.experiment import over_repeats, run

__version__ = "0.1.0"
__all__ = [
    "Arm",
    "Config",
    "Model",
    "Pretraining",
    "Refused",
    "Sampling",
    "Training",
    "World",
    "over_repeats",
    "run",
]
