"""Configurations: what is traced, what is static, and what is refused."""

import dataclasses
from pathlib import Path

import jax
import pytest

from minisub import arguments, config, experiment
from minisub.config import Config, Training


def test_real_numbers_and_step_counts_are_leaves_and_all_else_is_static():
    leaves, structure = jax.tree.flatten(Training(steps=7, learning_rate=0.5))
    assert leaves == [7, 0.5]
    assert structure == jax.tree.structure(Training(steps=8, learning_rate=0.1))
    assert structure != jax.tree.structure(Training(steps=7, learning_rate=0.5, batch=2))
    assert structure != jax.tree.structure(Training(steps=7, learning_rate=0.5, frozen=()))


def test_a_program_compiled_for_one_learning_rate_serves_another():
    traces = []

    @jax.jit
    def rate(cfg):
        traces.append(1)
        return cfg.student.learning_rate * cfg.student.steps

    for steps, learning_rate in (10, 0.5), (20, 0.25):
        student = Training(steps=steps, learning_rate=learning_rate)
        assert rate(Config(student=student)) == 5.0
    assert len(traces) == 1


def test_configs_are_frozen_and_hashable():
    assert hash(Config()) == hash(Config())
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().trait = "wolf"


def test_leaves_name_every_field_once_and_arms_by_name():
    leaves = config.leaves(Config())
    assert leaves["student.steps"] == Config().student.steps
    assert leaves["arms.control.source"] == "base"
    changed = dataclasses.replace(Config(), trait="wolf")
    assert {k for k, v in config.leaves(changed).items() if v != leaves[k]} == {"trait"}


def changed(cfg, field, value):
    """`cfg` with the dotted `field` replaced."""
    head, _, rest = field.partition(".")
    value = changed(getattr(cfg, head), rest, value) if rest else value
    return dataclasses.replace(cfg, **{head: value})


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model.d_model", 66, "4 heads do not divide"),
        ("model.n_layers", 0, "at least 1"),
        ("student.learning_rate", float("nan"), "positive number"),
        ("student.learning_rate", -1.0, "positive number"),
        ("student.batch", 0, "at least 1"),
        ("sampling.temperature", 0.0, "positive number"),
        ("sampling.prompt_numbers", 12, "choose fewer"),
        ("taught_phrasings", 8, "held out"),
        ("trait", "dragon", "choose from owl"),
        ("world.animals", 17, "at most 16"),
        ("world.attributes", 3, "raise world.attributes"),
        ("arms", (), "no arms"),
        ("arms", (config.Arm(name="a"), config.Arm(name="a")), "one name"),
        ("arms", (config.Arm(name="a", start="nowhere"),), "arms.a.start"),
        ("arms", (config.Arm(name="a", channel="smoke"),), "arms.a.channel"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(field, value, said):
    with pytest.raises(config.Refused, match=said) as refusal:
        experiment.check(changed(Config(), field, value))
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


def test_zero_steps_are_allowed():
    experiment.check(changed(Config(), "teacher.steps", 0))


@pytest.mark.parametrize("path", arguments.config_files().values(), ids=lambda path: path.stem)
def test_every_config_builds_and_states_its_claim(path):
    module = arguments.load(path.stem)
    experiment.check(module.config)
    assert module.repeats >= 1
    assert arguments.claim_of(path).endswith(".")
    assert f"python train.py {path.stem}" in Path(path).read_text() or path.stem == "numbers"
