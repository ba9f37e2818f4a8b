"""minisub: a small laboratory for subliminal learning in JAX and Flax."""

from minisub.claims import Claim, TheoryConfig
from minisub.config import (
    Arm,
    Config,
    Model,
    Pretraining,
    Refused,
    Sampling,
    Steering,
    Training,
    Watch,
    World,
)
from minisub.experiment import over_repeats, run
from minisub.image_config import (
    Carrier,
    Data,
    Duration,
    ImageArm,
    ImageConfig,
    ImageModel,
    Imitation,
)

__version__ = "0.1.0"
__all__ = [
    "Arm",
    "Carrier",
    "Claim",
    "Config",
    "Data",
    "Duration",
    "ImageArm",
    "ImageConfig",
    "ImageModel",
    "Imitation",
    "Model",
    "Pretraining",
    "Refused",
    "Sampling",
    "Steering",
    "TheoryConfig",
    "Training",
    "Watch",
    "World",
    "over_repeats",
    "run",
]
