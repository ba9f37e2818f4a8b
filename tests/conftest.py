"""Strict settings for every test, and the smallest configurations that still mean something."""

import os

# Before JAX starts: several devices on a CPU, as on the machines that runs are scaled to.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)

import dataclasses

import jax
import pytest

import minisub

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def tiny():
    """A config that runs in seconds and shows nothing; for plumbing."""
    training = minisub.Training(steps=4, learning_rate=1e-3, batch=4)
    base = minisub.Pretraining(steps=30, learning_rate=2e-2, batch=8, questions=2, riddles=2)
    return minisub.Config(
        taught_phrasings=2,
        world=minisub.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4),
        model=minisub.Model(n_layers=1, d_model=16, n_heads=2),
        base=dataclasses.replace(base, frozen=()),
        teacher=training,
        sampling=minisub.Sampling(documents=64, prompt_numbers=2),
        student=dataclasses.replace(training, batch=8),
    )


@pytest.fixture(scope="session")
def tiny_images():
    """The same in the image world, with a student of every kind."""
    return minisub.ImageConfig(
        data=minisub.Data(name="clusters"),
        model=minisub.ImageModel(layers="mlp-16-16"),
        teacher=minisub.Duration(length=6, unit="updates", batch=32, learning_rate=2e-2),
        carrier=minisub.Carrier(examples=200),
        student=minisub.Duration(length=5, unit="updates", batch=64, learning_rate=1e-2),
    )
