"""What befalls a run from outside: kills, lost folders, jumping clocks, flipped bits."""

import ast
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import tiny_runs

import minisub
from minisub import arguments, checkpointing, cli, config, runner, store

ROOT = Path(__file__).resolve().parent.parent
LINES = tiny_runs.lists('repeats, sweep = 2, ("student.steps=4,7",)', **tiny_runs.TWO_BASES)
ARMS = 'minisub.ImageArm(name="shared/aux"), minisub.ImageArm(name="fresh/aux", start="fresh")'
IMAGES = tiny_runs.images('repeats, sweep = 2, ("student.length=4,7",)', f"arms=({ARMS}),")
KINDS = "work", "record", "checkpoint"
RARE = "claim", "work", "result"
BYTES = "records.jsonl", "summary.json", "config.json"


class Lives(NamedTuple):
    """A process that starts runs of one config, and what an undisturbed one left."""

    process: Any
    place: Path
    file: str
    events: dict
    """Kind -> how often it came."""

    def start(self, folder, kind="", after=0, fate="", delay=0.0, clock=0):
        """Start a run into `folder`, with a fate (see `dying`)."""
        said, words = str(self.place / "said"), [self.file, "--out", str(folder)]
        order = {"kind": kind, "after": after, "fate": fate, "delay": delay, "clock": clock}
        print(json.dumps(order | {"words": words, "said": said}), file=self.process.stdin)
        self.process.stdin.flush()

    def end(self):
        """(exit status, what was said) of the run that was started."""
        status = int(self.process.stdout.readline())
        return status, (self.place / "said").read_text()

    def live(self, folder, *fate, **more):
        """Start a run and return what `end` does."""
        self.start(folder, *fate, **more)
        return self.end()

    def die(self, folder, kind, chance, of=5):
        """Be killed within the first `of`-th of all events of a kind; whether it came to that."""
        after = 1 + chance.randrange(max(1, self.events[kind] // of))
        delay = chance.choice([0.0, chance.uniform(1e-4, 0.05)])
        status, said = self.live(folder, kind, after, "die", delay)
        assert "damaged" not in said and "Traceback" not in said
        assert status in (0, -signal.SIGKILL), said
        return status != 0

    def same(self, folder):
        """Assert that a run left the bytes of the undisturbed one, and remove them."""
        for name in BYTES:
            there, whole = (f / name for f in (folder, self.place / "whole"))
            assert there.read_bytes() == whole.read_bytes(), name
        shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["images", pytest.param("lists", marks=pytest.mark.slow)])
def lives(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    (place / "tiny.py").write_text({"images": IMAGES, "lists": LINES}[request.param])
    more = {"JAX_COMPILATION_CACHE_DIR": str(place / "cache"), "PYTHONPATH": str(ROOT)}
    more |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "MPLCONFIGDIR": str(place)}
    # A process that forks must have no threads.
    more |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    command, pipe = [sys.executable, str(ROOT / "tests" / "dying.py")], subprocess.PIPE
    named = {"stdin": pipe, "stdout": pipe, "text": True, "cwd": place, "env": os.environ | more}
    with subprocess.Popen(command, **named) as process:
        made = Lives(process, place, str(place / "tiny.py"), {})
        status, said = made.live(place / "whole")
        assert status == 0, said
        yield made._replace(events=json.loads(said.splitlines()[-1]))


def killed(lives, kills, seed):
    """Kill runs `kills` times, six of each or fewer, and assert that each ends as if none had been;
    return how often it happened in each kind of event."""
    chance, died, folder = random.Random(seed), [], lives.place / "cut"
    while len(died) < kills:
        plan = ["claim", *chance.sample(KINDS, 3), chance.choice(KINDS)]
        for kind in [*plan[: kills - len(died) - 1], "result"]:
            of = 1 if kind in ("claim", "result") else 5
            died += [kind] * lives.die(folder, kind, chance, of)
        status, said = lives.live(folder)
        assert status == 0 and "damaged" not in said, said
        lives.same(folder)
    return {kind: died.count(kind) for kind in ("claim", *KINDS, "result")}


def test_runs_killed_at_any_moment_end_with_the_same_bytes(lives):
    assert all(killed(lives, 5, seed=0).values())


@pytest.mark.slow
def test_runs_killed_thirty_times_end_with_the_same_bytes(lives):
    assert min(killed(lives, 30, seed=1).values()) >= 3


def test_a_second_run_is_refused_while_the_first_lives_and_goes_on_once_it_was_killed(
    lives, capsys
):
    folder, pid = lives.place / "shared", lives.place / "said.pid"
    lives.start(folder, "work", 1 + lives.events["work"] // 2, "hang")
    while not pid.exists() or not pid.read_text():
        assert lives.process.poll() is None
        time.sleep(0.01)
    before = {path: path.read_bytes() for path in folder.glob("*.json*")}
    assert cli.main([lives.file, "--out", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said == f"{folder} is in use by another run; wait for it or choose another --out.\n"
    assert before == {path: path.read_bytes() for path in folder.glob("*.json*")}
    os.kill(int(pid.read_text()), signal.SIGKILL)
    pid.unlink()
    assert lives.end()[0] == -signal.SIGKILL
    status, said = lives.live(folder)
    assert status == 0 and "continuing after" in said, said
    lives.same(folder)


def lost(lives, kind, chance):
    """Remove the folder of a run at an event of a kind."""
    folder, after = lives.place / "lost", 1 + chance.randrange((lives.events[kind] + 1) // 2)
    status, said = lives.live(folder, kind, after, "lose", chance.choice([0.0, 0.01]))
    *_, sentence, counts = said.splitlines()
    assert status == 2 and "Traceback" not in said, said
    assert str(folder) in sentence and sentence.endswith(".") and json.loads(counts)
    # A save that was under way may make its own folders again, which nobody takes for a run.
    assert not (folder / "config.json").exists() and not (folder / "summary.json").exists()
    if folder.exists():
        with pytest.raises(config.Refused, match=r"but no config\.json"):
            store.check_identity(folder, {})
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "kind", ["record", "checkpoint", *(pytest.param(k, marks=pytest.mark.slow) for k in RARE)]
)
def test_a_run_whose_folder_is_removed_ends_with_a_sentence_and_leaves_no_half_run(lives, kind):
    lost(lives, kind, random.Random(kind))


@pytest.mark.slow
def test_a_folder_can_be_removed_at_any_moment(lives):
    chance = random.Random(2)
    for _ in range(20):
        lost(lives, chance.choice(KINDS), chance)


def test_clocks_that_jump_change_no_record(lives):
    folder = lives.place / "clock"
    status, said = lives.live(folder, clock=7)
    assert status == 0 and "nan" not in said, said
    lives.same(folder)


@pytest.fixture(scope="module")
def reference(lives, tmp_path_factory):
    """(settings, folder) of a run that ended."""
    command = arguments.command_of(arguments.load(lives.file))
    return arguments.settings("tiny", command), lives.place / "whole"


def resumed(settings, folder):
    """What a run in a folder goes on from, if the folder is taken for its own."""
    records = store.Records(folder / "records.jsonl")
    checkpoints = checkpointing.Checkpoints(folder / "checkpoints")
    scale = {"seed": 0, "repeats": 2, "group": 1}
    run = runner.Run(settings, **scale, records=records, checkpoints=checkpoints)
    run.resume()
    return run, records.notices + checkpoints.notices


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_anywhere_in_a_run_folder_never_gives_other_numbers(
    reference, seed, tmp_path
):
    """Ten bits in records, ten in the rest: what is read is what was written, or there is a notice
    and what remains of it is computed again."""
    settings, whole = reference
    run, notices = resumed(settings, shutil.copytree(whole, tmp_path / "whole"))
    rows, state, chance = run.records.rows(), run.state, random.Random(seed)
    assert rows and run.unit == len(run.units) and not notices
    files = [p for p in (whole / "checkpoints").rglob("*") if p.is_file() and p.stat().st_size]
    for path in [whole / "records.jsonl"] * 10 + chance.choices(files, k=10):
        folder = Path(shutil.copytree(whole, tmp_path / "flipped"))
        content, place = bytearray(path.read_bytes()), chance.randrange(path.stat().st_size)
        content[place] ^= 1 << chance.randrange(8)
        (folder / path.relative_to(whole)).write_bytes(content)
        run, notices = resumed(settings, folder)
        assert run.records.rows() == rows[: run.records.cursor]
        assert bool(notices) or jax.tree.all(jax.tree.map(np.array_equal, run.state, state))
        assert bool(notices) or run.unit == len(run.units)
        assert bool(notices) or path.name != "records.jsonl"
        shutil.rmtree(folder)


def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    """By a process without the rights of root, which are lent to it for the imports alone."""
    code = """
import os, pathlib, sys
from minisub import checkpointing, config, store
folder = pathlib.Path(sys.argv[1])
lock = store.claim(folder / "run", {})
store.Records(folder / "run" / "records.jsonl").append([{"a": 1}])
for path in folder / "run", folder:
    path.chmod(0o555)
(folder / "run" / "records.jsonl").chmod(0o444)
if os.geteuid() == 0:
    os.seteuid(65534)
records = store.Records(folder / "run" / "records.jsonl").seek(1)
checkpoints = checkpointing.Checkpoints(folder / "run" / "checkpoints")
attempts = (
    lambda: store.claim(folder / "new", {}),
    lambda: store.claim(folder / "run", {}),
    lambda: records.append([{"a": 2}]),
    lambda: checkpoints.save(1, {}, {}),
)
for attempt in attempts:
    try:
        print("not refused", attempt())
    except config.Refused as refusal:
        print(refusal)
"""
    place = Path(tempfile.mkdtemp())  # Those above `tmp_path` are for their owner alone.
    place.chmod(0o755)
    command = [sys.executable, "-c", code, str(place)]
    said = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
                          capture_output=True)  # fmt: skip
    names = {path.name for path in place.rglob("*")}
    shutil.rmtree(place)
    assert said.stderr == "" and said.stdout.count("Permission denied") == 4, said
    assert names == {"run", ".lock", "config.json", "records.jsonl"}


# What is read


MODULES = sorted(Path(minisub.__file__).parent.glob("*.py"))
UNSAFE = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_that_is_read_can_be_executed(path):
    """Configs are: they are the user's own programs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names}
            assert not UNSAFE & {*names, (getattr(node, "module", "") or "").split(".")[0]}
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
            named = getattr(node.func, "id", "")
            assert named not in ("eval", "exec", "compile", "__import__")
            assert name != "exec_module" or path.stem == "arguments"
            for keyword in node.keywords:
                safe = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                assert keyword.arg != "allow_pickle" or safe
