"""Perform a small experiment and die on the way: python killed.py EXPERIMENT FOLDER POINT.

The process ends by os._exit at the POINT-th beginning, middle or end of a write; 0: never.
"""

import dataclasses
import json
import os
import sys
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from minisub import arguments
from minisub.lab import files, folder, perform

passed, last = 0, 0


def point():
    """Die here, or in the middle of what comes, if this is the point."""
    global passed
    passed += 1
    if last and passed == last:
        if last % 2:
            os._exit(9)
        threading.Timer(0.02, os._exit, [9]).start()


def around(write):
    """A writing function with a point before and behind it."""

    def writing(*given, **more):
        point()
        result = write(*given, **more)
        point()
        return result

    return writing


def torn(file, content):
    """As `files.write_through`, with a point in the middle."""
    half = len(content) // 2
    for part in (content[:half], content[half:]):
        file.write(part)
        file.flush()
        os.fsync(file.fileno())
        point()


def settings_of(name):
    """Two settings of an experiment, at a size that takes seconds."""
    if name == "toy":
        from test_lab import experiment

        return [({"steps": n}, experiment(steps=n)) for n in (12, 7)]
    module = arguments.load(name)
    if name == "digits":
        few = {"unit": "updates", "batch": 64}
        cfg = dataclasses.replace(
            module.config,
            teacher=dataclasses.replace(module.config.teacher, length=12.0, **few),
            student=dataclasses.replace(module.config.student, length=12.0, **few),
            carrier=dataclasses.replace(module.config.carrier, examples=256),
        )
        shorter = dataclasses.replace(cfg.student, length=9.0)
        pair = (12.0, cfg), (9.0, dataclasses.replace(cfg, student=shorter))
        return [({"student.length": n}, module.experiment(cfg)) for n, cfg in pair]
    cfg = module.config
    sizes = {"base": 30, "teacher": 6, "student": 12}
    parts = {x: dataclasses.replace(getattr(cfg, x), steps=n) for x, n in sizes.items()}
    sampling = dataclasses.replace(cfg.sampling, documents=300)
    cfg = dataclasses.replace(cfg, sampling=sampling, **parts)
    return [({}, module.experiment(cfg))]


def main(name, path, at):
    """Perform, and write the records at the end."""
    global last
    last = at
    folder.write, files.write_through = around(folder.write), torn
    place = folder.Folder(path, {"source": name})
    how = {"repeats": 2, "segment": 5, "seconds": -1.0}
    performance = perform.Performance(settings_of(name), place, **how)
    performance.make_all()
    rows = [*performance.rows()]
    files.write_atomically(place.path / "records.jsonl", json.dumps(rows))
    print(passed, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    os._exit(0)
