"""The command line: a failure is a sentence with status 2, and a run leaves what can be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minisub
from minisub import arguments, cli
from minisub.lab import run

ROOT = Path(__file__).resolve().parent.parent
MINE = """'''Does anything pass in no time?'''
from minisub.images.config import Carrier, Config, Data, Duration, ImageModel
from minisub.images.lab import Lab
from minisub import together

few = {"unit": "updates", "batch": 32}
config = Config(
    data=Data(name="clusters"), model=ImageModel(layers="mlp-8"),
    teacher=Duration(length=4.0, **few), carrier=Carrier(examples=64),
    student=Duration(length=3.0, **few),
)
repeats = 2


def experiment(cfg):
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)
    fresh = lab.student(second, teacher)
    students = {"shared": lab.student(first, teacher).against(fresh), "fresh": fresh}
    return {"untrained": first, "teacher": teacher, **together(students)}
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder with a user's experiment, and a run of it in `run`."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.py").write_text(MINE)
    assert cli.main([str(folder / "mine.py"), "--out", str(folder / "run")]) == 0
    return folder


def said(capsys, *words):
    """The status of a command line, and what it said."""
    status = cli.main(list(map(str, words)))
    both = capsys.readouterr()
    return status, both.out, both.err


REFUSED = {
    "nubmers": "There is no config 'nubmers' (did you mean numbers?)",
    "numbers --sead 3": "did you mean --seed?",
    "numbers --student.steps -3": "student.steps is -3; it must be at least 0.",
    "numbers --student.learning-rate nan": "student.learning_rate is nan",
    "numbers --trait unicorn": "numbers.py:34: The trait is 'unicorn'; choose from",
    "numbers --repeats 0": "--repeats is 0; give 1",
    "numbers --only shred": "--only is 'shred' (did you mean shared?)",
    "numbers --sweep student.stps=1,2": "there is no field 'student.stps'",
    "numbers --sweep student.steps=5,05": "has a value twice",
    "numbers --model.n-heads 7": "which 7 heads do not divide",
    "numbers --taught-phrasings 8": "leave at least one held out",
    "numbers --world.list-length 3": "A riddle takes 5 positions",
    "numbers --sampling.carrier code": "set world.rich",
    "nowhere.py": "There is no config 'nowhere.py'",
    "export nowhere teacher": "holds no run",
    "report nowhere": "no finished run",
    "bench numbers --repeats 4": "bench takes",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_is_a_sentence_with_status_2(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = said(capsys, *line.split())
    assert status == 2 and REFUSED[line] in err and "Traceback" not in err
    assert err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_run_leaves_records_a_summary_a_page_a_figure_and_its_models(mine):
    names = {p.name for p in (mine / "run").iterdir()}
    assert names >= {"records.jsonl", "summary.json", "report.md", "figure.png", "figure.pdf"}
    loaded = minisub.load(mine / "run")
    assert loaded.names == ["untrained", "teacher", "shared", "fresh"]
    assert loaded.experiment["file"] == MINE
    mean = loaded.records.groupby("arm")["value"].mean()
    rows = json.loads((mine / "run" / "summary.json").read_text())
    [row] = [r for r in rows if r["arm"] == "teacher" and r["measure"] == "accuracy"]
    assert row["mean"] == pytest.approx(mean["teacher"]) and row["repeats"] == 2
    [difference] = [r for r in rows if r["arm"] == "shared - fresh"]
    assert difference["differs_in"] == ["start"]
    assert difference["mean"] == pytest.approx(mean["shared"] - mean["fresh"])
    kernels = [loaded["teacher"].params(repeat=r)["class_head"]["kernel"] for r in (0, 1)]
    assert kernels[0].shape == (8, 10) and not np.array_equal(*kernels)
    assert loaded["shared"].configuration()["data"].name == "clusters"
    with pytest.raises(minisub.Refused, match=r"'teacher' of .* is a model"):
        loaded["teacher"].documents()


def test_more_repeats_are_added_to_a_run(mine, capsys):
    words = mine / "mine.py", "--out", mine / "run"
    before = (mine / "run" / "records.jsonl").read_text().splitlines()
    status, out, _ = said(capsys, *words, "--repeats", 3)
    after = (mine / "run" / "records.jsonl").read_text().splitlines()
    assert status == 0 and after[: len(before)] == before and len(after) == 1.5 * len(before)
    assert "repeat 2" in out and "repeat 1" not in out


def test_more_names_are_added_to_a_run(mine, capsys, tmp_path):
    words = mine / "mine.py", "--repeats", 1, "--out", tmp_path / "run"
    assert said(capsys, *words, "--only", "teacher")[0] == 0
    there = {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "products").glob("teach-*/*")}
    assert there and minisub.load(tmp_path / "run").names == ["teacher"]
    assert said(capsys, *words)[0] == 0
    assert there == {p: p.stat().st_mtime_ns for p in there}
    whole, added = (minisub.load(path / "run").records for path in (mine, tmp_path))
    assert added.equals(whole[whole["repeat"] == 0])


def test_a_sweep_shares_a_program_and_fills_a_table(mine, capsys):
    out, programs = mine / "sweep", run.advance()._cache_size()
    words = mine / "mine.py", "--repeats", 1, "--out", out, "--sweep", "student.length=2,3"
    status, shown, _ = said(capsys, *words)
    assert run.advance()._cache_size() == programs > 0  # those of the run before
    assert status == 0 and "2.0" in shown and "3.0" in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if line.startswith("|"))
    assert len(list((out / "products").glob("teach-*"))) == 1


def test_names_and_differences_are_those_of_every_setting(capsys, tmp_path):
    text = MINE.replace('"shared": lab', 'f"shared {cfg.model.aux}": lab')
    (tmp_path / "mine.py").write_text(text)
    words = tmp_path / "mine.py", "--repeats", 1, "--sweep", "model.aux=3,5"
    assert said(capsys, *words, "--out", tmp_path / "run")[0] == 0
    rows = json.loads((tmp_path / "run" / "summary.json").read_text())
    compared = {(r["arm"], r["setting"]["model.aux"]) for r in rows if " - " in r["arm"]}
    assert compared == {("shared 3 - fresh", 3), ("shared 5 - fresh", 5)}
    named = minisub.load(tmp_path / "run")["shared 5"]
    assert named.configuration(1)["model"].aux == 5
    with pytest.raises(minisub.Refused, match="setting 0"):
        named.configuration()


def test_a_plan_names_the_line_that_asks_and_makes_nothing(mine, capsys, tmp_path):
    status, out, _ = said(capsys, mine / "mine.py", "--plan", "--out", tmp_path / "new")
    assert status == 0 and "mine.py:18" in out and not (tmp_path / "new").exists()
    status, out, _ = said(capsys, mine / "mine.py", "--plan", "--out", mine / "run")
    assert status == 0 and "mine.py:18" not in out
    said(capsys, mine / "mine.py", "--plan", "--out", tmp_path)
    assert not any(tmp_path.iterdir())


def test_repeats_are_added_to_a_run_whose_group_is_larger_than_it_was(mine, capsys, tmp_path):
    words = mine / "mine.py", "--group", 3, "--out", tmp_path / "run"
    assert said(capsys, *words, "--repeats", 2)[0] == said(capsys, *words, "--repeats", 3)[0] == 0


def test_a_bench_times_each_program_once_and_leaves_nothing(mine, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = said(capsys, "bench", mine / "mine.py")
    rows = [[x.strip() for x in line.split("|")[1:3]] for line in out.splitlines() if "|" in line]
    assert status == 0 and not list(tmp_path.iterdir())
    assert rows.count(["teach", "4 updates"]) == rows.count(["side_by_side", "3 updates"]) == 1


def test_public_names_are_imported_when_they_are_asked_for():
    code = "import sys, minisub; assert 'jax' not in sys.modules; from minisub import *; run, load"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


def test_another_seed_is_refused_in_the_folder_of_a_run(mine, capsys):
    words = mine / "mine.py", "--out", mine / "run"
    status, _, err = said(capsys, *words, "--seed", 5)
    assert status == 2 and "seed was 0 and is 5" in err and "choose another --out" in err


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_models_can_be_exported(kind, mine, capsys, tmp_path):
    out = tmp_path / f"teacher.{kind}"
    status, said_, _ = said(
        capsys, "export", mine / "run", "teacher", "--format", kind, "--out", out
    )
    assert status == 0 and "parameters" in said_
    if kind == "npz":
        arrays = dict(np.load(out))
    else:
        from safetensors.numpy import load_file

        arrays = load_file(out)
    expected = minisub.load(mine / "run")["teacher"].params()
    np.testing.assert_array_equal(arrays["class_head/kernel"], expected["class_head"]["kernel"])


def test_a_page_joins_runs(mine, capsys, tmp_path):
    status, out, _ = said(capsys, "report", mine / "run", "--out", tmp_path / "page.md")
    assert status == 0 and "joins the runs that are finished" in out
    assert "shared - fresh" in (tmp_path / "page.md").read_text()


def test_help_lists_every_config_with_its_claim_in_80_columns(capsys):
    status, out, _ = said(capsys, "--help")
    assert status == 0
    listing = out.split("Configs:")[1]
    for name in arguments.config_files():
        assert f"\n  {name} " in listing
    assert all(len(line) <= 80 for line in listing.splitlines())


def test_every_config_states_its_claim_and_how_to_run_it():
    for name, path in arguments.config_files().items():
        assert arguments.claim_of(path).endswith((".", "?")), name
        assert f"python train.py {name}" in path.read_text() or name == arguments.DEFAULT


def test_a_process_that_is_asked_to_end_saves_and_says_how_to_go_on(mine, tmp_path):
    script = (
        "import os, signal, sys; from minisub import cli, progress\n"
        "line = progress.said_of\n"
        "def ask(rows):\n"
        "    os.kill(os.getpid(), signal.SIGTERM); return line(rows)\n"
        "progress.said_of = ask\n"
        "raise SystemExit(cli.main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", script, str(mine / "mine.py"), "--out", str(tmp_path / "run")]
    env = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "nonsense"}
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 130 and "goes on" in done.stderr, done.stderr
    assert cli.main([str(mine / "mine.py"), "--out", str(tmp_path / "run")]) == 0
    first = (mine / "run" / "records.jsonl").read_text().splitlines()
    there = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    assert there == first[: len(there)] and len(there) == 8
