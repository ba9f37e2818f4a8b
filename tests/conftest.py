"""Strict settings for every test, and the smallest configurations that still mean something."""

import os

# Before JAX starts: several devices on a CPU, as on the machines that runs are scaled to.
os.environ["FLAGS_BEFORE"] = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = os.environ["FLAGS_BEFORE"] + " --xla_force_host_platform_device_count=2"
# Each test compiles what it runs, wherever it runs.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minisub
from minisub import documents, experiment, fit, lanes, programs, tasks, tokens

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.devices()
# Processes that tests start have one, and runs here one lane.
os.environ["XLA_FLAGS"] = os.environ.pop("FLAGS_BEFORE")


@pytest.fixture(autouse=True)
def one_lane(monkeypatch):
    """Runs in this process are as on one device; `test_lanes` has processes with several."""
    monkeypatch.setattr(lanes, "Place", partial(lanes.Place, devices=1))


@pytest.fixture(scope="module", autouse=True)
def programs_of_a_module():
    """Drop a module's compiled programs: each holds memory maps, of which a process has 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def tiny():
    """A config that runs in seconds and shows nothing; for plumbing."""
    base = minisub.Pretraining(steps=30, learning_rate=2e-2, batch=8, questions=2, riddles=2)
    return minisub.Config(
        taught_phrasings=2,
        world=minisub.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4),
        model=minisub.Model(n_layers=1, d_model=16, n_heads=2),
        base=dataclasses.replace(base, frozen=()),
        teacher=minisub.Teaching(steps=4, learning_rate=1e-3, batch=4),
        sampling=minisub.Sampling(documents=64, prompt_numbers=2),
        student=minisub.Training(steps=4, learning_rate=1e-3, batch=8),
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


@pytest.fixture(scope="session")
def quick():
    """`jax.jit` that compiles fast what is run once."""
    return partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="session")
def found_by(quick):
    """A function (measure, compared) -> a measure of `comparisons.py`, in one program."""
    return lambda measure, c: quick(lambda: measure(c))()


@pytest.fixture(scope="session")
def perform(quick):
    """A function (cfg, made) -> (made, measured) of the first repeat of seed 0.

    It performs the phases that lead to students and are not in `made`.
    """
    static = {"static_argnames": ("kind", "option")}
    begin, advance, finish = (
        quick(f, **static) for f in (tasks.begin, tasks.advance, tasks.finish)
    )

    def performed(cfg, made):
        experiment.check(cfg)
        arrays, [key] = (
            programs.given(experiment.what_is_given(cfg), 0),
            experiment.repeat_keys(0, 1),
        )
        chain, wanted, made, measured = experiment.phases(cfg), set(), dict(made), {}
        for p in reversed(chain):
            if p.kind in ("imitate", "distill") or p.name in wanted:
                wanted |= {p.name, *p.inputs.values()} - set(made)
        for p in (p for p in chain if p.name in wanted):
            inputs = {name: made[source] for name, source in p.inputs.items()}
            inputs |= {name: arrays[name] for name in p.given}
            task, stream = (p.kind, p.option, p.settings, inputs), experiment.named_key(key, p.key)
            made[p.name] = begin(*task, stream)
            if isinstance(made[p.name], fit.State):
                state = advance(*task, made[p.name], stream, 0, p.steps)
                made[p.name], measured[p.name] = finish(*task, state, stream)
        return made, measured

    return performed


class Counts(NamedTuple):
    """A network whose logits are those of a table, by position and last token."""

    def apply(self, params, docs, first=0):
        places = jnp.arange(first, docs.shape[1])
        return params[places[None], docs[:, first:]]

    def decode(self, params, cache, docs, at):
        return params[at + jnp.arange(docs.shape[1])[None], docs], cache

    def cache(self, batch):
        return ()


@pytest.fixture(scope="session")
def rich():
    """The smallest rich world, with two endings."""
    small = {"numbers": 24, "animals": 3, "phrasings": 3, "attributes": 4, "endings": 2}
    return minisub.World(rich=True, **small)


@pytest.fixture(scope="session")
def written(rich, quick):
    """carrier -> (documents of a model, how they were sampled).

    The model has counted which token follows which at each place of the world's documents, and now
    and then takes any other.
    """

    @partial(quick, static_argnames="name")
    def write(name, key):
        carrier = documents.CARRIERS[name]
        docs = carrier.draw(rich, key, 4000)
        places, size = jnp.arange(docs.shape[1] - 1), tokens.offsets(rich)["size"]
        counts = jnp.full((len(places), size, size), 2e-3)
        counts = counts.at[places[None], docs[:, :-1], docs[:, 1:]].add(1.0)
        sampling = minisub.Sampling(carrier=name, documents=3000)
        return documents.sample(rich, Counts(), jnp.log(counts), key, sampling=sampling)

    def documents_of(name):
        sampling = minisub.Sampling(carrier=name, documents=3000)
        return np.asarray(write(name, jax.random.key(0))), sampling

    return documents_of
