"""What the README tells a reader to type works as it stands."""

import re
from pathlib import Path

import pytest

from minisub import arguments, cli, config, experiment

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_example_of_a_config_of_ones_own_is_ten_lines_and_passes_every_check(tmp_path):
    [text] = [text for kind, text in BLOCKS if kind == "python" and "repeats = " in text]
    path = tmp_path / "mine.py"
    path.write_text(text)
    assert len(text.splitlines()) <= 12
    experiment.check(arguments.load(str(path)).config)
    assert arguments.claim_of(path)


def test_the_python_example_compiles_and_names_what_exists():
    [text] = [text for kind, text in BLOCKS if "jax.jit(run)" in text]
    names = {}
    exec(text.split("record =")[0], names)  # the rest trains a full-sized repeat
    experiment.check(names["config"])
    compile(text, "README", "exec")


@pytest.mark.parametrize(
    "words",
    [line.split("#")[0].split()[2:] for kind, text in BLOCKS if kind == "sh"
     for line in text.splitlines() if line.startswith("python train.py ")],
    ids=" ".join,
)  # fmt: skip
def test_every_command_line_is_accepted(words, monkeypatch):
    """Up to the point where it would start to train."""
    seen = []
    monkeypatch.setattr(cli, "with_folder", lambda *args: seen.append(args))
    assert cli.main(words) == 0
    [(_, title, *_, settings)] = seen
    assert title == words[0] and settings


def test_every_module_is_in_the_file_tree():
    tree = BLOCKS[-1][1]
    modules = [path.name for path in Path(config.__file__).parent.glob("[!_]*.py")]
    assert all(f"  {name} " in tree for name in modules)
