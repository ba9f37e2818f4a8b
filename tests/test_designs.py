"""What experiments compare: students that differ in one thing."""

import json
from pathlib import Path

import pytest

from minisub import arguments, experiments

NAMES = sorted(p.stem for p in Path("configs").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_students_that_are_compared_differ_in_one_thing(name):
    module = arguments.load(name)
    stated = experiments.differences_of(module.experiment(module.config))
    several = [each for each in stated if len(each["in"]) != 1]
    assert not several, several[:3]


@pytest.mark.parametrize("name", NAMES)
def test_what_an_experiment_makes_can_be_written_down(name):
    module = arguments.load(name)
    settings = arguments.settings(name, module, arguments.parse(name, module, []))
    made = [(swept, experiments.products_of(module, cfg)) for swept, cfg in settings[:2]]
    assert json.loads(json.dumps(experiments.describe_experiment(made)))
