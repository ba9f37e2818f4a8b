"""What experiments compare: students that differ in one thing."""

from pathlib import Path

import pytest

from minisub import arguments, loading

NAMES = sorted(p.stem for p in Path("configs").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_students_that_are_compared_differ_in_one_thing(name):
    module = arguments.load(name)
    stated = loading.differences_of(module.experiment(module.config))
    several = [each for each in stated if len(each["in"]) != 1]
    assert not several, several[:3]
