"""An experiment of which a worker can be lost in the middle: trainings of seconds, of few numbers.

Given as a config to the command line by `test_workers.py`.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from minisub.config import Training, configuration
from minisub.lab.products import Measure, Product
from minisub.nets.fit import Batches, Fit


@configuration
class Config:
    """How long is trained."""

    training: Training = Training(steps=300, learning_rate=0.01, frozen=())


config = Config()
repeats = 2


def drawn(key):
    """Random numbers."""
    return {"params": {"w": jax.random.normal(key, (3,))}}


def waited(step):
    """A two hundredth of a second."""
    time.sleep(0.005)
    return np.float32(0)


def trained(key, *, start, training, target):
    """Descent towards a target, slowly."""

    def loss(params, key, slept):
        noise = jax.random.normal(key, params["w"].shape)
        return jnp.sum((params["w"] - target["w"] - 0.01 * noise) ** 2) + slept

    shape = jax.ShapeDtypeStruct((), jnp.float32)
    slow = Batches(1000, lambda epoch: (), lambda _, step: jax.pure_callback(waited, shape, step))
    return Fit(training, loss, start, slow)


def size(*, params):
    """A measure: the sum of squares."""
    return {"size": jnp.sum(params["w"] ** 2)}


def experiment(cfg):
    """A chain of trainings, and two students of its end that wait for nobody else."""
    first, second = (Product(drawn, name)["params"] for name in ("a", "b"))

    def fit(start, target):
        made = Product(trained, "data", start=start, target=target, training=cfg.training)
        return made["params"].measured(Measure(size, "params"))

    teacher = fit(first, second)
    control = fit(second, first)
    return {
        "teacher": teacher,
        "control": control,
        "student": fit(first, teacher).against(control),
        "other": fit(second, teacher),
    }
