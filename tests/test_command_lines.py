"""Whatever is typed ends with status 0, or with 2 and one sentence; never with a traceback."""

import collections
import dataclasses
import functools
import random
import shutil

import jax
import numpy as np
import pytest
from ended import ended, is_sentence
from programs import HEAD
from test_cli import MINE

from minisub import arguments, auditing, cli, loading, progress
from minisub.images import pictures
from minisub.lab import perform, plan

TOKENS = """config = Mine(**plain)


def experiment(cfg):
    lab = token_lab.Lab(cfg)
    base = lab.base("one")
    return {"base": base, "student": lab.student(base, lab.emit(base))}
"""
VALUES = [
    "", " ", "0", "1", "-1", "-0", "3", "2.5", "1e-3", "1e400", "-1e9", "nan", "inf", "-inf",
    "9" * 25, "2147483648", "4294967296", "0x10", "1_0", "true", "False", "None", "[]", "{}", "x",
    "é", "日本", "\u202e", "🦉", "\n", "a\nb", "\t", "'", '"', "%s", "{0}", "a,b", ",", "=", "==",
    "--", "-", "---", "\udcff", "x" * 300, "x" * 300 + ".py", ".", "..", "mine.py", "..py", "run",
    "owl", "wolf", "fresh", "shared", "teacher", "base", "adamw", "embed", "steps=3", "rank=1e9",
    "block_0", "~block_0/qkv", "~", "a b", "mlp", "mlp-", "mlp-0", "cnn-1-2", "transformer-4-1-2",
    "clusters", "digits", "kmnist", "code", "none", "second half", "updates", "epochs", "run/x/y",
    "mine.py/x", "~nobody/x", "$HOME", "*", "?", "\\", "\x1b[31m", "\uff11",
]  # fmt: skip
COMMON = ["--repeats", "--seed", "--out", "--only", "--group", "--kind", "--help", "-h", "--sweep",
          "--keep", "--fresh", "--plan", "--no-plan", "--no-fresh"]  # fmt: skip
KNOWN = {"audit": auditing.Audit, "export": loading.Export, "report": cli.Report}


@functools.cache
def options_of(name):
    """Option -> present value of the fields of a config, or of another command."""
    if name in KNOWN:
        return {f"--{x.name}": x.default for x in dataclasses.fields(KNOWN[name])}
    found = arguments.fields_of(arguments.load(name).config)
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
        return chance.choice(["class_head", "bias", "embed", ""])
    return str(now + chance.randrange(3) if type(now) in (int, float) else now)


def beginning(chance):
    """The first words of a line, and the options that there are."""
    names = ["mine.py"] * 12 + ["tokens.py"] * 3 + ["theory", "digits", "mnist"]
    name = chance.choice([*names, chance.choice([*arguments.config_files()])])
    some = [chance.choice(VALUES) for _ in range(chance.randrange(3))]
    other = chance.choice([
        ["audit", *some[:1], "--base", chance.choice([*VALUES, "run", "run"])],
        ["export", chance.choice([*VALUES, "run", "run"]), chance.choice([*VALUES, "teacher"])],
        ["report", *chance.choice([some, ["run", *some]])],
    ])  # fmt: skip
    known = options_of(name)
    return chance.choice(
        [([name], known)] * 16
        + [(["bench", name], known), (other, options_of(other[0])), (other, options_of(other[0]))]
        + [(["doctor", *some[:1]], known), ([], options_of("numbers"))]
        + [([chance.choice([mutated(chance, name), *VALUES])], known)]
    )


def line(chance):
    """The words of a random command line."""
    words, options = beginning(chance)
    words = list(words)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 2, 3, 5]) * (words[:1] != ["doctor"])):
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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with two experiments, and a run of one of them."""
    there = tmp_path_factory.mktemp("there")
    (there / "mine.py").write_text(MINE)
    (there / "tokens.py").write_text(HEAD + TOKENS)
    assert ended(there / "mine.py", "--out", there / "run")[0] == 0
    return there


@pytest.fixture
def place(run, tmp_path, monkeypatch):
    """Such a folder to be in, where nothing is made, timed or downloaded, only planned."""

    def stopped(performance):
        raise AssertionError("a plan is performed")

    def blank(data):
        pixels = np.zeros((100, pictures.shape(data)[0] ** 2), "uint8")
        return pictures._split(pixels, np.zeros(100, "int32"), 80)

    monkeypatch.setattr(perform.Performance, "make_all", stopped)
    monkeypatch.setattr(progress.Bench, "make", lambda *_: None)
    monkeypatch.setattr(progress, "matmul_rate", lambda: 1e9)
    monkeypatch.setattr(pictures, "_idx", blank)
    deep = tmp_path / "top" / "a" / "b"  # so that "--out .." is within it
    shutil.copytree(run, deep)
    monkeypatch.chdir(deep)
    return tmp_path / "top"


def contents(folder):
    """When each file below a folder was last changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def check(words, place, before):
    """Assert that a command line ends well, that it changes no file that is there, and that a plan
    or a refusal leaves no more than the claim of a folder; return its status."""
    made = words[:1] in (["export"], ["report"], ["audit"])
    planned = not made and words[:1] not in (["doctor"], ["bench"])
    status, printed, said = ended(*words, *(["--plan"] if planned else []))
    case = f"{words}\n{printed[-500:]}{said}"
    assert status in (0, 2), case
    assert is_sentence(said) if status else printed and not said, case
    after = contents(place)
    left = after.keys() - before.keys()
    assert (made and not status) or {p.name for p in left} <= {".lock", "made_by.json"}, (
        case,
        left,
    )
    assert before.items() <= after.items(), case
    for path in left:
        path.unlink()
    return status


def untraced(plan_, product, repeats):
    """In place of the shapes and the cost of a call, which take most of the time."""
    return {"x": jax.ShapeDtypeStruct((1,), float)}, plan.Cost()


def many(first, last, place):
    """Check these random command lines, every tenth with all of its plan; many are refused, and
    many accepted."""
    before, found, trace = contents(place), collections.Counter(), plan.Plan.trace
    for seed in range(first, last):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan.Plan, "trace", trace if seed % 10 == 0 else untraced)
            found[check(line(random.Random(seed)), place, before)] += 1
        if seed % 1000 == 999:
            jax.clear_caches()
    print(dict(found))
    assert found[2] > (last - first) / 3 and found[0] > (last - first) / 10


def test_random_command_lines_end_in_a_sentence_and_leave_nothing(place):
    many(0, 200, place)


@pytest.mark.slow
@pytest.mark.parametrize("thousand", range(1, 11))
def test_so_do_ten_thousand(thousand, place):
    many(1000 * thousand, 1000 * (thousand + 1), place)
