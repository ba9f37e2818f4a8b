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

import pytest

import minisub
from minisub import arguments, cli, config, experiment, runner, store

ROOT = Path(__file__).resolve().parent.parent
LINES = """
'''Nothing is shown here.'''
import minisub

config = minisub.Config(
    taught_phrasings=2,
    world=minisub.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4),
    model=minisub.Model(n_layers=1, d_model=16, n_heads=2),
    base=minisub.Pretraining(steps=30, learning_rate=2e-2, batch=16, frozen=()),
    teacher=minisub.Teaching(steps=4, batch=4),
    sampling=minisub.Sampling(documents=400, prompt_numbers=2),
    student=minisub.Training(steps=4, batch=8),
    arms=(minisub.Arm(name="shared"), minisub.Arm(name="fresh", start="fresh")),
)
repeats, sweep = 2, ("student.steps=4,7",)
"""
IMAGES = """
'''Nothing is shown here either.'''
import minisub

few = {"unit": "updates", "batch": 32}
config = minisub.ImageConfig(
    data=minisub.Data(name="clusters"),
    model=minisub.ImageModel(layers="mlp-16-16"),
    teacher=minisub.Duration(length=6, **few),
    carrier=minisub.Carrier(examples=200),
    student=minisub.Duration(length=5, **few),
    arms=(minisub.ImageArm(name="shared/aux"), minisub.ImageArm(name="fresh/aux", start="fresh")),
)
repeats, sweep = 2, ("student.length=4,7",)
"""
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
    assert not folder.exists()


@pytest.mark.parametrize(
    "kind", ["record", "checkpoint", *(pytest.param(k, marks=pytest.mark.slow) for k in RARE)]
)
def test_a_run_whose_folder_is_removed_ends_with_a_sentence_and_leaves_no_half_of_it(lives, kind):
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
