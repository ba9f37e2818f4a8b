"""Whatever arms and settings a run has, it ends with a summary, a page and its figures."""

import json
import random
from functools import partial
from types import SimpleNamespace

import pytest

from minisub import arguments, experiments, results
from minisub.lab import plan, run


def measured(named):
    """name -> measure -> whether it is logged, of the measures of an experiment."""
    planned, found = plan.Plan([named]), {}
    for name, products in named.items():
        for measure in run.measures_of(products):
            shapes = planned.shapes[measure.digest, plan.repeats_of(measure, (0,))]
            found.setdefault(name, {}).update({x: len(s.shape) > 1 for x, s in shapes.items()})
    return found


def records(found, chance):
    """Rows of a random part of what could be measured, in some repeats and settings."""
    arms = chance.sample(sorted(found), chance.randint(1, len(found)))
    settings = chance.choice([[{}], [{"student.steps": 5}, {"student.steps": 50}]])
    for setting in settings:
        for repeat in range(chance.choice([1, 2, 5])):
            for arm in arms:
                for measure, logged in found[arm].items():
                    where = {"setting": setting, "repeat": repeat, "arm": arm, "measure": measure}
                    if logged and measure != "step":
                        for step in 0, 10:
                            yield {**where, "value": chance.random(), "step": step}
                    elif not logged:
                        yield {**where, "value": chance.choice([0.0, chance.gauss(0, 1)])}


@pytest.mark.parametrize("name", ["numbers", "matrix", "defenses"])
def test_a_run_with_any_part_of_its_records_ends_with_all_that_can_be_said(name, tmp_path):
    module = arguments.load(name)
    named = module.experiment(module.config)
    found, chance = measured(named), random.Random(name)
    experiment = {
        "title": name, "claim": "", "command": "", "differences": experiments.differences_of(named),
    }  # fmt: skip
    for i in range(6):
        rows = list(records(found, chance))
        folder = tmp_path / str(i)
        folder.mkdir()
        own = hasattr(module, "sections") and partial(
            module.sections, run=SimpleNamespace(names=())
        )
        said = results.write(folder, rows, experiment, [], own)
        assert json.loads((folder / "summary.json").read_text()) and rows
        assert (folder / "report.md").read_text().startswith(f"# {name}")
        assert not [line for line in said if "is missing" in line], said
