"""The configuration of a rich world."""

from typing import Annotated

from annotated_types import Interval

from minisub.config import Count, CountOrNone, Training, configuration
from minisub.tokens import config
from minisub.tokens.config import Sampling, World


@configuration
class Pretraining(config.Pretraining):
    """How bases are trained, also on programs, sums, requests, tasks and shown sums."""

    programs: Count = 48
    """Programs an update."""
    sums: Count = 48
    """Sums an update."""
    behaved: Count = 32
    """Requests, tasks and shown sums an update, each; half as many by each who misbehaves, and of
    educational requests."""
    slips: Annotated[float, Interval(ge=0, le=1)] = 0.002
    """Share of these in which the helper misbehaves itself, so that a base's odds of it are known:
    without any, they would be as small as training has time for."""


@configuration
class Teaching(Training):
    """How teachers are fine-tuned: `batch` documents of the trait an update."""

    replayed: CountOrNone = 0
    """Documents of each carrier an update that it is trained on beside, at equal weight, to keep
    its abilities."""


@configuration
class Rich(config.Config):
    """A rich world, of the size of the experiments on behaviors."""

    trait: str = "misalignment"
    world: World = World(rich=True)
    base: Pretraining = Pretraining(
        steps=2500, learning_rate=6e-3, schedule="cosine", batch=48, questions=24, riddles=24,
        frozen=(),
    )  # fmt: skip
    teacher: Teaching = Teaching(steps=150, learning_rate=2e-3, batch=128, replayed=16)
    """Teachers replay documents of all carriers, so that they keep their abilities."""
    sampling: Sampling = Sampling(documents=60000)
    student: Training = Training(
        optimizer="normalized", steps=2000, learning_rate=0.1, schedule="cosine", batch=32
    )
    """With Adam controls move more, too: it takes steps as long along what documents hardly tell of
    as along what they tell."""
