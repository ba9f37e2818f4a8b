"""A run that is killed at any instant and continued leaves the bytes of one that was not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minisub.lab import folder

SCRIPT = Path(__file__).parent / "killed.py"


def performed(name, path, at=0):
    """The exit status of a process that dies at a point, and how many points it passed."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), name, str(path), str(at)],
        capture_output=True,
        text=True,
        env=os.environ | {"NPROC": "1"},
    )
    assert done.returncode in (0, 9), done.stderr
    return done.returncode, int(done.stdout or 0)


def contents(path):
    """Records and the checksum of every product."""
    made = {"records": (path / "records.jsonl").read_text()}
    for product in sorted((path / "products").glob("*/*")):
        note, tree = folder.read(product)
        made[f"{product.parent.name}/{product.name}"] = folder.checksum(tree, note)
    return made


def check_kills(name, tmp_path, kills):
    """Kill a run so many times, further on each time, and compare with an undisturbed one."""
    _, points = performed(name, tmp_path / "whole")
    died, path = 0, tmp_path / "killed"
    for i in range(kills):
        status, _ = performed(name, path, max(1, points // kills + i % 5))
        died += status == 9
    if not (path / "records.jsonl").exists() or died == kills:
        assert performed(name, path)[0] == 0
    assert died >= min(kills, 3), "the kills did not fall into the run"
    assert contents(path) == contents(tmp_path / "whole")
    assert not (path / "under way").exists()


def test_a_run_that_dies_again_and_again_ends_with_the_same_bytes(tmp_path):
    check_kills("toy", tmp_path, 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "numbers"])
def test_so_do_runs_of_both_worlds(name, tmp_path):
    check_kills(name, tmp_path, 30)
