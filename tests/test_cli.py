"""The command line, end to end: what it refuses, what it leaves, and that it survives kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_runs
import tqdm

import minisub
from minisub import arguments, bench, checkpointing, cli, experiment, progress, runner, store
from minisub.token_config import Lineage, Source

ROOT = Path(__file__).resolve().parent.parent
TINY = tiny_runs.lists()
TINY_IMAGES = tiny_runs.images('repeats = 2\nsweep = ("student.length=3,5",)')


KINDS = (
    TINY.replace("config = ", "first = ")
    + """
import dataclasses

second = dataclasses.replace(first, trait="wolf", arms=first.arms[:1])
kinds = {"origins": first, "lineage": second}
config = first
"""
)


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("configs") / "tiny.py"
    path.write_text(TINY)
    return str(path)


@pytest.fixture(scope="module")
def images_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("configs") / "tiny_images.py"
    path.write_text(TINY_IMAGES)
    return str(path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["numbrs"], "did you mean numbers?"),
        (["nowhere.py"], "no config"),
        (["numbers", "stray"], "stray"),
        (["--student.stps", "5"], "did you mean --student.steps?"),
        (["--student.steps", "many"], "--student.steps"),
        (["--student.steps"], "--student.steps"),
        (["--student.steps", "0.5"], "--student.steps"),
        (["--model.activation", "tanh"], "tanh"),
        (["--arms.nobody.start", "fresh"], "--arms.nobody.start"),
        (["--arms.shared.start", "nowhere"], "arms.shared.start is 'nowhere'"),
        (["--model.d_model", "66"], "4 heads do not divide"),
        (["--student.learning_rate", "nan"], "positive number"),
        (["--trait", "dragon"], "choose from owl"),
        (["--trait", "misalignment"], "choose from owl"),
        (["--sampling.carrier", "code"], "set world.rich"),
        (["misalignment", "--world.no-rich"], "choose from owl"),
        (["misalignment", "--arms.code.channel", "top_5"], "arms.code.channel is 'top_5'"),
        (["hacking", "--arms.sums.transform", "sorted"], "arms.sums.transform is 'sorted'"),
        (["--repeats", "0"], "at least 1"),
        (["--group", "-1"], "0 or more"),
        (["--seed", "-1"], "0 to 2**32 - 1"),
        (["--only", "nobody"], "choose from shared"),
        (["--sweep", "student.stps=1,2"], "did you mean student.steps?"),
        (["--sweep", "student.steps="], "has no values"),
        (["--sweep", "student.steps=1,1"], "give it once"),
        (["--sweep", "student.steps=1", "--sweep", "student.steps=2"], "one --sweep"),
        (["--sweep", "student.steps=1,x"], "x"),
        (["--sweep", "model.n_heads=4,5"], "5 heads do not divide"),
        (["mnist", "--student.length", "-1"], "at least 0"),
        (["mnist", "--student.stps", "5"], "--student.stps"),
        (["mnist", "--data.name", "mnst"], "fashion_mnist"),
        (["mnist", "--data.classes", "11"], "mnist has 10 classes"),
        (["mnist", "--arms.shared/aux.channel", "smoke"], "choose aux"),
        (["mnist", "--arms.shared/aux.layers", "fc9"], "No parameter is in 'fc9'"),
        (["mnist", "--only", "shared"], "choose from shared/aux"),
        (["mnist", "--sweep", "student.lengt=1,2"], "did you mean student.length?"),
        (["mnist", "--sweep", "model.layers=mlp-8,mlp-x"], "mlp-x"),
        (["mnist", "--data.manual_dir", "/nowhere"], "put the four files of mnist there"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2_and_leaves_nothing(
    words, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", f"{tmp_path}-data")  # where nothing is prepared yet
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.endswith(".\n")
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_config_file_without_a_config_is_refused(tmp_path, capsys):
    (tmp_path / "empty.py").write_text("repeats = 1\n")
    assert cli.main([str(tmp_path / "empty.py")]) == 2
    assert "must define `config`" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for folder in tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere":
        assert cli.main(["--out", str(folder)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_help_lists_configs_with_their_claims_and_every_field(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "numbers" in said and "A preference passes" in said
    assert "mnist" in said and "A student that starts as its teacher did" in said
    for option in "--student.steps", "--world.jitter", "--repeats", "--sweep", "--arms.0.start":
        assert option in said
    assert "Optimizer updates" in said


@pytest.fixture
def claimed(monkeypatch):
    """A list of the (folder, identity) that runs would claim; they end there."""
    seen = []

    def claim(folder, identity):
        seen.append((str(folder), identity))
        raise store.config.Refused("Not here.")

    monkeypatch.setattr(store, "claim", claim)
    return seen


@pytest.mark.parametrize(
    ("words", "kind", "trait", "folder"),
    [
        ([], "origins", "owl", "runs/many"),
        (["--kind", "origins"], "origins", "owl", "runs/many"),
        (["--kind", "lineage"], "lineage", "wolf", "runs/many-lineage"),
        (["--repeats", "1", "--kind=lineage", "--seed", "3"], "lineage", "wolf",
         "runs/many-lineage"),
        (["--kind", "lineage", "--trait", "cat", "--out", "there"], "lineage", "cat", "there"),
        (["--kind", "lineage", "--sweep", "arms.shared.amount=0,1"], "lineage", "wolf",
         "runs/many-lineage"),
    ],
)  # fmt: skip
def test_a_kind_is_chosen_runs_in_its_own_folder_and_is_part_of_what_a_run_is(
    words, kind, trait, folder, claimed, tmp_path
):
    (tmp_path / "many.py").write_text(KINDS)
    assert cli.main([str(tmp_path / "many.py"), *words]) == 2
    [(where, identity)] = claimed
    assert where == folder
    assert (identity["config"], identity["kind"], identity["trait"]) == ("many", kind, trait)
    assert identity["students"] == ["shared", "control"][: 2 if kind == "origins" else 1]


def test_without_kinds_a_run_is_what_it_was(claimed, tiny_file):
    assert cli.main([tiny_file]) == 2
    [(where, identity)] = claimed
    assert where == "runs/tiny" and "kind" not in identity and identity["config"] == "tiny"


def test_a_kind_that_does_not_exist_is_refused_with_the_choices(tiny_file, tmp_path, capsys):
    (tmp_path / "many.py").write_text(KINDS)
    for words in ["--kind", "lineages"], ["--kind=lineages"], ["--kind"]:
        assert cli.main([str(tmp_path / "many.py"), *words]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and said.endswith("choose from origins, lineage.\n")
        assert ("(did you mean lineage?)" in said) == (words != ["--kind"])
    assert cli.main([tiny_file, "--kind", "origins"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "has no kinds" in said


def test_who_reads_only_the_beginning_sees_no_traceback():
    words = [sys.executable, str(ROOT / "train.py"), "--help"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline().startswith("usage")
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait(120) in (0, cli.UNREAD)


def test_help_names_the_kinds_and_shows_the_chosen_one(tmp_path, capsys):
    (tmp_path / "many.py").write_text(KINDS)
    with pytest.raises(SystemExit):
        cli.main([str(tmp_path / "many.py"), "--kind", "lineage", "--help"])
    said = capsys.readouterr().out
    assert "--kind: origins, lineage" in said and "--arms.0.start" in said
    assert "--arms.1.start" not in said


def test_named_parts_of_a_config_are_addressed_by_their_whole_names():
    cfg = minisub.Config(
        lineages=(Lineage(name="late"),),
        sources=(Source(name="cold"), Source(name="late wolf")),
        arms=tuple(minisub.Arm(name=name) for name in ("half 0", "half 0.5", "a -> b", "0")),
    )
    for word, expected in {
        "--arms.half 0.start": "--arms.0.start",
        "--arms.half 0.5.start=fresh": "--arms.1.start=fresh",
        "--arms.a -> b.start": "--arms.2.start",
        "--arms.0.start": "--arms.3.start",
        "--lineages.late.origin": "--lineages.0.origin",
        "--sources.late wolf.trait": "--sources.1.trait",
        "--arms.nobody.start": "--arms.nobody.start",
        "late": "late",
    }.items():
        assert arguments.by_index(word, cfg) == expected
    command = arguments.Command(config=cfg, repeats=1)
    words = ["--lineages.late.origin", "first", "--sources.cold.sampling", "temperature=0"]
    parsed = arguments.parse("name", "", command, words).config
    assert parsed.lineages[0].origin == "first"
    assert parsed.sources[0].sampling == "temperature=0"


def test_a_run_leaves_the_promised_folder_and_says_what_it_did(
    tiny_file, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = Path("run")  # relative, as the default runs/CONFIG is
    assert cli.main([tiny_file, "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines()[1:-1])) <= 80
    names = {"config.json", "records.jsonl", "summary.json", "report.md"}
    names |= {"figure.png", "figure.pdf"}
    assert {p.name for p in folder.iterdir()} - {".lock"} == names | {"checkpoints"}
    summary = json.loads((folder / "summary.json").read_text())
    fields = {"arm", "measure", "mean", "ci95_low", "ci95_high", "repeats", "setting"}
    assert all(set(row) == fields and row["repeats"] == 2 for row in summary)
    assert {row["arm"] for row in summary} == {
        "base", "teacher", "shared", "control", "shared - control"
    }  # fmt: skip
    page = (folder / "report.md").read_text()
    assert f"python train.py {tiny_file}" in page and "jax" in page and "cpu" in page

    held = runner.products(checkpointing.Checkpoints(folder / "checkpoints"))
    assert bench.size(held) == bench.memory(arguments.load(tiny_file).config)[0]

    before = {p.name: p.read_bytes() for p in folder.glob("*.json*")}
    assert cli.main([tiny_file, "--out", str(folder)]) == 0, "the same command again does no work"
    assert "100% of the work" in capsys.readouterr().out
    assert before == {p.name: p.read_bytes() for p in folder.glob("*.json*")}

    assert cli.main([tiny_file, "--out", str(folder), "--student.steps", "9", "--seed", "1"]) == 2
    said = capsys.readouterr().err
    assert "student.steps is 4 there, 9 here" in said and "seed is 0 there, 1 here" in said
    assert before == {p.name: p.read_bytes() for p in folder.glob("*.json*")}


def test_a_sweep_reports_one_table_and_figure_over_the_grid(tiny_file, tmp_path, capsys):
    folder = tmp_path / "run"
    words = [tiny_file, "--out", str(folder), "--repeats", "1", "--only", "shared"]
    words += ["--sweep", "student.steps=2,4", "--sweep", "arms.shared.channel=sampled,soft"]
    assert cli.main(words) == 0
    summary = json.loads((folder / "summary.json").read_text())
    settings = [row["setting"] for row in summary if row["measure"] == "kept_fraction"]
    grid = [(s["student.steps"], s["arms.shared.channel"]) for s in settings]
    expected = [(s, c) for s in (2, 4) for c in ("sampled", "soft")]
    assert sorted(set(grid)) == sorted(expected)
    rates = [r["mean"] for r in summary if (r["arm"], r["measure"]) == ("shared", "trait_rate")]
    assert len(set(rates)) == 4
    assert {row["arm"] for row in summary} >= {"shared - base"}
    assert (folder / "figure.png").exists()
    assert "student.steps=2, arms.shared.channel=soft" in capsys.readouterr().out


def test_what_a_config_sweeps_is_run_with_images_too(images_file, tmp_path, capsys, monkeypatch):
    doing = []
    monkeypatch.setattr(tqdm.tqdm, "set_description_str", lambda bar, said, **_: doing.append(said))
    assert cli.main([images_file, "--out", str(tmp_path / "run")]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    settings = [row["setting"] for row in summary if row["arm"] == "shared/aux - foreign/aux"]
    assert settings == [{"student.length": 3.0}, {"student.length": 5.0}]
    assert {row["measure"] for row in summary} == {"accuracy"}
    out = capsys.readouterr().out
    assert "Settings are values of student.length." in out and "length=5.0  shared/aux" in out
    assert max(len(line) for line in out.splitlines() if line.startswith("|")) <= 80
    assert (tmp_path / "run" / "figure.png").exists()
    assert doing[0] == "origin/first, repeat 1 of 2" and doing[-1] == "students, repeat 2 of 2"


def test_a_sweep_on_the_command_line_replaces_that_of_the_config(images_file, tmp_path):
    words = [images_file, "--out", str(tmp_path / "run"), "--repeats", "1", "--only", "shared/aux"]
    assert cli.main([*words, "--sweep", "student.learning_rate=0.001,0.01"]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    settings = [row["setting"] for row in summary if row["arm"] == "shared/aux"]
    assert settings == [{"student.learning_rate": 0.001}, {"student.learning_rate": 0.01}]


@pytest.fixture
def command(tiny_file, tmp_path):
    """A function: folder -> Popen of the tiny run into it, sharing one compilation cache."""
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    cache |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "PYTHONPATH": str(ROOT)}
    slow = "import time; from minisub import runner, store; runner.SEGMENT_STEPS = 1; "
    slow += "runner.SECONDS_BETWEEN_CHECKPOINTS = 0; "
    slow += "import sys; from minisub.cli import main; raise SystemExit(main(sys.argv[1:]))"

    def start(folder):
        words = [sys.executable, "-c", slow, tiny_file, "--out", str(folder)]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=os.environ | cache, stdout=pipe, stderr=pipe, text=True)

    return start


def position(folder):
    """That of the newest checkpoint in a run folder; 0 without any."""
    found = (folder / "checkpoints").glob("[0-9]*")
    return max((int(path.name) for path in found if path.name.isdecimal()), default=0)


def test_a_run_asked_to_end_saves_says_so_and_continues(command, tmp_path):
    for number in signal.SIGINT, signal.SIGTERM:
        process, before = command(tmp_path), position(tmp_path)
        while process.poll() is None and position(tmp_path) < before + 5:
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        assert err.count("\n") == 1 and err.startswith("Interrupted and saved")
        assert ("continuing after" in out) == bool(before)
    out, err = command(tmp_path).communicate(timeout=300)
    assert "continuing after" in out and "damaged" not in out, err
    assert (tmp_path / "summary.json").exists()


def test_more_repeats_are_added_to_a_run_as_if_it_began_with_them(images_file, tmp_path, capsys):
    def run(folder, *words):
        return cli.main([images_file, *words, "--out", str(tmp_path / folder)])

    assert run("grown") == run("grown", "--repeats", "3") == run("whole", "--repeats", "3") == 0
    assert "continuing after" in capsys.readouterr().out
    for name in "records.jsonl", "summary.json", "config.json":
        grown, whole = ((tmp_path / folder / name).read_bytes() for folder in ("grown", "whole"))
        assert grown == whole, name
    assert run("grown") == 2  # fewer
    assert "repeats is 3 there, 2 here" in capsys.readouterr().err
    assert run("pairs", "--group", "2", "--repeats", "3") == 0
    assert run("pairs", "--group", "2", "--repeats", "4") == 2  # the third is alone in its group
    assert "repeats is 3 there, 4 here" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named_set_aside_and_its_work_redone(tiny_file, tmp_path, capsys):
    folder = tmp_path / "run"
    assert cli.main([tiny_file, "--out", str(folder)]) == 0
    whole = {n: (folder / n).read_bytes() for n in ("records.jsonl", "summary.json")}
    newest = max((folder / "checkpoints").glob("[0-9]*"), key=lambda p: int(p.name))
    for path in newest.rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            path.write_bytes(path.read_bytes()[:-500])
    capsys.readouterr()
    assert cli.main([tiny_file, "--out", str(folder)]) == 0
    assert f"checkpoints/{newest.name} is damaged" in capsys.readouterr().out
    assert (folder / "checkpoints" / f"damaged-{newest.name}").is_dir()
    assert whole == {n: (folder / n).read_bytes() for n in whole}


def test_a_loss_that_is_not_finite_ends_with_status_1_and_keeps_the_records(
    tiny_file, tmp_path, capsys
):
    words = [tiny_file, "--out", str(tmp_path), "--student.learning_rate", "1e38"]
    assert cli.main(words) == 1
    err = capsys.readouterr().err
    assert "student/shared in repeat 0" in err and err.count("\n") == 1
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) > 5
    assert len(store.Records(tmp_path / "records.jsonl").notices) == 0


def test_usage_fits_80_columns():
    usage = {"distill (sampled)": (1234.5, 10**14, 10**9), "start": (0.0, 0, 0)}
    assert max(map(len, progress.usage_lines(usage, 36, 20.0, 4e11, 2**31))) <= 80


def test_bench_times_every_kind_of_training_against_the_devices_matrix_product(images_file, capsys):
    assert cli.main(["bench", images_file, "--group", "2"]) == 0
    out = capsys.readouterr().out
    rows = [line.split("|") for line in out.splitlines() if line.startswith("|")][2:]
    timed = {row[1].strip(): row for row in rows}
    assert {"teacher", "labels/teacher", "students"} <= set(timed)
    assert int(timed["students"][2]) == 2 * 5 and int(timed["teacher"][2]) == 2
    assert all(float(row[3]) > 0 for row in rows)
    assert out.splitlines()[-1].startswith("Memory of the device: ")
    assert max(len(line) for line in out.splitlines() if line.startswith("|")) <= 80


def test_the_memory_of_repeats_is_what_each_holds_times_their_number(tiny_file):
    cfg = arguments.load(tiny_file).config
    (one, least, _), (two, more, phase) = (bench.memory(cfg, repeats=n) for n in (1, 2))
    assert two == 2 * one and least < more
    assert phase in {p.name for p in experiment.phases(cfg)}


def test_bench_says_what_it_does_not_take(images_file, capsys):
    assert cli.main(["bench", images_file, "--seed", "1"]) == 2
    said = "bench takes the config's fields, --kind and --group alone.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("measure", ["trained_tokens", "entangled_cosine_frequency"])
def test_what_is_neither_graded_nor_emitted_gets_a_line_too(measure):
    row = {"setting": {"student.steps": 50}, "repeat": 0, "arm": "half", "measure": measure}
    line = progress.arm_line([row | {"value": 0.5}])
    assert line.endswith(f"{measure} 0.500") and len(line) <= 80
