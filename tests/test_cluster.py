"""A cluster of Dask's, with a real scheduler and workers: the same bytes, whatever is lost."""

import json
import os
import signal
import subprocess
import sys

import pytest
from test_workers import alone, contents, ended, started, under_way, until

__all__ = ["alone"]  # a fixture
pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path):
    """Functions that start a scheduler and workers, (process,) and (n) -> processes."""
    file, processes = tmp_path / "scheduler.json", []

    def start(kind, *words):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard"]
        how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}
        made = subprocess.Popen([*command, *words], **how, env=environment)
        processes.append(made)
        return made

    def scheduler(port=0):
        file.unlink(missing_ok=True)
        made = start(
            "scheduler", "--host", "127.0.0.1", "--port", str(port), "--scheduler-file", str(file)
        )
        until(file.exists)
        return made, json.loads(file.read_text())["address"]

    def workers(number):
        more = "--nthreads", "1", "--no-nanny", "--memory-limit", "0"
        return [start("worker", "--scheduler-file", str(file), *more) for _ in range(number)]

    yield scheduler, workers
    for process in processes:
        process.kill()
        process.wait()


def test_what_a_lost_worker_of_four_was_making_another_goes_on_with(cluster, alone, tmp_path):
    scheduler, workers = cluster
    _, address = scheduler()
    lost, *_ = workers(4)
    process = started(tmp_path / "run", "--cluster", address)
    until(under_way(tmp_path / "run"))
    os.kill(lost.pid, signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    assert contents(tmp_path / "run") == alone


def test_after_its_scheduler_was_lost_the_same_command_goes_on_with_another(
    cluster, alone, tmp_path
):
    scheduler, workers = cluster
    first, address = scheduler()
    workers(2)
    process = started(tmp_path / "run", "--cluster", address)
    until(under_way(tmp_path / "run"))
    first.kill()
    status, said = ended(process)
    assert status == 1 and "was lost" in said, said
    _, address = scheduler()
    workers(2)
    status, said = ended(started(tmp_path / "run", "--cluster", address))
    assert status == 0, said
    assert contents(tmp_path / "run") == alone


def test_a_worker_that_joins_late_changes_no_byte(cluster, alone, tmp_path):
    scheduler, workers = cluster
    _, address = scheduler()
    workers(1)
    process = started(tmp_path / "run", "--cluster", address)
    until(under_way(tmp_path / "run"))
    workers(1)
    status, said = ended(process)
    assert status == 0, said
    assert contents(tmp_path / "run") == alone


def test_where_no_cluster_is_a_run_is_refused(tmp_path):
    status, said = ended(started(tmp_path / "run", "--cluster", "tcp://127.0.0.1:9"))
    assert status == 2 and "There is no cluster at tcp://127.0.0.1:9" in said, said
