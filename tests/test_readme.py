"""What the README tells a reader to type works as it stands."""

import itertools
import re
from pathlib import Path

import jax
import pytest

from minisub import arguments, carriers, cli, comparisons, config, experiment, lanes, starts

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README.read_text(), re.DOTALL)
FILES_OF_ONES_OWN = [text for kind, text in BLOCKS if kind == "python" and "repeats = " in text]


def test_the_examples_of_configs_of_ones_own_are_short_and_pass_every_check(tmp_path):
    texts = [text for text in FILES_OF_ONES_OWN if "def " not in text]
    assert len(texts) == 3
    for text, lines in zip(texts, (12, 18, 15), strict=True):
        path = tmp_path / "mine.py"
        path.write_text(text)
        assert len(text.splitlines()) <= lines
        experiment.check(arguments.load(str(path)).config)
        assert arguments.claim_of(path)


@pytest.mark.parametrize(
    ("module", "table", "named"),
    [(carriers, "CARRIERS", "stripes"), (starts, "STARTS", "signs"),
     (comparisons, "MEASURES", "moved")],
    ids=lambda what: what if isinstance(what, str) else "",
)  # fmt: skip
def test_the_examples_of_something_new_are_files_that_run(
    module, table, named, tmp_path, monkeypatch
):
    """As far as a repeat can be traced, which leaves the arithmetic out."""
    [text] = [text for text in FILES_OF_ONES_OWN if f'{table}["{named}"]' in text]
    assert len([line for line in text.splitlines() if line.strip()]) < 10
    monkeypatch.setattr(module, table, dict(getattr(module, table)))  # a copy, for it alone
    path = tmp_path / "mine.py"
    path.write_text(text)
    cfg = arguments.load(str(path)).config
    experiment.check(cfg)
    with jax.numpy_rank_promotion("allow"):  # as a reader has it
        record = jax.eval_shape(experiment.run, cfg, jax.random.key(0))
    assert record.keys() >= {arm.name for arm in cfg.arms}
    assert ("moved" in record[cfg.arms[0].name]) == (named == "moved")


def test_the_python_example_compiles_and_names_what_exists():
    [text] = [text for kind, text in BLOCKS if "jax.jit(run)" in text]
    names = {}
    exec(text.split("record =")[0], names)  # the rest trains a full-sized repeat
    experiment.check(names["config"])
    compile(text, "README", "exec")


def test_the_example_of_theory_runs_and_shows_what_it_says(capsys):
    [text] = [text for kind, text in BLOCKS if "theory.coverage" in text]
    with jax.numpy_rank_promotion("allow"):  # as a reader has it
        exec(text, {})
    said = capsys.readouterr().out.splitlines()
    products = [[float(x) for x in said[i].strip("[]").split()] for i in (2, 5)]
    shared, foreign = ([a / b for a, b in itertools.pairwise(p)] for p in products)
    assert shared == pytest.approx([10, 10], rel=0.02)
    assert foreign == pytest.approx([1, 1], rel=0.02)
    after, without = map(float, said[6].split())
    assert after < without


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
    monkeypatch.setattr(lanes, "join", lambda *there: lanes.Place())
    assert cli.main(words) == 0
    [(_, title, *_, settings, _)] = seen
    assert title.startswith(words[0]) and settings


def test_every_module_is_in_the_file_tree():
    [tree] = [text for _, text in BLOCKS if text.startswith("train.py ")]
    modules = [path.name for path in Path(config.__file__).parent.glob("[!_]*.py")]
    assert all(f"  {name} " in tree for name in modules)
