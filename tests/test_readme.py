"""What the README tells a reader to type, to read and to open is true."""

import re
import shlex
from pathlib import Path

import jax
import lines
import pytest

import minisub
from minisub import arguments, auditing, cli, loading, machine

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
OWN = [text for text in PYTHON if "\nrepeats = " in text]
TYPED = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
COMMANDS = {}
for line in [*TYPED, *re.findall(r"`([^`\n]+)`", TEXT)]:
    if found := re.search(r"python train\.py([^#]*)", line):
        COMMANDS.setdefault(tuple(shlex.split(found[1])))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder to be in, with an experiment of a reader's own; ranks are promoted as usual."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(OWN[0])
    with jax.numpy_rank_promotion("allow"):
        yield


def test_the_experiment_that_is_shown_is_the_one_in_its_file():
    [shown] = [text for text in PYTHON if text.startswith("def experiment")]
    assert shown in (ROOT / "configs" / "numbers.py").read_text()


@pytest.mark.parametrize("text", OWN, ids=range(len(OWN)))
def test_an_experiment_of_ones_own_states_a_claim_and_can_be_planned(text, capsys):
    Path("mine.py").write_text(text)
    assert arguments.claim_of(Path("mine.py")).endswith("?")
    assert cli.main(["mine.py", "--plan"]) == 0
    assert "mine.py:" in capsys.readouterr().out


def test_the_pure_repeat_can_be_traced_and_has_what_is_printed():
    [text] = [text for text in PYTHON if "record = " in text]
    before, call = text.split("record = ")
    known: dict = {}
    exec(before, known)
    traced = call.splitlines()[0].replace("jax.jit(", "jax.eval_shape(", 1)
    traced = traced.replace(")(config, ", ", config, ")  # shapes alone
    record = eval(traced, known)
    for arm, measure in re.findall(r'record\["(\w+)"\]\["(\w+)"\]', call):
        assert record[arm][measure].shape == ()


def test_other_python_is_of_what_there_is():
    [text] = [text for text in PYTHON if "minisub.load(" in text]
    compile(text, "README", "exec")
    for name in re.findall(r'run\["\w+"\]\.(\w+)\(', text):
        assert callable(getattr(minisub.loading.Named, name))
    assert len(PYTHON) == len(OWN) + 3, "each has a test"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_line_is_accepted(words, monkeypatch):
    """Up to the point where an experiment would be planned."""
    kinds = {"audit": auditing.Audit, "export": loading.Export, "report": cli.Report}
    first, *rest = words or [arguments.DEFAULT]
    if first in kinds:
        assert arguments.parse_into(kinds[first], first, rest)
    elif first == "bench":
        name, *rest = rest
        assert arguments.parse(name, arguments.load(name), rest)
    elif first == "doctor":
        assert list(machine.doctor(rest))
    elif "--help" in rest:
        with pytest.raises(SystemExit) as end:
            cli.main(list(words))
        assert end.value.code == 0
    else:
        seen = []
        monkeypatch.setattr(cli, "perform_experiment", seen.append)
        assert cli.main(list(words)) == 0
        [experiment] = seen
        assert experiment.title.startswith(Path(first).stem)
        assert all(named for _, named in experiment.settings)


def test_every_file_that_is_named_is_there():
    linked = [x for x in re.findall(r"\]\(([^)#]+)\)", TEXT) if not x.startswith("http")]
    spans = re.findall(r"`([\w/.]+(?:\.py|/))`", TEXT)
    named = [x for x in spans if not x.startswith(("mine.py", "products/", "runs/"))]
    assert len(linked) > 4 and len(named) > 8
    for name in linked + named:
        assert any((root / name).exists() for root in (ROOT, lines.PACKAGE)), name


def test_every_number_of_lines_is_the_one_that_is_counted():
    known = {*lines.counted().values(), lines.ALL, lines.PATH}
    for said in re.findall(r"(\d[\d,]+) lines", TEXT):
        assert int(said.replace(",", "")) in known, said
