"""What experiments compare: students that differ in one thing."""

from pathlib import Path

import pytest

from minisub import arguments, loading

NAMES = sorted(p.stem for p in Path("configs").glob("[a-z]*.py"))
SEVERAL = {
    "adapters", "divergence", "entanglement", "inheritance", "layers", "optimizers_tokens",
    "steering", "surgery",
}  # fmt: skip
"""Experiments whose controls are all of one training: their tables say what else differs."""


@pytest.mark.parametrize("name", NAMES)
def test_students_that_are_compared_differ_in_one_thing(name):
    module = arguments.load(name)
    stated = loading.differences_of(module.experiment(module.config))
    several = [each for each in stated if len(each["in"]) != 1]
    assert bool(several) == (name in SEVERAL), several[:3]
