"""Several devices and processes: the bytes of a run that is alone, and none waits for another."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_runs

from minisub import cli, lanes, store

ROOT = Path(__file__).resolve().parent.parent
TINY = tiny_runs.lists("repeats = 5", steps=230)


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """A function (folder, devices, more words) -> a process at work; all compile once."""
    home = tmp_path_factory.mktemp("lanes")
    (home / "tiny.py").write_text(TINY)
    compiled = {"JAX_ENABLE_COMPILATION_CACHE": "true", "XDG_CACHE_HOME": str(home)}

    def process(out, devices, *more):
        flags = "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0"
        flags += f" --xla_force_host_platform_device_count={devices}"
        words = [sys.executable, str(ROOT / "train.py"), str(home / "tiny.py"), *more]
        env = os.environ | compiled | {"XLA_FLAGS": flags}
        said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([*words, "--out", str(out)], env=env, **said)

    return process


def distributed(begin, out, n):
    """`n` processes of one device each, at work on one run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    joined = ["--distributed", "--coordinator", address, "--num-processes", str(n)]
    return [begin(out, 1, *joined, "--process-id", str(i)) for i in range(n)]


def ended(processes):
    """[(status, what it said)] when all have ended."""
    said = [p.communicate(timeout=600)[0] for p in processes]
    return [(p.returncode, text) for p, text in zip(processes, said, strict=True)]


@pytest.fixture(scope="module")
def alone(begin, tmp_path_factory):
    """Records and summary, as bytes, of one process with one device."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    [(status, said)] = ended([begin(folder, 1)])
    assert status == 0, said
    assert not (folder / "lanes").exists() and not (folder / lanes.DONE).exists()
    return results(folder)


def results(folder):
    return [(folder / name).read_bytes() for name in ("records.jsonl", "summary.json")]


@pytest.mark.parametrize("devices", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_a_process_with_several_devices_records_the_same_bytes(begin, alone, tmp_path, devices):
    [(status, said)] = ended([begin(tmp_path / "run", devices)])
    assert status == 0, said
    assert f"{min(devices, 5)} lanes of cpu" in said  # no more than there is work for
    assert results(tmp_path / "run") == alone


def test_the_settings_of_a_sweep_are_shared_out_where_devices_outnumber_repeats(begin, tmp_path):
    words = "--repeats", "1", "--sweep", "student.steps=3,4,6"
    found = ended([begin(tmp_path / str(n), n, *words) for n in (1, 2)])
    assert [status for status, _ in found] == [0, 0], found
    assert "2 lanes of cpu" in found[1][1]
    assert results(tmp_path / "1") == results(tmp_path / "2")


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_processes_record_the_same_bytes(begin, alone, tmp_path, n):
    found = ended(distributed(begin, tmp_path / "run", n))
    assert [status for status, _ in found] == [0] * n, found
    assert [bool(said) for _, said in found] == [True] + [False] * (n - 1)  # one speaks
    assert results(tmp_path / "run") == alone
    identity = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (identity["lanes"], identity["processes"], identity["group"]) == (n, n, 1)


def test_a_killed_process_takes_no_other_with_it_and_others_go_on_with_its_lane(
    begin, alone, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    first, second, third = processes = distributed(begin, folder, 3)
    part = folder / "lanes" / "1" / "records.jsonl"
    while not (part.exists() and part.read_bytes()) and second.poll() is None:
        time.sleep(0.05)
    second.send_signal(signal.SIGKILL)
    assert third.wait(600) == 0
    time.sleep(1)
    first.send_signal(signal.SIGKILL)  # it would wait `lanes.SILENCE` for the second
    ended(processes)
    assert not (folder / "lanes" / "1" / lanes.DONE).exists()
    found = ended(distributed(begin, folder, 2))
    assert [status for status, _ in found] == [0, 0], found
    assert results(folder) == alone


def test_a_lane_that_nobody_works_on_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(lanes, "SILENCE", 0.5)
    parts = store.parts(tmp_path, 3)
    for part in parts[:2]:
        part.mkdir(parents=True)
        (part / lanes.DONE).touch()
    assert lanes.wait(parts) == parts[2]
    (parts[2] / lanes.DONE).touch()
    assert lanes.wait(parts) is None
    lock = lanes.held(parts[2])
    assert lock and lanes.held(parts[2]) is None
    lock.close()


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize(("groups", "settings"), [(8, 1), (100, 1), (8, 3), (2, 4), (1, 9)])
def test_lanes_have_all_cells_once_and_every_process_its_own(n, groups, settings):
    blocks = lanes.blocks(n, groups, settings)
    assert [cell for block in blocks for cell in block] == list(range(groups * settings))
    whole = settings if groups >= n else 1
    sizes = [len(block) // whole for block in blocks]
    assert all(len(block) % whole == 0 for block in blocks) and max(sizes) - min(sizes) <= 1
    for processes in 1, 2, 3:
        places = [lanes.Place(i, processes, devices=n) for i in range(processes)]
        found = sorted((i, block) for p in places for i, _, block in lanes.own(p, blocks))
        assert found == list(enumerate(blocks))


def test_processes_that_do_not_meet_are_refused_in_a_sentence(tmp_path, capsys):
    words = ["--distributed", "--coordinator", "nowhere", "--num-processes", "0"]
    assert cli.main([*words, "--process-id", "0", "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("--distributed found no other processes (")
    assert len(error.splitlines()) == 1 and not (tmp_path / "run").exists()
