"""Strict settings for every test, and the smallest configurations that still mean something."""

import os
import platform

# Before JAX starts. One thread and one instruction set, so that bits are those of every machine;
# each test compiles what it runs, wherever it runs.
os.environ["NPROC"] = "1"
if platform.machine() in ("x86_64", "AMD64"):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_max_isa=AVX2"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"

import dataclasses
from functools import partial

import jax
import pytest

from minisub.config import Model, Training
from minisub.images import config as images
from minisub.tokens import config as tokens

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory):
    """The user's cache folder is not touched."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("caches"))


@pytest.fixture(scope="module", autouse=True)
def programs_of_a_module():
    """Drop a module's compiled programs: each holds memory maps, of which a process has 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def quick():
    """`jax.jit` that compiles fast what is run once."""
    return partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="session")
def tiny():
    """A config of the token world that runs in seconds and shows nothing; for plumbing."""
    base = dataclasses.replace(
        tokens.Config().base, steps=30, learning_rate=2e-2, batch=8, questions=2, riddles=2
    )
    return tokens.Config(
        taught_phrasings=2,
        world=tokens.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4),
        model=Model(n_layers=1, d_model=16, n_heads=2),
        base=base,
        teacher=tokens.Teaching(steps=4, learning_rate=1e-3, batch=4),
        sampling=tokens.Sampling(documents=64, prompt_numbers=2),
        student=Training(steps=4, learning_rate=1e-3, batch=8),
    )


@pytest.fixture(scope="session")
def tiny_images():
    """The same in the image world."""
    return images.Config(
        data=images.Data(name="clusters"),
        model=images.ImageModel(layers="mlp-16-16"),
        teacher=images.Duration(length=6.0, unit="updates", batch=32, learning_rate=2e-2),
        carrier=images.Carrier(examples=200),
        student=images.Duration(length=5.0, unit="updates", batch=64, learning_rate=1e-2),
    )
