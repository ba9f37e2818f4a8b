"""What experiments compare: students that differ in one thing, which can be written down."""

import json
from pathlib import Path

import pytest

from minisub import arguments, experiments, loading

NAMES = sorted(p.stem for p in (Path(__file__).parent.parent / "configs").glob("[a-z]*.py"))
KINDS = ("matrix", "architectures"), ("matrix", "lineage"), ("steering", "random")


@pytest.mark.parametrize(("name", "kind"), [*((name, "") for name in NAMES), *KINDS])
def test_students_that_are_compared_differ_in_one_thing_and_all_can_be_written_down(name, kind):
    module, option = arguments.load(name), "--steering.kind" if name == "steering" else "--kind"
    command = arguments.parse(name, module, [option, kind] if kind else [])
    [(swept, cfg), *more] = arguments.settings(name, module, command)[:2]
    made = [(swept, experiments.products_of(module, cfg)) for swept, cfg in ((swept, cfg), *more)]
    for _, named in made:
        several = [x for x in experiments.differences_of(named) if len(x["in"]) != 1]
        assert not several, several[:3]
    described = json.loads(json.dumps(experiments.describe_experiment(made)))
    for product in (p for each in described for of in each["names"].values() for p in of):
        for value in product["configuration"].values():
            assert experiments.plain(loading.rebuilt(value)) == value
    assert [list(each["names"]) for each in described] == [list(named) for _, named in made]
