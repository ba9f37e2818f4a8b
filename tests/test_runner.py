"""The resumable path: the same bits however often it is interrupted, and nothing compiled twice."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

import minisub
from minisub import experiment, measures, runner, store, tasks, timing


def a_run(folder, settings, repeats=2, group=1):
    """A `Run` into `folder`, resumed if there is something to resume."""
    run = runner.Run(
        settings,
        seed=0,
        repeats=repeats,
        group=group,
        records=store.Records(folder / "records.jsonl"),
        checkpoints=store.Checkpoints(folder / "checkpoints"),
    )
    run.resume()
    return run


def finished(folder, settings, **named):
    """The bytes of the records after a run to the end."""
    folder.mkdir(exist_ok=True)
    for _ in a_run(folder, settings, **named).events():
        pass
    return (folder / "records.jsonl").read_bytes()


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """Several segments a phase, and a checkpoint after every one."""
    monkeypatch.setattr(runner, "SEGMENT_STEPS", 3)
    monkeypatch.setattr(runner, "SECONDS_BETWEEN_CHECKPOINTS", -1)


@pytest.fixture(scope="module")
def sweep(tiny):
    """Two students' learning rates and two teachers' steps."""
    settings = []
    for steps in 2, 3:
        for rate in 0.01, 0.02:
            teacher = dataclasses.replace(tiny.teacher, steps=steps)
            student = dataclasses.replace(tiny.student, learning_rate=rate)
            cfg = dataclasses.replace(tiny, teacher=teacher, student=student)
            settings.append(({"teacher.steps": steps, "student.learning_rate": rate}, cfg))
    return settings


def test_the_runner_computes_what_run_computes(tiny, tmp_path):
    """Equal up to rounding: `run` is one program, the runner many."""
    finished(tmp_path, [({}, tiny)])
    record = minisub.over_repeats(tiny, 0, 2)
    rows = _rows(tmp_path)
    assert len(rows) == sum(len(measured) for measured in record.values()) * 2
    for row in rows:
        expected = float(record[row["arm"]][row["measure"]][row["repeat"]])
        assert row["value"] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def _rows(folder):
    records = store.Records(folder / "records.jsonl")
    records.seek(len((folder / "records.jsonl").read_bytes().splitlines()))
    return records.rows()


class Killed(Exception):
    """The end of a process, for the purposes of a test."""


def killed(folder, settings, **named):
    """Continue until a second checkpoint is due and die before it; whether the run ended first."""
    run = a_run(folder, settings, **named)
    save, saved = run.checkpoints.save, []

    def die_at_the_second(*args):
        if saved:
            raise Killed
        saved.append(save(*args))

    run.checkpoints.save = die_at_the_second
    try:
        for _ in run.events():
            pass
    except Killed:
        return False
    return True


@pytest.mark.parametrize("group", [1, 2])
def test_a_run_killed_after_every_checkpoint_ends_with_the_same_bytes(tiny, tmp_path, group):
    whole = finished(tmp_path / "whole", [({}, tiny)], group=group)
    (tmp_path / "cut").mkdir()
    kills = 0
    while not killed(tmp_path / "cut", [({}, tiny)], group=group):
        kills += 1
    assert kills > 30 / group
    assert (tmp_path / "cut" / "records.jsonl").read_bytes() == whole


def test_a_sweep_reuses_what_it_leaves_alone_and_records_what_single_runs_record(sweep, tmp_path):
    together = finished(tmp_path / "sweep", sweep).splitlines()
    alone = []
    for i, setting in enumerate(sweep):
        alone += finished(tmp_path / str(i), [setting]).splitlines()
    assert sorted(together) == sorted(alone)
    chains = [experiment.phases(cfg) for _, cfg in sweep]
    taken = [runner.reusable(b, a) for a, b in itertools.pairwise(chains)]
    assert {"base/first", "teacher", "numbers/teacher", "start/shared"} <= taken[0]
    assert {"base/first", "numbers/base", "start/shared"} <= taken[1]
    assert not {"teacher", "numbers/teacher"} & taken[1]
    assert not any(name.startswith("student/") for names in taken for name in names)


def test_a_sweep_killed_after_every_checkpoint_ends_with_the_same_bytes(sweep, tmp_path):
    whole = finished(tmp_path / "whole", sweep[1:3], repeats=1)
    (tmp_path / "cut").mkdir()
    while not killed(tmp_path / "cut", sweep[1:3], repeats=1):
        pass
    assert (tmp_path / "cut" / "records.jsonl").read_bytes() == whole


def test_numbers_that_leave_shapes_alone_share_one_compilation(sweep, tmp_path):
    finished(tmp_path / "warm", sweep[:1])
    before = timing.compilations["programs"]
    finished(tmp_path / "other", sweep)
    assert timing.compilations["programs"] == before


def test_repeats_and_arms_share_one_compilation(tiny, tmp_path):
    finished(tmp_path / "warm", [({}, tiny)], repeats=1)
    before = timing.compilations["programs"]
    finished(tmp_path / "more", [({}, tiny)], repeats=4)
    # The keys of 4 repeats, and taking one of them, are new shapes; no training is.
    assert timing.compilations["programs"] <= before + 4


def test_a_loss_that_is_not_finite_stops_the_run_and_names_phase_and_step(tiny, tmp_path):
    student = dataclasses.replace(tiny.student, learning_rate=1e38)
    broken = dataclasses.replace(tiny, student=student)
    with pytest.raises(runner.Stopped, match=r"student/shared in repeat 0 .* at step [12];"):
        finished(tmp_path, [({}, broken)])
    arms = {row["arm"] for row in _rows(tmp_path)}
    assert arms == {"base", "teacher"}, "what came before is kept"


def test_the_models_of_a_finished_run_can_be_taken_from_its_checkpoint(tiny, tmp_path):
    finished(tmp_path, [({}, tiny)])
    held = runner.products(store.Checkpoints(tmp_path / "checkpoints"))
    assert set(held) == {p.name for p in experiment.phases(tiny)}
    chain = {p.name: p for p in experiment.phases(tiny)}
    params = jax.tree.map(lambda x: x[0], held["teacher"])
    settings = chain["teacher"].settings
    graded = measures.grade(settings["world"], tasks.network(settings), params, 0, 2)
    [row] = [r for r in _rows(tmp_path) if (r["arm"], r["repeat"]) == ("teacher", 1)
             and r["measure"] == "trait_rate"]  # fmt: skip
    assert graded["trait_rate"] == pytest.approx(row["value"], rel=1e-5)


def test_lost_records_are_computed_again(tiny, tmp_path):
    whole = finished(tmp_path, [({}, tiny)])
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert finished(tmp_path, [({}, tiny)]) == whole


def test_usage_counts_the_work_of_every_phase(tiny, tmp_path):
    run = a_run(tmp_path, [({}, tiny)])
    for _ in run.events():
        pass
    flops = sum(flops for _, flops, _ in run.usage.values())
    assert flops == pytest.approx(run.flops(run.units))
    assert all(seconds > 0 for seconds, _, _ in run.usage.values())
    assert np.isfinite(timing.matmul_rate(size=64, trials=2))
    assert jax.device_count() == 2, "tests run with several devices"
