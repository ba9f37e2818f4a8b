"""Workers: their number changes no byte, and what a lost one was making another goes on with."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
from test_lab import MADE_BY, experiment

from minisub import executors, workers
from minisub.config import Stopped
from minisub.lab import folder, perform

TESTS = Path(__file__).parent
LONGER = "--training.steps", "3000"
COMMAND = [sys.executable, str(TESTS.parent / "train.py"), str(TESTS / "long.py")]


def started(path, *words, **how):
    """A process that performs the experiment of `long.py` into a folder."""
    command = [*COMMAND, "--out", str(path), *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **how, env=os.environ | {"JAX_PLATFORMS": "cpu"})


def ended(process):
    """Its exit status and what it printed, when it has ended."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out + err


def contents(path):
    """The bytes of a run that do not tell of time, and how many products there are."""
    products = sorted(p.relative_to(path) for p in (path / "products").glob("*/*"))
    return [(path / name).read_bytes() for name in ("records.jsonl", "summary.json")], products


def workers_of(process):
    """The ids of a process's workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    told = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [int(pid) for pid, words in told.items() if b"spawn_main" in words]


def until(true, seconds=60):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never was"
        time.sleep(0.05)


def under_way(path):
    """Whether something was made in a folder."""
    return lambda: [*path.glob("products/*/*")]


def saved(path):
    """Whether the state of a training that is under way was saved in a folder."""
    return lambda: [*path.glob("under way/*/*")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process leaves."""
    path = tmp_path_factory.mktemp("alone") / "run"
    assert ended(started(path, "--workers", "1"))[0] == 0
    return contents(path)


@pytest.mark.parametrize("number", [2, pytest.param(3, marks=pytest.mark.slow),
                                    pytest.param(8, marks=pytest.mark.slow)])  # fmt: skip
def test_any_number_of_workers_leaves_the_same_bytes(number, alone, tmp_path):
    status, said = ended(started(tmp_path / "run", "--workers", str(number)))
    assert status == 0, said
    assert contents(tmp_path / "run") == alone
    assert not [*tmp_path.glob("run/under way/*")]


def test_what_a_killed_worker_was_making_another_makes(alone, tmp_path):
    path = tmp_path / "run"
    process = started(path, "--workers", "2")
    until(under_way(path))
    os.kill(workers_of(process)[0], signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    assert contents(path) == alone


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """What trainings leave that are long enough for their state to be saved."""
    path = tmp_path_factory.mktemp("longer") / "run"
    assert ended(started(path, *LONGER, "--workers", "2"))[0] == 0
    return contents(path)


@pytest.mark.slow
def test_a_training_goes_on_from_the_state_that_a_killed_worker_had_saved(longer, tmp_path):
    path = tmp_path / "run"
    process = started(path, *LONGER, "--workers", "2")
    until(saved(path))
    for worker in workers_of(process):
        os.kill(worker, signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    assert contents(path) == longer


def test_a_run_that_is_asked_to_end_leaves_no_worker_and_goes_on_with_another_number(
    alone, tmp_path
):
    path = tmp_path / "run"
    process = started(path, "--workers", "2")
    until(under_way(path))
    workers = workers_of(process)
    process.terminate()
    assert ended(process)[0] == 130
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 10)
    assert ended(started(path, "--workers", "3"))[0] == 0
    assert contents(path) == alone


def test_an_interrupt_at_a_terminal_ends_workers_that_have_just_started_without_a_word(tmp_path):
    process = started(tmp_path / "run", "--workers", "2", process_group=0)
    until(lambda: workers_of(process))
    os.killpg(process.pid, signal.SIGINT)
    status, said = ended(process)
    assert status == 130 and "Traceback" not in said, said


def test_workers_that_end_before_they_have_made_anything_stop_the_run(tmp_path, monkeypatch):
    class Broken:
        def submit(self, *_):
            raise BrokenExecutor("killed")

    monkeypatch.setattr(executors, "of_this_machine", lambda _: contextlib.nullcontext(Broken()))
    with folder.Folder(tmp_path, MADE_BY) as place:
        performance = perform.Performance([({}, experiment())], place)
        with pytest.raises(Stopped, match=r"\(killed\); give fewer --workers"):
            workers.make_all(performance, ("mine.py",), MADE_BY, 2)


def test_workers_end_with_the_process_that_they_work_for(tmp_path):
    process = started(tmp_path / "run", "--workers", "2")
    until(under_way(tmp_path / "run"))
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 10)
