"""Configurations: what is traced, what is static, and what is refused."""

import dataclasses
import math
import typing

import jax
import numpy as np
import pytest

from minisub import arguments, config
from minisub.config import Model, Refused, Training
from minisub.images import config as images
from minisub.tokens import config as tokens
from minisub.tokens.behaviors.config import Rich

EVERY = tokens.Config(), tokens.Ablation(), Rich(), images.Config()


def test_real_numbers_and_step_counts_are_leaves_and_all_else_is_static():
    training = Training(steps=7, learning_rate=0.5, weight_decay=0.25)
    leaves, structure = jax.tree.flatten(training)
    assert sorted(leaves) == [0.25, 0.5, 7, 16.0]
    other = Training(steps=8, learning_rate=0.1, weight_decay=0.0)
    assert structure == jax.tree.structure(other)
    for static in {"batch": 2}, {"frozen": ()}, {"optimizer": "sgd"}, {"weight_noise": 0.5}:
        assert structure != jax.tree.structure(dataclasses.replace(training, **static))


def test_a_program_compiled_for_some_numbers_serves_others(quick):
    traces = []

    @quick
    def rate(cfg):
        traces.append(1)
        return cfg.student.learning_rate * cfg.student.steps

    for steps, learning_rate in (10, 0.5), (20, 0.25):
        student = Training(steps=steps, learning_rate=learning_rate)
        assert rate(tokens.Config(student=student)) == 5.0
    assert len(traces) == 1


@pytest.mark.parametrize("cfg", EVERY, ids=lambda cfg: type(cfg).__module__)
def test_configs_are_frozen_hashable_within_bounds_and_name_every_field_once(cfg):
    config.check(cfg)
    assert hash(cfg) == hash(dataclasses.replace(cfg))
    with pytest.raises(dataclasses.FrozenInstanceError):
        cfg.student = Training()
    leaves = arguments.fields_of(cfg)
    changed = dataclasses.replace(cfg, student=dataclasses.replace(cfg.student, batch=7))
    found = arguments.fields_of(changed)
    assert {name for name in found if found[name] != leaves[name]} == {"student.batch"}


def parts(cfg):
    """A configuration and those inside it."""
    yield cfg
    for field in dataclasses.fields(cfg):
        value = getattr(cfg, field.name)
        if dataclasses.is_dataclass(value):
            yield from parts(value)


def bounded():
    """(configuration, field, kind of bound, limit) of every bound there is."""
    for cfg in {type(part): part for whole in EVERY for part in parts(whole)}.values():
        hints = typing.get_type_hints(type(cfg), include_extras=True)
        for field in dataclasses.fields(cfg):
            for mark in config.metadata(hints[field.name]):
                for kind in ("ge", "gt", "le"):
                    if (limit := getattr(mark, kind, None)) is not None:
                        name = f"{type(cfg).__name__}.{field.name} {kind}"
                        yield pytest.param(cfg, field.name, kind, limit, id=name)


@pytest.mark.parametrize(("cfg", "field", "kind", "limit"), [*bounded()])
def test_a_number_is_refused_beyond_its_bound_in_one_sentence_with_its_name(
    cfg, field, kind, limit
):
    whole = isinstance(getattr(cfg, field), int)
    step = 1 if kind == "le" else -1
    beyond = limit + step if whole else math.nextafter(float(limit), step * math.inf)
    within = limit - step if whole else math.nextafter(float(limit), -step * math.inf)
    value, wrong = (within, limit) if kind == "gt" else (limit, beyond)
    config.change(cfg, {field: value})
    for number in (wrong,) if whole else (wrong, math.nan, math.inf):
        with pytest.raises(Refused) as refusal:
            config.change(cfg, {field: number})
        said = str(refusal.value)
        assert said.startswith(f"{field} is ") and said.endswith(".") and "\n" not in said


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", np.int64(-5)), ("learning_rate", np.float32(-1)), ("batch", True)],
)
def test_numbers_of_numpy_have_bounds_too_and_a_truth_value_is_no_number(field, value):
    with pytest.raises(Refused, match=f"{field} is "):
        config.change(Training(), {field: value})


def test_fields_that_there_are_not_are_refused_with_the_nearest():
    with pytest.raises(Refused, match="did you mean learning_rate"):
        config.change(Training(), {"learning_rat": 1.0})
    assert config.change(Training(), {"rank": 2}).rank == 2


def test_numbers_that_are_traced_pass_every_check():
    """They have no value yet."""

    def checked(cfg):
        config.check(cfg)
        return cfg.student.learning_rate

    assert jax.make_jaxpr(checked)(tokens.Config())


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda: tokens.check_model(Model(d_model=66)), "4 heads do not divide"),
        (
            lambda: tokens.check_sampling(tokens.World(), tokens.Sampling(prompt_numbers=12)),
            "fewer",
        ),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(check, said):
    tokens.check_model(Model(d_model=66, mixer="recurrence"))
    with pytest.raises(Refused, match=said) as refusal:
        check()
    assert str(refusal.value).endswith(".")
