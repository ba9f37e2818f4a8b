"""Strict settings for every test, and the smallest configurations that still mean something."""

import os
import platform
import sys
from pathlib import Path

# Before JAX starts. One thread and one instruction set, so that bits are those of every machine;
# each test compiles what it runs, wherever it runs.
os.environ["NPROC"] = "1"
if platform.machine() in ("x86_64", "AMD64"):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_max_isa=AVX2"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `configs`

import dataclasses

import fast
import jax
import lines
import numpy as np
import pytest

from minisub.config import Model, Training
from minisub.images import config as images
from minisub.lab import run
from minisub.nets import fit, streams
from minisub.tokens import config as tokens

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_report_header():
    """Say how long the package is."""
    return lines.said()


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
    return fast.jit


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
        teacher=Training(steps=4, learning_rate=1e-3, batch=4),
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


class Made:
    """What products stand for in the first repeat of seed 0, by the programs of a performed run."""

    def __init__(self, jit=None):
        """`jit` compiles the programs (default: as they are compiled in a run)."""
        programs, self.known = (run.begin, run.advance(), run.end), {}
        if jit:
            static = {"static_argnames": ("task", "static")}
            first, second, last = (program.__wrapped__ for program in programs)
            programs = jit(first, **static), jit(second, **static), jit(last)
        self.begin, self.advance, self.end = programs
        self.keys = {"here": run.repeat_keys(0, 1)[0], "once": jax.random.key(0)}

    def __call__(self, product, place="here"):
        """The value of a product; equal calls are made once."""
        place = place if product.place == "here" else product.place
        call = product.digest, place
        if call not in self.known:
            values = [self(p, place) for p in product.inputs]
            self.known[call] = self.perform(product, values, self.keys[place])
        return run.part(self.known[call], product.path)

    def perform(self, product, values, key):
        """What a product's call returns, of the values of its inputs."""
        if product.mark("on_host"):
            return run.called_on_host(product, values)
        given = [
            x if p.place == "once" else jax.tree.map(lambda x: x[None], x)
            for p, x in zip(product.inputs, values, strict=True)
        ]
        task = run.program_arguments(
            product, given, streams.named_key(key, product.stream or "")[None]
        )
        made = self.begin(*task)
        if isinstance(made, fit.State):
            calls = product.arguments.get("calls", {"alone": {"arguments": product.arguments}})
            steps = next(iter(calls.values()))["arguments"]["training"].steps
            made = self.end(self.advance(*task, made, np.int32(0), np.int32(steps)))
        return jax.tree.map(lambda x: x[0], made)


@pytest.fixture(scope="module")
def made(quick):
    """A function from a product to what it stands for; what a module has made is found again."""
    return Made(quick)


@pytest.fixture
def really_made():
    """The same, compiled as in a run."""
    return Made()
