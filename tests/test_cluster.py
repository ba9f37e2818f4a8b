"""A cluster of Dask's, with a real scheduler and workers: the same bytes, whatever is lost."""

import json
import os
import signal
import subprocess
import sys

import pytest
from dask import distributed
from test_workers import LONGER, alone, contents, ended, longer, saved, started, under_way, until

__all__ = ["alone", "longer"]  # fixtures
pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path):
    """Functions that start a scheduler, -> (process, address), and workers, n -> processes."""
    file, processes = tmp_path / "scheduler.json", []

    def start(kind, *words):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard"]
        how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}
        processes.append(subprocess.Popen([*command, *words], **how, env=environment))
        return processes[-1]

    def address():
        try:
            return json.loads(file.read_text())["address"]
        except (OSError, ValueError):  # it is not there yet, or not all of it
            return None

    def scheduler():
        file.unlink(missing_ok=True)
        where = "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)
        made = start("scheduler", *where)
        until(address)
        return made, address()

    def workers(number, *words):
        words = words or ("--nthreads", "1", "--no-nanny", "--memory-limit", "0")
        return [start("worker", "--scheduler-file", str(file), *words) for _ in range(number)]

    yield scheduler, workers
    for process in processes:
        process.kill()
        process.wait()


def test_what_a_lost_worker_of_four_was_making_another_goes_on_with(cluster, longer, tmp_path):
    scheduler, workers = cluster
    _, address = scheduler()
    four = workers(4)
    process = started(tmp_path / "run", *LONGER, "--cluster", address)
    until(saved(tmp_path / "run"))
    with distributed.Client(address) as client:
        busy = {pid for where, pid in client.run(os.getpid).items() if client.processing()[where]}
    lost = next(worker for worker in four if worker.pid in busy)
    os.kill(lost.pid, signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    assert contents(tmp_path / "run") == longer


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
    assert status == 1 and "was lost" in said and "Traceback" not in said, said
    _, address = scheduler()
    workers(2)
    status, said = ended(started(tmp_path / "run", "--cluster", address))
    assert status == 0, said
    assert contents(tmp_path / "run") == alone


def test_a_worker_that_joins_late_works_and_changes_no_byte(cluster, longer, tmp_path):
    scheduler, workers = cluster
    _, address = scheduler()
    workers(1)
    process = started(tmp_path / "run", *LONGER, "--cluster", address)
    until(under_way(tmp_path / "run"))
    workers(1)
    status, said = ended(process)
    assert status == 0, said
    assert contents(tmp_path / "run") == longer
    with distributed.Client(address) as client:
        worked = client.run(eval, "len(__import__('minisub.workers').workers.OPENED)")
        assert len(worked) == 2 and all(worked.values())


def test_workers_serve_one_run_after_another(cluster, alone, tmp_path):
    scheduler, workers = cluster
    _, address = scheduler()
    workers(2)
    for name, words in {"other": ("--seed", "1"), "run": ()}.items():
        status, said = ended(started(tmp_path / name, "--cluster", address, *words))
        assert status == 0, said
    assert contents(tmp_path / "run") == alone
    assert contents(tmp_path / "other") != alone


def test_a_run_is_refused_where_no_worker_answers_or_one_has_threads(cluster, tmp_path):
    status, said = ended(started(tmp_path / "run", "--cluster", "tcp://127.0.0.1:9"))
    assert status == 2 and "No worker answers at tcp://127.0.0.1:9" in said, said
    scheduler, workers = cluster
    _, address = scheduler()
    workers(1, "--nthreads", "2", "--no-nanny")
    status, said = ended(started(tmp_path / "run", "--cluster", address))
    assert status == 2 and "have 2 threads" in said, said
    assert "Traceback" not in said and not (tmp_path / "run").exists()
