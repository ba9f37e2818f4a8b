"""minisub: a small laboratory for subliminal learning in JAX and Flax."""

from minisub.claims import Claim, TheoryConfig
from minisub.config import Refused, Training, Watch
from minisub.detection_config import Detector, Pair
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
from minisub.presets import ablation, emitters, grid, rich
from minisub.token_config import (
    Arm,
    Config,
    Lineage,
    Model,
    Pretraining,
    Sampling,
    Source,
    Steering,
    Teaching,
    World,
)

__version__ = "0.1.0"
__all__ = [
    "Arm",
    "Carrier",
    "Claim",
    "Config",
    "Data",
    "Detector",
    "Duration",
    "ImageArm",
    "ImageConfig",
    "ImageModel",
    "Imitation",
    "Lineage",
    "Model",
    "Pair",
    "Pretraining",
    "Refused",
    "Sampling",
    "Source",
    "Steering",
    "Teaching",
    "TheoryConfig",
    "Training",
    "Watch",
    "World",
    "ablation",
    "emitters",
    "grid",
    "over_repeats",
    "rich",
    "run",
]
