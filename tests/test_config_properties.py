"""What holds for all configurations: hypothesis looks for those for which it does not."""

import dataclasses
import itertools
import json
import math
import typing

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minisub
from minisub import arguments, audit_files, config, store
from minisub.config import Training
from minisub.token_config import Model, World

# The same examples on every machine, however fast it is, and no files but the tests' own.
same = {"derandomize": True, "deadline": None, "database": None}
few, many = (settings(max_examples=n, suppress_health_check=HealthCheck, **same) for n in (12, 80))

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=9)
PLAIN = WORDS.filter(lambda word: word and not word.startswith("-"))
VALUES = {
    bool: st.booleans(),
    int: st.integers(-(2**70), 2**70),
    float: st.floats(allow_nan=False),
    str: WORDS,
    tuple: st.lists(PLAIN, max_size=3).map(tuple),
}
STANDARD = pytest.mark.parametrize("cfg", [minisub.Config(), minisub.ImageConfig()], ids=type)


def types_of(cfg, prefix=""):
    """Dotted name -> type of every leaf of a configuration but the names of its arms."""
    found = {}
    for field in dataclasses.fields(cfg):
        name, value = prefix + field.name, getattr(cfg, field.name)
        kind = getattr(field.type, "__origin__", field.type)  # of Annotated
        parts = typing.get_args(field.type)
        if kind is tuple and dataclasses.is_dataclass(parts[0]):
            for item in value:
                found |= types_of(item, f"{name}.{item.name}.")
        elif dataclasses.is_dataclass(value):
            found |= types_of(value, f"{name}.")
        elif not isinstance(cfg, config.CommonArm) or field.name != "name":
            found[name] = parts if kind is typing.Literal else kind
    return found


def values_of(cfg):
    """Strategy: a value of the right type for every leaf."""
    kinds = types_of(cfg)
    return st.fixed_dictionaries(
        {n: st.sampled_from(k) if isinstance(k, tuple) else VALUES[k] for n, k in kinds.items()}
    )


def with_values(cfg, values, prefix=""):
    """`cfg` with some of its leaves replaced."""
    changed = {}
    for field in dataclasses.fields(cfg):
        name, value = prefix + field.name, getattr(cfg, field.name)
        if dataclasses.is_dataclass(value):
            changed[field.name] = with_values(value, values, f"{name}.")
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            parts = [with_values(item, values, f"{name}.{item.name}.") for item in value]
            changed[field.name] = tuple(parts)
        elif name in values:
            changed[field.name] = values[name]
    return dataclasses.replace(cfg, **changed)


def words_for(values):
    """Words of a command line that give fields these values."""
    for name, value in values.items():
        outer, dot, last = name.rpartition(".")
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--{outer}{dot}no-{last}"
        elif isinstance(value, tuple):
            yield from (f"--{name}", *value)
        else:
            yield f"--{name}={value}"


@STANDARD
def test_every_field_takes_every_value_from_the_command_line(cfg):
    default = arguments.Command(config=cfg, repeats=1)

    @few
    @given(values_of(cfg))
    def check(values):
        parsed = arguments.parse("name", "", default, list(words_for(values))).config
        assert parsed == with_values(cfg, values)
        assert config.leaves(parsed) == config.leaves(cfg) | values

    check()


@STANDARD
def test_what_a_run_folder_says_of_a_config_is_the_config(cfg, tmp_path):
    """Through JSON and back: the claim is the same, and so is what an audit reads."""

    @few
    @given(values_of(cfg), st.data())
    def check(values, data):
        leaves = config.leaves(with_values(cfg, values))
        identity = json.loads(json.dumps(leaves))
        path = tmp_path / "config.json"
        path.write_text(json.dumps(identity))
        store.check_identity(tmp_path, json.loads(json.dumps(leaves)))
        run = audit_files.Run(tmp_path, identity, {})
        for prefix, kind in ("world.", World), ("model.", Model), ("student.", Training):
            if isinstance(cfg, minisub.Config):
                expected = getattr(with_values(cfg, values), prefix[:-1])
                assert audit_files.part(run, kind, prefix) == expected
        name = data.draw(st.sampled_from(sorted(values)))
        other = data.draw(VALUES[str]) + "!"
        with pytest.raises(config.Refused, match="holds another run"):
            store.check_identity(tmp_path, identity | {name: other})

    check()


@many
@given(values_of(Training()))
def test_a_text_of_changes_gives_every_field_its_value(values):
    values = {
        name: tuple(word for word in value if "," not in word and not set(word) & SPACE)
        if isinstance(value, tuple)
        else value
        for name, value in values.items()
    }

    def said(value):
        return ",".join(value) if isinstance(value, tuple) else str(value)

    text = " ".join(f"{name}={said(value)}" for name, value in values.items())
    assert config.changed(Training(), text) == Training(**values)


SPACE = {chr(i) for i in range(0x110000) if chr(i).isspace()}


@many
@given(values_of(minisub.Config()), st.data())
def test_a_number_that_is_not_refused_can_be_given_to_a_program(values, data):
    name = data.draw(st.sampled_from([n for n, x in values.items() if type(x) in (int, float)]))
    value = abs(values[name]) if data.draw(st.booleans()) else values[name]
    cfg = with_values(minisub.Config(), {name: value})
    try:
        config.validate_numbers(cfg)
    except config.Refused as refusal:
        assert str(refusal).startswith(f"{name} is {value}; it must be ")
        assert value <= 2 or value >= 2**31 or math.isinf(value)
    else:
        assert value >= 0 and (isinstance(value, float) or value < 2**31)
        jax.tree.map(jnp.asarray, cfg)


SWEPT = {
    "student.steps": ("0", "7", "300"),
    "student.learning_rate": ("0.5", "1e-3", "2"),
    "student.optimizer": ("sgd", "adam"),
    "model.tied": ("true", "false"),
    "student.frozen": ("embed", "embed block_0", "unembed"),
    "sampling.temperature": ("0", "0.5"),
    "arms.control.start": ("fresh", "shared"),
    "trait": ("wolf", "cat"),
}


@few
@given(st.data())
def test_a_sweep_is_every_combination_in_order_each_as_its_options_would_give_it(data):
    names = data.draw(st.lists(st.sampled_from(sorted(SWEPT)), max_size=2, unique=True))
    axes = [
        data.draw(st.lists(st.sampled_from(SWEPT[n]), min_size=1, max_size=2, unique=True))
        for n in names
    ]
    cfg = dataclasses.replace(minisub.Config(), rivals=())
    sweep = [f"{n}={','.join(values)}" for n, values in zip(names, axes, strict=True)]
    command = arguments.Command(config=cfg, repeats=1, sweep=tuple(sweep))
    found = arguments.settings("name", command)
    combinations = list(itertools.product(*axes))
    assert len(found) == len(combinations)
    default = dataclasses.replace(command, sweep=())
    for (chosen, made), values in zip(found, combinations, strict=True):
        words = []
        for name, value in zip(names, values, strict=True):
            kind = type(config.leaves(cfg)[name])
            made_of = {bool: value == "true", tuple: tuple(value.split())}
            words += words_for({name: made_of.get(kind, value)})
        assert made == arguments.parse("name", "", default, words).config
        assert chosen == {name: config.leaves(made)[name] for name in names}
