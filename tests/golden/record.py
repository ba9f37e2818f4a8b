"""Record what commit eb26c77, the package before its rebuild, gives at a tiny size.

    NPROC=1 XLA_FLAGS=--xla_cpu_max_isa=AVX2 python record.py FOLDER NAME[:KIND] ...

It runs in an environment with that commit installed, in which experiments were data (`Arm`,
`Lineage`, `Source`), and is kept to show how the records beside it were made: one repeat of seed 0,
the ends of what a config sweeps, few updates and documents, one process for each name. The names in
`OPTIMIZED_LESS` of `compare.py` ran with JAX_DISABLE_MOST_OPTIMIZATIONS=1.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from minisub import arguments, cli, documents, experiment, images, lanes, runner

STEPS = {"base": 60, "teacher": 10, "student": 10, "detector": 5, "reader": 3}
AT_MOST = {"documents": 300, "length": 3.0, "examples": 300, "rows": 3, "draws": 2, "chunk": 2}
FEW = {
    "audit_calibration:attention": ("control numbers", "hacking code"),
    "audit_calibration:recurrent": ("control numbers", "hacking numbers"),
}


def small(cfg, part=""):
    """A configuration with little work in it."""
    fields = {}
    for field in dataclasses.fields(cfg):
        name, value = field.name, getattr(cfg, field.name)
        if name == "arms" and not part:
            value = tuple(small_arm(arm, cfg) for arm in value)
        elif name == "sources" and not part:
            value = tuple(
                dataclasses.replace(s, sampling=words(s.sampling), teaching=words(s.teaching))
                for s in value
            )
        elif name == "lineages" and not part:
            value = tuple(
                dataclasses.replace(line, shared_steps=scaled(line.shared_steps, cfg.base, "base"))
                for line in value
            )
        elif dataclasses.is_dataclass(value):
            value = small(value, name)
        elif name == "steps":
            value = min(value, STEPS[part])
        elif name in AT_MOST and value:
            value = min(value, AT_MOST[name])
        elif name == "unit":
            value = "updates"
        fields[name] = value
    return type(cfg)(**fields)


def small_arm(arm, cfg):
    """An arm that trains as little as the others."""
    if not hasattr(arm, "training"):
        return arm
    anchored = scaled(arm.anchored, cfg.student, "student")
    return dataclasses.replace(arm, training=words(arm.training), anchored=anchored)


def scaled(steps, training, part):
    """Steps in proportion to those of a training; "all" stays."""
    return steps if steps > 10**6 else steps * STEPS[part] // training.steps


def words(text):
    """Changes of a configuration, as text, with little work in them."""
    pairs = [word.partition("=") for word in text.split()]
    most = {"steps": 10, "documents": 300}
    return " ".join(
        f"{name}={min(int(value), most[name]) if name in most else value}"
        for name, _, value in pairs
    )


def stand_in():
    """Random images in place of downloaded ones, and no filter where nothing would pass it."""

    def drawn(data):
        side, classes = images.shape(data)
        n, rng = images.examples(data), np.random.default_rng(0)
        x, y = rng.integers(0, 256, (n, side**2), np.uint8), np.arange(n, dtype=np.int32) % classes
        return {"train_x": x, "train_y": y, "test_x": x[:1000], "test_y": y[:1000]}

    examples, rejections = images.examples, documents.rejections

    def rejected(world, docs, sampling):
        if sampling.carrier != "numbers":
            sampling = dataclasses.replace(sampling, filter="none")
        return rejections(world, docs, sampling)

    images._idx, documents.rejections = drawn, rejected
    images.examples = lambda data: min(examples(data), 3000)
    runner.require_documents = lambda *given: None


def record(title):
    """Rows [setting, arm, measure, step, value] of a config, values as hexadecimal digits."""
    name, _, kind = title.partition(":")
    command = arguments.command_of(arguments.load(name), kind)
    settings = arguments.settings(name, command)
    ends = [(swept, small(cfg)) for swept, cfg in settings[:: max(1, len(settings) - 1)]]
    if title in FEW:
        ends = [
            (s, dataclasses.replace(c, arms=tuple(a for a in c.arms if a.name in FEW[title])))
            for s, c in ends
        ]
    for _, cfg in ends:
        experiment.check(cfg)
    command = dataclasses.replace(command, repeats=1, config=ends[0][1], group=1)
    folder = Path(tempfile.mkdtemp()) / "run"
    cli.with_folder(folder, name, "", "", command, ends, lanes.Place())
    rows = map(json.loads, (folder / "records.jsonl").read_text().splitlines())
    return [
        [r["setting"], r["arm"], r["measure"], r.get("step"), float(r["value"]).hex()] for r in rows
    ]


if __name__ == "__main__":
    stand_in()
    for title in sys.argv[2:]:
        rows = ",\n".join(json.dumps(row) for row in record(title))
        path = Path(sys.argv[1]) / f"{title.replace(':', '-')}.json"
        path.write_text(f'{{"commit": "eb26c77", "jax": "0.10.2", "rows": [\n{rows}\n]}}\n')
