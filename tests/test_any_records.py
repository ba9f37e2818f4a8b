"""Whatever arms and settings a run has, it ends with a summary, a page and its figures."""

import json
import random
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


def records(found, chance, whole=0):
    """Rows of a random part of what could be measured, in some repeats and settings; or of all of
    it in so many settings, where no control shows what others do."""
    arms = chance.sample(sorted(found), chance.randint(1, len(found)))
    settings = chance.choice([[{}], [{"student.steps": 5}, {"student.steps": 50}]])
    if whole:
        arms, settings = list(found), [{"student.steps": i} for i in range(whole)]
    for setting in settings:
        for repeat in range(5 if whole else chance.choice([1, 2, 5])):
            for arm in arms:
                for measure, logged in found[arm].items():
                    where = {"setting": setting, "repeat": repeat, "arm": arm, "measure": measure}
                    if logged and measure != "step":
                        for step in 0, 10:
                            yield {**where, "value": chance.random(), "step": step}
                    elif not logged:
                        shown = chance.random() + 3 * (not arm.startswith(("control", "base")))
                        some = chance.choice([0.0, chance.gauss(0, 1)])
                        yield {**where, "value": shown if whole else some}


ADDING = "matrix", "traits", "defenses", "filters", "dose_behaviors", "coverage_tokens"


SLOW = "filters", "traits"  # Much like others.


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (x in SLOW)) for x in ("numbers", *ADDING)]
)
def test_a_run_with_any_part_of_its_records_ends_with_all_that_can_be_said(name, tmp_path):
    module = arguments.load(name)
    named = module.experiment(module.config)
    found, chance = measured(named), random.Random(name)
    experiment = {
        "title": name, "claim": "", "command": "", "differences": experiments.differences_of(named),
    }  # fmt: skip
    many = 4 if name == "coverage_tokens" else 1  # its table needs many points in a repeat
    for i in range(3):
        rows, added = list(records(found, chance, 0 if i else many)), []
        folder = tmp_path / str(i)
        folder.mkdir()

        def own(*given, added=added):
            added += module.sections(*given, run=SimpleNamespace(names=()))
            return added

        said = results.write(folder, rows, experiment, [], own if name in ADDING else None)
        assert bool(added) == (name in ADDING) or i
        assert json.loads((folder / "summary.json").read_text()) and rows
        assert (folder / "report.md").read_text().startswith(f"# {name}")
        assert not [line for line in said if "is missing" in line], said
