"""What an experiment costs against its repeats and workers, each run a process of its own.

    python tests/bench_workers.py [CONFIG] [--repeats 1 2 4 8] [--workers 1 2 8]
                                  [--out cost.json] [-- --field value ...]

Nothing is taken from other runs but compiled programs, which a first run leaves. The overhead of
workers is what a run takes with so many of them on two cores, beyond half of what one takes. The
figure stands beside the JSON file.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent


def main():
    """Measure, print a line a run, and write the rows and their figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", nargs="?", default="numbers")
    parser.add_argument("--repeats", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--out", type=Path, default=Path("cost.json"))
    parser.add_argument("words", nargs="*", help="behind --: options of every run")
    args = parser.parse_args()
    wall(args, 1, max(args.workers))  # leaves the programs
    rows = []
    for repeats in args.repeats:
        for workers in args.workers:
            rows.append({"repeats": repeats, "workers": workers})
            rows[-1]["seconds"] = round(wall(args, repeats, workers), 2)
            print(rows[-1], flush=True)
    args.out.write_text(json.dumps(rows, indent=1) + "\n")
    from minisub.results import figures

    title = f"Seconds of a process, {args.config}"
    figures.draw(title, args.out.with_suffix(".png"), figure, pd.DataFrame(rows))


def wall(args, repeats, workers):
    """Seconds of a whole process, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "train.py"), args.config, "--fresh", "--keep", "none"]
        command += ["--repeats", str(repeats), "--workers", str(workers), *args.words]
        begin = time.perf_counter()
        subprocess.run([*command, "--out", f"{folder}/run"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin


def figure(rows):
    """Seconds by repeats, a line for each number of workers."""
    from minisub.results import figures

    points = rows.rename(columns={"repeats": "x", "seconds": "value"})
    points = points.assign(line="workers: " + points["workers"].astype(str), panel="")
    scales = {"xscale": "log", "yscale": "log"}
    return figures.line_panels(points, xlabel="repeats", ylabel="seconds", **scales)


if __name__ == "__main__":
    main()
