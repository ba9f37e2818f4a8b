"""A run's folder that is damaged anywhere is continued to the same measures, or refused."""

import contextlib
import json
import random
import shutil
import time

import jax.numpy as jnp
import pytest
from test_lab import MADE_BY, experiment

from minisub import experiments, keeping, loading
from minisub.config import Refused
from minisub.lab import folder, perform
from minisub.lab.products import Measure

# What Orbax leaves undone after a failed load complains when it is collected, and harms nothing.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def largest(*, params):
    """A measure that is added to a finished run, for which every product is read."""
    return {"largest": jnp.max(params["w"])}


SETTINGS = [({}, experiment())]
MORE = [({}, {name: p.measured(Measure(largest, "params")) for name, p in experiment().items()})]


class Enough(Exception):
    """So many events were told."""


def performed(path, settings, plan=None, events=None, **how):
    """(rows, plan) of a run in a folder, or of its first `events` alone; repeat 0 is dropped."""
    with folder.Folder(path, MADE_BY) as place:
        performance = perform.Performance(settings, place, repeats=2, segment=5, plan=plan, **how)
        rows, told = [], []

        def tell(event):
            told.append(event)
            if len(told) == events:
                raise Enough

        performance.tell = tell
        with contextlib.suppress(Enough):
            performance.make_all()
            rows = [*performance.rows()]
            keeping.thin(place, "last")
    return sorted(json.dumps(row) for row in rows), performance.plan


def damage(file, chance):
    """Cut a file off, flip a bit of it or remove it, or a folder; return what was done."""
    if file.is_dir():
        shutil.rmtree(file)
        return f"remove {file.name}/"
    content = bytearray(file.read_bytes())
    at = chance.randrange(max(len(content), 1))
    how = chance.choice(["cut", "flip", "flip", "remove"] if content else ["remove"])
    if how == "remove":
        file.unlink()
    else:
        flipped = bytearray(content)
        flipped[at] ^= 1 << chance.randrange(8)
        file.write_bytes(content[:at] if how == "cut" else flipped)
    return f"{how} {file.name} at {at}"


def files(path):
    """The files below a folder, but for the lock."""
    return sorted(p for p in path.rglob("*") if p.is_file() and p.name != ".lock")


def check_continued(run, there, chosen, damages):
    """Damage copies of a run, in files that are `chosen`, and continue each with one more measure;
    return how often that was refused."""
    expected, plan = performed(there / "whole", MORE)
    chance, refused, faults = random.Random(damages), 0, []
    for i in range(damages):
        copy = shutil.copytree(run, there / str(i))
        said = damage(chance.choice(chosen(copy)), chance)
        try:
            if performed(copy, MORE, plan)[0] != expected:
                faults.append(f"{said}: other measures")
        except Refused as refusal:
            refused += 1
            if "\n" in str(refusal) or not str(refusal).endswith("."):
                faults.append(f"{said}: no sentence: {refusal}")
        except Exception as error:
            faults.append(f"{said}: {error!r}")
        shutil.rmtree(copy)
    assert not faults, "\n".join(faults)
    return refused


@pytest.mark.parametrize(
    "name",
    [
        "made_by.json",
        "measures.jsonl",
        "dropped.json",
    ],
)
def test_a_finished_run_with_a_damaged_note_is_continued_to_the_same_measures_or_refused(
    name, tmp_path
):
    performed(tmp_path / "run", SETTINGS)
    assert (tmp_path / "run" / name).exists()
    note = lambda path: [path / name]  # noqa: E731
    refused = check_continued(tmp_path / "run", tmp_path / "copies", note, 12)
    assert name == "made_by.json" or not refused


def test_a_finished_run_with_a_damaged_product_is_continued_to_the_same_measures(tmp_path):
    performed(tmp_path / "run", SETTINGS)
    made = lambda path: files(path / "products")  # noqa: E731
    assert check_continued(tmp_path / "run", tmp_path / "copies", made, 15) == 0


def test_a_run_that_was_ended_while_it_trained_is_continued_from_a_damaged_state(tmp_path):
    performed(tmp_path / "run", SETTINGS, events=24, seconds=-1.0)
    states = lambda path: files(path / "under way")  # noqa: E731
    assert states(tmp_path / "run")
    assert check_continued(tmp_path / "run", tmp_path / "copies", states, 8) == 0


@pytest.mark.parametrize("ended", [True, False])
def test_a_run_of_which_any_folder_is_removed_is_continued_to_the_same_measures(ended, tmp_path):
    how = {} if ended else {"events": 24, "seconds": -1.0}
    performed(tmp_path / "run", SETTINGS, **how)
    folders = lambda path: sorted(p for p in path.rglob("*") if p.is_dir())  # noqa: E731
    assert check_continued(tmp_path / "run", tmp_path / "copies", folders, 8) == 0


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    expected, plan = performed(tmp_path / "usual", SETTINGS)
    now, chance = time.time, random.Random(0)
    monkeypatch.setattr(time, "time", lambda: now() + chance.uniform(-1e9, 1e9))
    performed(tmp_path / "run", SETTINGS, plan, events=24, seconds=-1.0)
    assert performed(tmp_path / "run", SETTINGS, plan)[0] == expected


def test_a_damaged_product_that_is_asked_for_is_named(tmp_path):
    with folder.Folder(tmp_path, MADE_BY) as place:
        perform.Performance(SETTINGS, place, repeats=1).make_all()
    made = experiments.describe_experiment(SETTINGS)
    note = {"settings": made, "made_by": {"repeats": 1}}
    (tmp_path / "experiment.json").write_text(json.dumps(note))
    name, [first, *_] = next(iter(made[0]["names"].items()))
    path = tmp_path / "products" / first["product"] / "0"
    [shutil.rmtree(x) if x.is_dir() else x.unlink() for x in path.iterdir()]
    with pytest.raises(Refused, match=r"\w+/0 is damaged; remove it and give the command of"):
        loading.load(tmp_path)[name].params()


def test_of_a_damaged_product_nothing_is_read_but_what_was_written(tmp_path):
    """Whatever byte is damaged: Orbax compresses arrays, and names them in notes of its own."""
    performed(tmp_path / "run", SETTINGS)
    [product, *_] = sorted((tmp_path / "run" / "products").glob("*/*"))
    note, tree = folder.read(product)
    chance, broken, written = random.Random(0), 0, folder.checksum(tree, note)
    for i in range(200):
        copy = shutil.copytree(product, tmp_path / "copies" / str(i))
        damage(chance.choice(files(copy)), chance)
        note, tree = folder.read(copy)
        broken += tree is None
        assert tree is None or folder.checksum(tree, note) == written
        shutil.rmtree(copy)
    assert 50 < broken < 200
