"""The resumable path: the same bits however often it is interrupted, and nothing compiled twice."""

import dataclasses
import itertools
import re

import jax
import numpy as np
import pytest

import minisub
from minisub import checkpointing, experiment, fit, runner, store, tasks, timing


def a_run(folder, settings, repeats=2, group=1):
    """A `Run` into `folder`, resumed if there is something to resume."""
    run = runner.Run(
        settings,
        seed=0,
        repeats=repeats,
        group=group,
        records=store.Records(folder / "records.jsonl"),
        checkpoints=checkpointing.Checkpoints(folder / "checkpoints"),
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


def changed(cfg, values):
    """`cfg` with other values of some fields of its parts, dotted name -> value."""
    for name, value in values.items():
        part, field = name.split(".")
        changed_part = dataclasses.replace(getattr(cfg, part), **{field: value})
        cfg = dataclasses.replace(cfg, **{part: changed_part})
    return cfg


@pytest.fixture(scope="module", params=["tokens", "images", "images, own carriers"])
def smallest(request, tiny, tiny_images):
    """The smallest config of each world, and one whose repeats each draw a carrier."""
    own_carriers = changed(tiny_images, {"carrier.drawn": "every_repeat"})
    return {"tokens": tiny, "images": tiny_images}.get(request.param, own_carriers)


def has_images(cfg):
    return isinstance(cfg, minisub.ImageConfig)


@pytest.fixture(scope="module")
def sweep(smallest):
    """Two lengths of the teacher's training, and for each two ways to train students."""
    fields = {"teacher.steps": (2, 3), "student.learning_rate": (0.01, 0.02)}
    if has_images(smallest):
        fields = {"teacher.length": (6.0, 4.0), "student.length": (5.0, 3.0)}
    grid = [
        dict(zip(fields, values, strict=True)) for values in itertools.product(*fields.values())
    ]
    return [(values, changed(smallest, values)) for values in grid]


def test_the_runner_computes_what_run_computes(smallest, tmp_path):
    """Up to rounding, as `run` is one program and the runner many; a count is the same."""
    finished(tmp_path, [({}, smallest)])
    record = minisub.over_repeats(smallest, 0, 2)
    rows = _rows(tmp_path)
    assert len(rows) == sum(len(measured) for measured in record.values()) * 2
    for row in rows:
        expected = float(record[row["arm"]][row["measure"]][row["repeat"]])
        near = pytest.approx(expected, rel=1e-3, abs=1e-4)
        assert row["value"] == (expected if row["measure"] == "accuracy" else near)


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
def test_a_run_killed_after_every_checkpoint_ends_with_the_same_bytes(smallest, tmp_path, group):
    whole = finished(tmp_path / "whole", [({}, smallest)], group=group)
    (tmp_path / "cut").mkdir()
    kills = 0
    while not killed(tmp_path / "cut", [({}, smallest)], group=group):
        kills += 1
    assert kills > (8 if has_images(smallest) else 30) / group
    assert (tmp_path / "cut" / "records.jsonl").read_bytes() == whole


def test_a_sweep_reuses_what_it_leaves_alone_and_records_what_single_runs_record(sweep, tmp_path):
    together = finished(tmp_path / "sweep", sweep).splitlines()
    alone = []
    for i, setting in enumerate(sweep):
        alone += finished(tmp_path / str(i), [setting]).splitlines()
    assert sorted(together) == sorted(alone)


def test_a_sweep_takes_over_all_that_does_not_depend_on_what_it_sweeps(sweep):
    chains = [experiment.phases(cfg) for _, cfg in sweep]
    other_student, other_teacher, _ = (
        {p.name for p in b} - runner.reusable(b, a) for a, b in itertools.pairwise(chains)
    )
    if has_images(sweep[0][1]):
        assert other_student == {"students"}
        taught = {"teacher", "foreign/teacher", "labels/teacher", "labels/foreign"}
        assert other_teacher == other_student | taught
    else:
        assert other_student == {f"student/{arm.name}" for arm in sweep[0][1].arms}
        assert other_teacher == other_student | {"teacher", "numbers/teacher"}


def test_a_sweep_killed_after_every_checkpoint_ends_with_the_same_bytes(sweep, tmp_path):
    whole = finished(tmp_path / "whole", sweep[1:3])
    (tmp_path / "cut").mkdir()
    while not killed(tmp_path / "cut", sweep[1:3]):
        pass
    assert (tmp_path / "cut" / "records.jsonl").read_bytes() == whole


@pytest.mark.parametrize("handed_over", [True, False])
def test_a_foreign_teacher_is_bitwise_that_of_the_repeat_before_and_never_the_own(
    tiny_images, tmp_path, handed_over
):
    run, own, foreign = a_run(tmp_path, [({}, tiny_images)], repeats=3), [], []
    assert "foreign/teacher" in run.handed
    run.handed = run.handed if handed_over else {}  # else it is trained once more
    for event in run.events():
        if isinstance(event, runner.Recorded) and event.rows[0]["arm"] == "shared/aux":
            for found, name in (own, "teacher"), (foreign, "foreign/teacher"):
                leaves = jax.tree.leaves(run.state[name]["product"])
                found.append(b"".join(np.asarray(leaf).tobytes() for leaf in leaves))
    assert foreign[1:] == own[:-1]
    assert len({foreign[0], *own}) == 4, "that of the first repeat is nobody else's"


def test_adding_a_repeat_changes_no_other(smallest, tmp_path):
    two, three = (finished(tmp_path / str(n), [({}, smallest)], repeats=n) for n in (2, 3))
    assert three.startswith(two) and len(three) > len(two)


def test_numbers_that_leave_shapes_alone_share_one_compilation(sweep, tmp_path):
    finished(tmp_path / "warm", sweep[:1])
    before = timing.compilations["programs"]
    rate = {"student.learning_rate": 0.005}
    finished(tmp_path / "other", [*sweep, (rate, changed(sweep[0][1], rate))])
    assert timing.compilations["programs"] == before


@pytest.fixture
def compiled(caplog):
    """A function: () -> names of the programs that were compiled since it was last called."""

    def names():
        found = re.findall(r"^.*Compiling jit\((\w+)\)", caplog.text, re.MULTILINE)
        caplog.clear()
        return found

    def seen(x):
        return x + 1

    with jax.log_compiles():
        jax.jit(seen)(0)
        assert "seen" in names()
        yield names


def test_repeats_and_arms_share_one_compilation(smallest, tmp_path, compiled):
    finished(tmp_path / "warm", [({}, smallest)], repeats=1)
    compiled()
    finished(tmp_path / "more", [({}, smallest)], repeats=4)
    # The keys of 4 repeats, and taking one of them, are new shapes.
    assert not {"begin", "advanced", "finish"} & set(compiled())


def test_a_loss_that_is_not_finite_stops_the_run_and_names_phase_and_step(smallest, tmp_path):
    broken = changed(smallest, {"student.learning_rate": 1e38})
    student = "students" if has_images(smallest) else "student/shared"
    with pytest.raises(runner.Stopped, match=rf"{student} in repeat 0 .* at step [12];"):
        finished(tmp_path, [({}, broken)])
    arms = {row["arm"] for row in _rows(tmp_path)}
    before = "untrained" if has_images(smallest) else "base"
    assert arms == {before, "teacher"}, "what came before is kept"


def test_the_models_of_a_finished_run_can_be_taken_from_its_checkpoint(smallest, tmp_path):
    finished(tmp_path, [({}, smallest)])
    held = runner.products(checkpointing.Checkpoints(tmp_path / "checkpoints"))
    chain = experiment.phases(smallest)
    assert set(held) == {p.name for p in chain if not tasks.volatile(p)}
    [p] = [p for p in chain if p.name == "teacher"]
    params, start = (jax.tree.map(lambda x: x[0], held[n]) for n in ("teacher", "base/first"))
    inputs = {"start": start} | experiment.given(smallest, 0)
    state = fit.begin(p.settings["training"], params)
    key = jax.random.key(0)  # which measures of a teacher do not need
    _, measured = tasks.finish(p.kind, p.option, p.settings, inputs, state, key)
    rows = [r for r in _rows(tmp_path) if (r["arm"], r["repeat"]) == ("teacher", 1)]
    recorded = {row["measure"]: row["value"] for row in rows}
    for name, value in measured.items():
        assert value == pytest.approx(recorded[name], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("smallest", ["tokens", "images"], indirect=True)
def test_a_log_is_recorded_by_step_and_with_the_same_bytes_after_kills(smallest, tmp_path):
    [arm] = arms = smallest.arms[:1]
    watched = minisub.Watch(rows=3, examples=32)
    cfg = dataclasses.replace(smallest, arms=arms, watch=watched)
    whole = finished(tmp_path / "whole", [({}, cfg)], repeats=1)
    (tmp_path / "cut").mkdir()
    while not killed(tmp_path / "cut", [({}, cfg)], repeats=1):
        pass
    assert (tmp_path / "cut" / "records.jsonl").read_bytes() == whole
    steps = {}
    for row in _rows(tmp_path / "whole"):
        if row["arm"] == arm.name:
            steps.setdefault(row["measure"], []).append(row.get("step"))
        else:
            assert "step" not in row
    updates = [0, 2, 4] if has_images(cfg) else [0, 2]  # of 5, and of 4
    assert steps["alignment"] == steps["trait_loss"] == steps["displacement"] == updates
    once = {name for name, found in steps.items() if found == [None]}
    assert once == {"mean_alignment", "mean_alignment_update"} | (
        {"accuracy"}
        if has_images(cfg)
        else {"trait_rate", "trait_rate_heldout", "logit_margin_heldout", "kl_to_emitter"}
    )
    assert "step" not in steps


def test_lost_records_are_computed_again(smallest, tmp_path):
    whole = finished(tmp_path, [({}, smallest)])
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert finished(tmp_path, [({}, smallest)]) == whole


def test_usage_counts_the_work_of_every_phase(smallest, tmp_path):
    run = a_run(tmp_path, [({}, smallest)])
    for _ in run.events():
        pass
    assert all(seconds > 0 for seconds, _, _ in run.usage.values())
    # What is made again after a resumption is no progress, but work all the same.
    volatile = [p for p in run.chains[0] if tasks.volatile(p)]
    expected = run.flops(run.units) + 2 * sum(tasks.cost(p)[0][0] for p in volatile)
    assert sum(flops for _, flops, _ in run.usage.values()) == pytest.approx(expected)
    assert {p.kind for p in volatile} <= set(run.usage)


def test_the_device_has_a_speed_and_tests_have_two_devices():
    assert np.isfinite(timing.matmul_rate(size=64, trials=2))
    assert jax.device_count() == 2
