"""No work is lost that was done, and nothing is taken for what it is not."""

import contextlib
import dataclasses
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_lab import MADE_BY, contents, drawn, experiment, performed, size

from minisub import arguments, experiments, keeping, loading
from minisub.config import Refused, Stopped
from minisub.lab import files, folder, perform
from minisub.lab.products import Measure, Product


def test_what_memory_does_not_suffice_to_read_is_not_made_again(tmp_path, monkeypatch):
    rows, there = performed(tmp_path), contents(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(folder, "checksum", lambda *_: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(MemoryError):
            folder.read(next((tmp_path / "products").glob("trained-*/0")))
    assert performed(tmp_path) == rows and contents(tmp_path) == there


def test_a_training_that_ends_when_the_run_is_asked_to_end_is_kept(tmp_path):
    settings = [({}, {"teacher": experiment(steps=5)["teacher"]})]
    with folder.Folder(tmp_path, MADE_BY) as place:
        performance = perform.Performance(settings, place, segment=5)

        def tell(event):
            if isinstance(event, perform.Advanced) and event.product.startswith("trained"):
                performance.asked = lambda: True

        performance.tell = tell
        with pytest.raises(KeyboardInterrupt):
            performance.make_all()
    assert [*(tmp_path / "products").glob("trained-*/0")]


def test_a_training_that_was_ended_goes_on_from_its_state(tmp_path):
    settings, steps = [({}, {"teacher": experiment()["teacher"]})], []
    for asks in True, False:
        with folder.Folder(tmp_path, MADE_BY) as place:
            performance = perform.Performance(settings, place, segment=5)

            def tell(event):
                if isinstance(event, perform.Advanced) and event.product.startswith("trained"):
                    steps[-1] += 1

            performance.tell = tell
            performance.asked = lambda asks=asks: asks and steps[-1] == 2
            steps.append(0)
            with pytest.raises(KeyboardInterrupt) if asks else contextlib.nullcontext():
                performance.make_all()
    # It begins, and then makes 5, 5 and 2 of 12 steps.
    assert steps == [2, 3]


def test_what_was_dropped_is_planned_if_something_new_is_made_of_it(tmp_path):
    teacher = experiment()["teacher"]
    performed(tmp_path, {"teacher": teacher}, repeats=2)
    with folder.Folder(tmp_path, MADE_BY) as place:
        assert "dropped" in keeping.thin(place, "last")
        wider = {"teacher": teacher.measured(Measure(halved, "params"))}
        left = perform.Performance([({}, wider)], place, repeats=2).left()
        made = [product.task.__name__ for product, *_ in left]
    assert made == ["drawn", "drawn", "trained", "halved", "halved"]


def test_a_kill_while_products_are_dropped_leaves_no_half_of_one(tmp_path, monkeypatch):
    rows = performed(tmp_path, repeats=2)

    def killed(path, **how):
        if not how:
            next(x for x in path.rglob("*") if x.is_file()).unlink()
            raise KeyboardInterrupt

    for ends in True, False:
        with folder.Folder(tmp_path, MADE_BY) as place, monkeypatch.context() as patched:
            if ends:
                patched.setattr(keeping.shutil, "rmtree", killed)
            with pytest.raises(KeyboardInterrupt) if ends else contextlib.nullcontext():
                keeping.thin(place, "none")
        left = [*folder.whole(tmp_path)]
        assert bool(left) == ends and all(folder.read(path)[0] for path in left)
    assert performed(tmp_path, repeats=2) == rows


def halved(*, params):
    """A measure that no run has yet."""
    return {"half": jnp.sum(params["w"]) / 2}


def test_a_group_that_grew_is_read_and_kept_in_place_of_the_one_before(tmp_path):
    teacher = experiment()["teacher"]
    for repeats in 5, 6:
        performed(tmp_path, {"teacher": teacher}, repeats=repeats, group=3)
    made_by = {"repeats": 6, "group": 3}
    described = {"title": "grown", "made_by": made_by}
    product = {"product": str(teacher), "path": list(teacher.path), "place": "here"}
    described["settings"] = [{"swept": {}, "names": {"teacher": [product]}}]
    (tmp_path / "experiment.json").write_text(json.dumps(described))
    with folder.Folder(tmp_path, MADE_BY) as place:
        assert "dropped" in keeping.thin(place, "last")
        _, whole = folder.read(place.where(teacher, (3, 4, 5)))
    for i in 0, 2:
        found = loading.load(tmp_path)["teacher"].params(3 + i)
        np.testing.assert_array_equal(found["w"], whole["params"]["w"][i])
    with pytest.raises(Refused, match="dropped"):
        loading.load(tmp_path)["teacher"].params(2)


def test_a_folder_whose_first_note_was_being_written_can_be_used(tmp_path):
    (tmp_path / ".made_by.json.tmp").write_text("{")
    assert performed(tmp_path)


def test_only_errors_of_the_file_system_are_said_to_be_some():
    for error in RuntimeError("NOT_FOUND: no algorithm worked"), Stopped("it does not exist"):
        with pytest.raises(type(error), match=str(error)), files.refusing("x", "y"):
            raise error
    refused = pytest.raises(Refused, match=r"x \(No such file or directory\); y")
    with refused, files.refusing("x", "y"):
        raise ValueError("NOT_FOUND: x")


def test_a_measure_that_would_be_kept_like_a_model_is_refused():
    made = Product(drawn, "a", n=3)["params"]
    for wrong in (
        lambda p: Product(size, "a stream", params=p),
        lambda p: Product(size, None).replace(place="once"),
    ):
        with pytest.raises(Refused, match="wrap a function"):
            made.measured(wrong)


METHOD = """
from minisub.config import configuration
from minisub.lab.products import Product

@configuration
class Config:
    width: int = 3

    def scaled(self):
        return {factor} * self.width

    @property
    def wide(self):
        return {other} * self.width

def task(key, *, cfg):
    return {{"params": cfg.scaled()}}

config, repeats = Config(), 1

def experiment(cfg):
    return {{"a": Product(task, "a", cfg=cfg)}}
"""


def test_an_edit_of_a_method_or_a_property_of_a_configuration_makes_other_products(tmp_path):
    digests = set()
    for i, (factor, other) in enumerate([(2, 2), (3, 2), (2, 3), (2, 2)]):
        file = tmp_path / f"{i}" / "mine.py"
        file.parent.mkdir()
        file.write_text(METHOD.format(factor=factor, other=other))
        module = arguments.load(str(file))
        digests.add(module.experiment(module.config)["a"].digest)
    assert len(digests) == 3


def test_a_config_is_the_same_experiment_by_name_and_by_path():
    path = os.path.relpath(arguments.config_files()["steering"])
    assert arguments.load(path).__name__ == arguments.load("steering").__name__


def test_a_field_of_any_type_can_be_written_as_json(tmp_path):
    fields = {"path": tmp_path, "each": (jnp.ones(2), dataclasses.field), "number": jax.numpy.pi}
    text = json.dumps({name: experiments.plain(x) for name, x in fields.items()})
    assert json.loads(text)["each"][0] == [1, 1]
