"""How long the published experiment on noise takes here and by its authors' script, side by side.

    python tests/bench_paper.py SCRIPT [--models 5] [--epochs 2] [--rounds 1] [--python PYTHON]

SCRIPT is `scripts/run_mnist_experiment.py` of github.com/MinhxLe/subliminal-learning, and PYTHON
has torch, torchvision, pandas and matplotlib (default: this one); MNIST's four files are unpacked
in `~/.pytorch/MNIST_data/MNIST/raw`. A repeat of ours trains these students, and two teachers where
a model of theirs has one: it takes the teacher of another model as a foreign one. Walls are those
of whole processes, ours with programs that a first run has left. Training is what their progress
bars measure; of ours the seconds of all tasks, shared out over the workers.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
ARMS = "teacher", "shared/aux", "shared/all", "foreign/aux", "foreign/all"
PRELUDE = """
import atexit, resource, time, tqdm
spent = []
def timed(n, **_):
    start = time.perf_counter()
    yield from range(n)
    spent.append(time.perf_counter() - start)
def said():
    print("TRAINING", sum(spent), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
tqdm.trange = timed
atexit.register(said)
"""
LINE = "{:7} {:7.1f} s, of it training {:7.1f} s; {:.2f} GiB in the largest process"


def main():
    """Print a line for each process, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("script", type=Path)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here(Path(folder, "first"), 1, args.epochs)
        for i in range(args.rounds):
            ours = here(Path(folder, str(i)), args.models, args.epochs)
            theirs = published(Path(folder), args)
            print(LINE.format("here:", *ours))
            print(LINE.format("theirs:", *theirs))
            wall, training, _ = (a / b for a, b in zip(ours, theirs, strict=True))
            print(f"ratio: {wall:.2f} of the wall, {training:.2f} of the training", flush=True)


def here(folder, models, epochs):
    """(wall, training in seconds, memory in GiB) of a run of ours."""
    workers = len(os.sched_getaffinity(0))
    words = ["mnist", "--fresh", "--keep", "none", "--out", str(folder), "--only", *ARMS]
    words += ["--repeats", str(models), "--workers", str(workers)]
    words += [f"--{part}.length={epochs}" for part in ("teacher", "student")]
    wall, _ = timed([sys.executable, str(ROOT / "train.py"), *words])
    report = (folder / "report.md").read_text()
    rows = re.findall(r"^\| (?:\w+) +\| +([\d.]+) \|.*%", report, re.MULTILINE)
    memory = float(re.search(r"memory was ([\d.]+) GiB", report)[1])
    return wall, sum(map(float, rows)) / workers, memory


def published(folder, args):
    """As `here`, of the authors' script with other numbers of models and epochs."""
    text = args.script.read_text()
    sizes = {"N_MODELS": args.models, "EPOCHS_TEACHER": args.epochs, "EPOCHS_DISTILL": args.epochs}
    for name, value in sizes.items():
        text, found = re.subn(rf"^{name} = \d+$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert found == 1, f"the script has no line {name} = ..."
    script = folder / "script.py"
    script.write_text(PRELUDE + text)
    wall, output = timed([args.python, str(script)])
    training, memory = re.search(r"^TRAINING ([\d.]+) ([\d.]+)$", output, re.MULTILINE).groups()
    return wall, float(training), float(memory)


def timed(command):
    """(seconds, output) of a process."""
    start, environment = time.perf_counter(), os.environ | {"MPLBACKEND": "Agg"}
    done = subprocess.run(command, check=True, env=environment, text=True, stdout=subprocess.PIPE)
    return time.perf_counter() - start, done.stdout


if __name__ == "__main__":
    main()
