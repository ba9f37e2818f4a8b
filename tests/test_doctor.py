"""`python train.py doctor` says on one screen what a bug report needs, whatever is wrong."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import jax
import pytest

import minisub
from minisub import cli

ROOT = Path(__file__).resolve().parent.parent
NAMES = (
    "minisub python jax jaxlib flax optax numpy scipy scikit-learn orbax-checkpoint devices "
    "settings variables threads memory programs products"
)


def told(text):
    """Item -> what is said of it, of lines that fit a screen."""
    rows, found, name = text.splitlines(), {}, ""
    assert len(rows) < 40 and all(len(row) <= 80 and row.isascii() for row in rows), text
    for row in rows:
        name = row[:17].strip() or name
        found[name] = f"{found.get(name, '')} {row[17:]}".strip()
    assert [*found] == [*NAMES.split(), "tfds data"] and all(found.values())
    return found


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with caches of this user."""
    folder = tmp_path / "alice"
    (folder / ".cache" / "minisub" / "products").mkdir(parents=True)
    (folder / ".cache" / "minisub" / "products" / "x").write_bytes(bytes(3 * 2**20))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CACHE_HOME")
    return folder


def test_every_item_is_named_on_one_screen_without_the_home(home, monkeypatch, capsys):
    monkeypatch.setenv("JAX_LOG_COMPILES", "false")
    monkeypatch.setenv("MINISUB_UPLOAD_TOKEN", "hidden")
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to={home}/dump " + "--xla_one=/home/bob/two " * 99)
    assert cli.main(["doctor"]) == 0
    found = told(capsys.readouterr().out)
    assert found["minisub"].startswith(minisub.__version__)
    assert found["jax"] == jax.__version__ and found["numpy"] == metadata.version("numpy")
    assert found["threads"].startswith("1 in use") and "cpu" in found["devices"]
    assert "enable_x64=False" in found["settings"] and "prng_impl=" in found["settings"]
    assert "NPROC=1" in found["variables"] and "JAX_LOG_COMPILES=false" in found["variables"]
    assert found["products"] == "3.0 MiB, can be written: ~/.cache/minisub/products"
    assert found["tfds data"] == "not there, can be written: ~/tensorflow_datasets"
    text = str(found)
    assert not [word for word in ("alice", "bob", str(home), "hidden") if word in text]


def test_without_a_home_and_a_cache_and_a_device_it_is_said_what_is_wrong(tmp_path):
    (tmp_path / "file").touch()
    wrong = {
        "XDG_CACHE_HOME": str(tmp_path / "file"), "NPROC": "two", "JAX_PLATFORMS": "tpu",
        "PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": "x" * 300,
    }  # fmt: skip
    env = {name: x for name, x in os.environ.items() if name != "HOME"} | wrong
    words = [sys.executable, str(ROOT / "train.py")]
    done = subprocess.run([*words, "doctor"], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    found = told(done.stdout)
    assert found["devices"].startswith("JAX cannot start (")
    assert found["threads"] == "NPROC is 'two'; give a whole number of at least 1."
    assert found["programs"] == "nothing is kept"
    assert found["products"].startswith("not there, cannot be written: ")
    assert "File name too long" in found["tfds data"]


@pytest.mark.parametrize("words", [["digits", "--plan"], ["bench", "digits"]])
def test_what_the_environment_lets_not_start_is_refused(words, monkeypatch, capsys):
    monkeypatch.setattr(jax, "devices", lambda: 1 / 0)
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "JAX cannot start (ZeroDivisionError: division by zero); change or unset JAX_PLATFORMS."
    )


def test_it_takes_no_other_words(capsys):
    assert cli.main(["doctor", "digits"]) == 2
    assert capsys.readouterr().err == "doctor takes no other words; leave them out.\n"
