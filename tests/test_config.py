"""Configurations: what is traced, what is static, and what is refused."""

import dataclasses
from pathlib import Path

import jax
import pytest

from minisub import arguments, config, experiment, images
from minisub.config import Training
from minisub.image_config import ImageArm, ImageConfig
from minisub.token_config import Arm, Config


def test_real_numbers_and_step_counts_are_leaves_and_all_else_is_static():
    training = Training(steps=7, learning_rate=0.5, weight_decay=0.25)
    leaves, structure = jax.tree.flatten(training)
    assert sorted(leaves) == [0.25, 0.5, 7, 16.0]
    other = Training(steps=8, learning_rate=0.1, weight_decay=0.0)
    assert structure == jax.tree.structure(other)
    for static in {"batch": 2}, {"frozen": ()}, {"undecayed": ("bias",)}, {"optimizer": "sgd"}:
        assert structure != jax.tree.structure(dataclasses.replace(training, **static))


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
    assert hash(ImageConfig()) == hash(ImageConfig())
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
        ("student.learning_rate", 0.0, "positive number"),
        ("student.weight_decay", -1.0, "at least 0"),
        ("student.weight_decay", float("inf"), "at least 0"),
        ("student.batch", 0, "at least 1"),
        ("sampling.temperature", -1.0, "at least 0"),
        ("sampling.top_p", 1.5, "at most 1"),
        ("sampling.prompt_numbers", 12, "choose fewer"),
        ("taught_phrasings", 8, "held out"),
        ("trait", "dragon", "choose from owl"),
        ("world.animals", 17, "at most 16"),
        ("world.attributes", 3, "raise world.attributes"),
        ("arms", (), "no arms"),
        ("arms", (Arm(name="a"), Arm(name="a")), "one name"),
        ("arms", (Arm(name="a", start="nowhere"),), "arms.a.start"),
        ("arms", (Arm(name="a", channel="smoke"),), "arms.a.channel"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(field, value, said):
    with pytest.raises(config.Refused, match=said) as refusal:
        experiment.check(changed(Config(), field, value))
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("student.learning_rate", 0.0, "positive number"),
        ("carrier.scale", 0.0, "positive number"),
        ("carrier.examples", -1, "at least 0"),
        ("arms", (), "no arms"),
        ("arms", (ImageArm(name="a"), ImageArm(name="a")), "one name"),
    ],
)
def test_what_cannot_be_with_images_is_refused_too(field, value, said):
    with pytest.raises(config.Refused, match=said):
        experiment.check(changed(ImageConfig(), field, value))


def test_students_of_another_width_have_no_hidden_layer_to_align():
    arms = (ImageArm(name="a", model="mlp-256-128"),)
    cfg = changed(ImageConfig(), "arms", arms)
    experiment.check(cfg)
    with pytest.raises(config.Refused, match=r"arms\.a and its teacher have"):
        experiment.check(changed(cfg, "imitation.hidden", True))


@pytest.mark.parametrize(
    ("cfg", "field", "zero"),
    [
        (Config(), "teacher.steps", 0),
        (Config(), "student.weight_decay", 0.0),
        (ImageConfig(), "teacher.length", 0.0),
        (ImageConfig(), "imitation.noise", 0.0),
        (ImageConfig(), "carrier.examples", 0),
    ],
)
def test_what_may_be_nothing_may_be_zero(cfg, field, zero):
    experiment.check(changed(cfg, field, zero))


CONFIGS = pytest.mark.parametrize(
    "path", arguments.config_files().values(), ids=lambda path: path.stem
)


@CONFIGS
def test_every_config_states_its_claim_and_builds_all_it_sweeps_without_data(path, monkeypatch):
    monkeypatch.setattr(images, "load", None)  # calling it fails
    module = arguments.load(path.stem)
    command = arguments.command_of(module)
    assert arguments.settings(path.stem, command), "each of them is checked there"
    assert command.repeats >= 1
    assert arguments.claim_of(path).endswith(".")


@CONFIGS
def test_every_config_says_how_to_run_it(path):
    assert f"python train.py {path.stem}" in Path(path).read_text() or path.stem == "numbers"
