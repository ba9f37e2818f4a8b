"""Strict settings for every test, and the smallest configurations that still mean something."""

import os

# Before JAX starts: several devices on a CPU, as on the machines that runs are scaled to.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)

import dataclasses

import jax
import numpy as np
import pytest

import minisub
from minisub import experiment, fit, programs

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


@pytest.fixture(scope="session")
def perform():
    """A function (cfg, made={}) -> (made, measured) of the first repeat, without its axis.

    It performs the phases that are not in `made` and lead to students, by the programs of the
    command line.
    """

    def performed(cfg, made=None):
        experiment.check(cfg)
        arrays, key = programs.given(experiment.what_is_given(cfg), 0), experiment.repeat_keys(0, 1)
        made, measured = jax.tree.map(lambda x: x[None], made or {}), {}
        chain, wanted = experiment.phases(cfg), set()
        for p in reversed(chain):
            if p.kind in ("imitate", "distill") or p.name in wanted:
                wanted |= {p.name} | ({*p.inputs.values()} - {*made})
        for p in chain:
            if p.name in made or p.name not in wanted:
                continue
            given = {name: arrays[name] for name in p.given}
            inputs = {name: made[source] for name, source in p.inputs.items()}
            task = p.kind, p.option, p.settings, given, inputs
            streams = jax.vmap(lambda k, name=p.key: experiment.named_key(k, name))(key)
            made[p.name] = programs.begin(*task, streams)
            if isinstance(made[p.name], fit.State):
                state = made[p.name]
                if p.steps:
                    state = programs.advance()(
                        *task, state, streams, np.int32(0), np.int32(p.steps)
                    )
                made[p.name], measured[p.name] = programs.finish(*task, state, streams)
        return jax.tree.map(lambda x: x[0], (made, measured))

    return performed
