"""Experiments that nobody thought of end as those do that somebody did: each is refused in a
sentence, with a remedy and the line of its file, or is planned, or runs to its summary."""

import collections
import json
import re

import jax
import pytest
from ended import ended, is_sentence
from programs import HEAD, written

ABOVE = HEAD.count("\n")
RETURNED = re.compile(r"mine\.py: `experiment` returned .*; return a dict of names")


@pytest.fixture(autouse=True)
def fast(tmp_path, monkeypatch):
    """A folder to be in; compiling takes most of the time."""
    monkeypatch.chdir(tmp_path)
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def has_its_line(said, experiment):
    """Whether a refusal names a line of the experiment, or a word of the command line is at fault,
    or what is returned is."""
    found = re.match(r"mine\.py:(\d+)(, in \w+)?: ", said)
    if found:
        return ABOVE < int(found[1]) <= experiment.text.count("\n")
    return bool(RETURNED.match(said) if said.startswith("mine.py") else experiment.words)


def outcome(seed, wrong, place, performed):
    """How a random experiment ends: "refused", "planned", "performed" or "stopped"."""
    experiment, out = written(seed, wrong), place / f"run {seed}"
    (place / "mine.py").write_text(experiment.text)
    words = "mine.py", "--out", out, *experiment.words
    status, printed, said = ended(*words, *([] if performed else ["--plan"]))
    case = f"experiment {seed}, {wrong}: {' '.join(experiment.words)}\n{printed}{said}"
    assert status in (0, 2) or (performed and status == 1), case
    if status:
        assert is_sentence(said) and has_its_line(said, experiment), case
        assert status == 1 or not out.exists(), case
        return "stopped" if status == 1 else "refused"
    assert not said, case
    if not performed:
        assert printed.endswith("are left to make, measures included.\n"), case
        assert not out.exists(), case
        return "planned"
    rows = json.loads((out / "summary.json").read_text())
    assert rows and (out / "report.md").exists() and (out / "records.jsonl").exists(), case
    return "performed"


def many(seeds, place, every):
    """How many random experiments end in which way; one of `every` is performed."""
    found = collections.Counter()
    for seed in seeds:
        performed = seed % every == 0
        wrong = 0.0 if performed else (0.0, 0.02, 0.05)[seed % 3]
        found[outcome(seed, wrong, place, performed)] += 1
        if performed:
            jax.clear_caches()  # each program holds memory maps, of which a process has 65,530
    print(dict(found))
    return found


def test_forty_random_experiments_are_refused_with_their_line_or_planned_or_performed(tmp_path):
    found = many(range(40), tmp_path, 20)
    assert found["refused"] > 5 and found["planned"] > 5 and found["performed"]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2040, 104))
def test_so_are_a_thousand(first, tmp_path):
    found = many(range(first, first + 104), tmp_path, 13)
    assert found["refused"] > 20 and found["planned"] > 20 and found["performed"] > 4
