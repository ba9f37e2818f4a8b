"""No number moves unseen: every config gives the records that an earlier commit gave, bit for bit
on the processor that made them, and alike elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
TITLES = sorted(
    path.stem.replace("-", ":") if "-" in path.stem else path.stem for path in GOLDEN.glob("*.json")
)


def compared(*words):
    """What the comparison says, in a process with the threads and instructions of the records."""
    exact = {"NPROC": "1", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
    script = [sys.executable, str(GOLDEN / "compare.py"), *words]
    done = subprocess.run(script, capture_output=True, text=True, env=os.environ | exact)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("title", ["numbers", "digits"])
def test_the_default_of_each_world_gives_what_was_recorded(title):
    assert " values are " in compared(title)


@pytest.mark.slow
@pytest.mark.parametrize("title", TITLES)
def test_every_config_gives_what_was_recorded(title):
    compared(title)


@pytest.mark.slow
@pytest.mark.parametrize("title", ["numbers", "digits"])
def test_so_does_the_pure_run(title):
    compared(title, "--pure")
