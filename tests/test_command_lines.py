"""Whatever is typed: a sentence, never a traceback, and nothing left behind."""

import contextlib
import dataclasses
import functools
import io
import os
import random
import shutil

import pytest

from minisub import arguments, bench, cli, config, images, runner, timing

VALUES = [
    "", " ", "0", "1", "-1", "-0", "3", "2.5", "1e-3", "1e400", "-1e9", "nan", "inf", "-inf",
    "9" * 25, "2147483648", "4294967296", "0x10", "1_0", "true", "False", "None", "[]", "{}", "x",
    "é", "日本", "\u202e", "🦉", "\n", "a\nb", "\t", "'", '"', "%s", "{0}", "a,b", ",", "=", "==",
    "--", "-", "---", "\udcff", "x" * 300, "x" * 300 + ".py", ".", "..", "numbers.py", "..py",
    "owl", "wolf", "fresh", "shared", "adamw", "embed", "steps=3", "steps=x", "rank=1e9", "top_5",
    "block_0", "~block_0/qkv", "~", "/", "a b", "mlp-", "mlp-0", "cnn-1", "transformer-4-1-2",
    "code", "none", "second",
]  # fmt: skip
COMMON = ["--repeats", "--seed", "--out", "--only", "--group", "--kind", "--help", "-h", "--sweep",
          "--coordinator", "--num-processes", "--process-id"]  # fmt: skip
NAMES = list(arguments.config_files())


@functools.cache
def fields_of(name):
    """Option -> present value of the fields of a config, or of a command."""
    if dataclasses.is_dataclass(name):
        return {f"--{field.name}": field.default for field in dataclasses.fields(name)}
    found = config.leaves(arguments.command_of(arguments.load(name)).config)
    return {f"--{field}": value for field, value in found.items()} | dict.fromkeys(COMMON, "1")


def mutated(chance, word):
    """A word that is not quite the one it was."""
    at = chance.randrange(len(word) + 1)
    more = word[:at] + chance.choice("-_.=aé \n0") + word[at:]
    changes = word[:at] + word[at + 1 :], more, word[:at], word.upper(), word * 2, word.lstrip("-")
    return chance.choice([*changes, word.replace("_", "-"), word.replace("-", "_")])


def value(chance, now):
    """A value for a field, of its type or of any."""
    if chance.random() < 0.5:
        return chance.choice(VALUES)
    if isinstance(now, bool):
        return chance.choice(["true", "false"])
    if isinstance(now, tuple):
        return chance.choice(["embed", "bias", ""])
    return str(now + chance.randrange(3) if type(now) in (int, float) else now)


def beginning(chance):
    """(first words, options that there are)."""
    name = chance.choice(["theory", "numbers", "mnist"] if chance.random() < 0.7 else NAMES)
    command, kind = chance.choice([("audit", arguments.Audit), ("export", arguments.Export)])
    first = [command, chance.choice(VALUES), "--base", chance.choice(VALUES)]
    return chance.choice(
        [([name], fields_of(name))] * 8
        + [(["bench", name], fields_of(name)), (first, fields_of(kind)), ([], fields_of("numbers"))]
        + [([chance.choice([mutated(chance, name), *VALUES])], fields_of(name))]
    )


def line(chance):
    """The words of a random command line."""
    words, options = beginning(chance)
    words = list(words)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 2, 3, 5])):
        option = chance.choice(list(options))
        if chance.random() < 0.15 and "--group" in options:
            option = chance.choice(COMMON)
        now, outer = options[option], option.rpartition(".")[0]
        if chance.random() < 0.1:
            field = mutated(chance, option[2:]) if chance.random() < 0.3 else option[2:]
            values = ",".join(value(chance, now) for _ in range(chance.randrange(4)))
            words += ["--sweep", f"{field}={values}"]
            continue
        if isinstance(now, bool):
            words.append(chance.choice([option, f"{outer}.no-{option[len(outer) + 1 :]}"]))
            continue
        option = mutated(chance, option) if chance.random() < 0.15 else option
        given = value(chance, now)
        words += chance.choice([[option, given]] * 6 + [[f"{option}={given}"]] * 3 + [[option]])
    if chance.random() < 0.03:
        chance.shuffle(words)
    return words


def stopped(*_, **__):
    """In place of a run, when all is checked and the folder claimed."""
    raise runner.Stopped("Not here.")


def ended(words):
    """(exit status or 0 of --help, what was said) of a command line."""
    said = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        try:
            status = cli.main(words)
        except SystemExit as end:
            status = end.code
    said.flush()
    return status, said.buffer.getvalue().decode()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to be in, where no run gets further than its claim of a folder."""
    monkeypatch.setattr(runner, "Run", stopped)
    monkeypatch.setattr(images, "load", lambda data: {})
    monkeypatch.setattr(bench, "phases", lambda *_, **__: iter(()))
    monkeypatch.setattr(bench, "memory", lambda *_, **__: (0, 0, ""))
    monkeypatch.setattr(timing, "matmul_rate", lambda *_, **__: 1e9)
    deep = tmp_path / "top" / "a" / "b" / "c"  # so that "--out .." is within it
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return tmp_path / "top"


def check(words, place):
    """Assert that a command line ends well; return its status."""
    status, said = ended(words)
    files = {path.name for path in place.rglob("*") if not path.is_dir()}
    if status == 0:
        assert said == "" and not files, words
    else:
        assert status in (1, 2) and said.count("\n") == 1 and said.endswith(".\n"), (words, said)
        assert files == ({".lock", "config.json"} if status == 1 else set()), (words, said)
    for path in place.iterdir():
        if files:
            shutil.rmtree(path)
    os.makedirs(place / "a" / "b" / "c", exist_ok=True)
    os.chdir(place / "a" / "b" / "c")
    assert files or len(list(place.rglob("*"))) == 3, words
    return status


def many(first, last, place):
    """Check these random command lines; a third or more are refused, a tenth or more accepted."""
    found = [check(line(random.Random(seed)), place) for seed in range(first, last)]
    assert found.count(2) > (last - first) / 3 and found.count(1) > (last - first) / 10


def test_random_command_lines_give_a_sentence_and_leave_nothing(place):
    many(0, 150, place)


@pytest.mark.slow
@pytest.mark.parametrize("thousand", range(10))
def test_ten_thousand_command_lines_do(thousand, place):
    many(1000 * thousand, 1000 * (thousand + 1), place)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sweep", "arms.control.name=a,b"], "--sweep: arms.control.name tells arms apart"),
        (["--sweep", "student.learning_rate=0.1,1e-1"], "has a value twice"),
        (["theory", "--out", "\udcff"], "The command line is not UTF-8"),
        (["theory", "--repeats", "9" * 20], "--repeats is 99999999999999999999; at most 1,000,000"),
        (["--student.steps", "2147483648"], "it must be at most 2147483647"),
        (["--arms.shared.seed", "9" * 20], "it must be at most 2147483647"),
        (["x" * 300 + ".py"], "There is no config 'xxx"),
        (["filters", "--arms.format.source", "nobody"], "arms.format.source is 'nobody'"),
        (["audit_calibration", "--arms.0.source", "nobody"], "source is 'nobody'"),
        (["audit", "data", "--base", "a\nb"], "a b/config.json cannot be read"),
    ],
)
def test_what_random_lines_found_is_refused(words, said, place):
    assert check(words, place) == 2
    assert said in ended(words)[1]
