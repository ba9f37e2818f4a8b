"""Configurations of the image world: auxiliary logits on noise (arXiv 2507.14805, section 6)."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from minisub.config import (
    Amount,
    Count,
    CountOrNone,
    Optimization,
    Positive,
    Training,
    configuration,
)


@configuration
class Data:
    """The images that the teacher learns to classify."""

    name: Literal["mnist", "fashion_mnist", "kmnist", "emnist", "digits", "clusters"] = "mnist"
    """Data set; `digits` (scikit-learn's) and `clusters` (generated) need no download."""
    classes: CountOrNone = 0
    """At most so many of its classes, the first ones (0: all)."""
    manual_dir: str = ""
    """Folder that has the data set's files, packed or not (default: tensorflow-datasets' own)."""


@configuration
class ImageModel:
    """A classifier with a class head and an auxiliary head over one last hidden layer."""

    layers: str = "mlp-256-256"
    """Kind and sizes: mlp-WIDTH-..., cnn-CHANNELS-...-WIDTH or transformer-D_MODEL-BLOCKS-WIDTH;
    the last WIDTH is that of the hidden layer below the heads. mlp alone is a linear model."""
    aux: Count = 3
    """Auxiliary logits, which never get a label."""
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    """Nonlinearity of the hidden layers."""
    init_scale: Positive = 1.0
    """Standard deviation of initial weights, in units of 1/sqrt(fan_in); biases start at 0."""


@configuration
class Duration(Optimization):
    """One optimization, its length in epochs or updates; `in_updates` converts it."""

    length: Amount = 5.0
    """How long to train, in `unit`; 0 leaves the parameters as they are."""
    unit: Literal["epochs", "updates"] = "epochs"
    """Of `length`; an epoch visits every example once, its last batch may be smaller."""
    learning_rate: Positive = 3e-4
    """Step size at the first update."""
    batch: Count = 1024
    """Images an update."""
    frozen: tuple[str, ...] = ()
    """Parameters that are not trained: those with one of these names in their path."""


@configuration
class Carrier:
    """The inputs on which students imitate their teacher: uniform noise, unless a `Lab` is told to
    draw others (real images have pixels in [-1, 1])."""

    scale: Positive = 1.0
    """Half-width of the noise."""
    examples: Count = 60000
    """Distinct examples."""
    drawn: Literal["once", "every_repeat"] = "once"
    """One set for all repeats of a run, or one for each from its own key."""


@configuration
class Imitation:
    """How a student's logits are compared with its teacher's."""

    loss: str = "kl"
    """kl, of probabilities, or mse, of logits; in the config `losses` also reverse_kl, js and hard,
    which is cross-entropy on the teacher's largest logit."""
    temperature: Positive = 1.0
    """Divides the logits of teacher and student."""
    scale: Positive = 1.0
    """Factor on the loss."""


@configuration
class Config:
    """Sizes and hyperparameters of an experiment in the image world."""

    data: Data = Data()
    model: ImageModel = ImageModel()
    teacher: Duration = Duration()
    """Training of teachers on the labels."""
    carrier: Carrier = Carrier()
    imitation: Imitation = Imitation()
    student: Duration = Duration()
    """Training of students."""
    examples: Count = 1024
    """Images, and inputs of the carrier, on which students are watched and compared."""


def in_updates(duration, examples):
    """The `Training` of a `Duration`: the one place where epochs become updates."""
    per_epoch = -(-examples // duration.batch)
    steps: Any = duration.length * (per_epoch if duration.unit == "epochs" else 1)
    # A traced length (under vmap over configurations) stays an array.
    steps = round(steps) if isinstance(steps, int | float) else jnp.round(steps).astype(int)
    fields = {f.name for f in dataclasses.fields(Optimization)}
    return Training(steps=steps, **{name: getattr(duration, name) for name in fields})
