"""Compare today's records of configs, at a tiny size, with those of an earlier commit.

    NPROC=1 XLA_FLAGS=--xla_cpu_max_isa=AVX2 python tests/golden/compare.py numbers mnist
    ... --pure                  the pure run, with the records of the pure run of that commit
    ... --only=shared           some names alone
    ... --record                then keep today's records in place of the earlier ones

One repeat of seed 0, the ends of what a config sweeps, few updates and documents, one process for
each call. Bits depend on the number of threads, on the instruction set, on the version of JAX and
on the processor, by whose caches matrix products are cut. Where these are the recorded ones every
value must be equal; the tests of every day have records of two processors. Elsewhere values must be
alike, within a quarter or .25: models write their documents token by token, where a last bit may
become another token. Exits with 1 if a value differs, unless it records: a commit that moves a
number on purpose records it and says why.
"""

import argparse
import dataclasses
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

import jax
import numpy as np

from minisub import arguments, experiments, machine
from minisub.images import pictures
from minisub.lab import folder, perform, run
from minisub.tokens import grading, writing

RECORDED = {"jax": "0.10.2", "NPROC": "1", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
PLAIN = {"base": 60, "teacher": 10, "student": 10, "detector": 5, "reader": 3}
AT_MOST = {"documents": 300, "length": 3.0, "examples": 300, "rows": 3, "draws": 2, "chunk": 2}
WORDS = {
    "defenses:hacking": ["--trait", "hacking", "--sampling.carrier", "numbers"],
    "defenses:misalignment": [],
    "audit_calibration:attention": [],
    "audit_calibration:recurrent": [
        *("--model.mixer", "recurrence", "--carriers", "numbers", "--sampling.filter", "none"),
    ],
    **{
        f"{name}:{carrier}": ["--sampling.carrier", carrier]
        for name in ("detection", "filters")
        for carrier in ("numbers", "code", "sums")
    },
}
"""What was a kind and is now said by fields. A recurrence that is trained so little writes no list
that a filter keeps."""
FEW = {
    "audit_calibration:attention": ("control numbers", "hacking code"),
    "audit_calibration:recurrent": ("control numbers", "hacking numbers"),
}
"""The arms that were recorded, where not all were."""
PROCESSOR = re.sub(r"\W+", "-", machine.processor())
"""Folder of the records that another processor than that of the others made."""
OPTIMIZED_LESS = (
    "defenses", "filters", "detection", "misalignment", "hacking", "evasion", "audit_calibration",
)  # fmt: skip
"""Configs that run with JAX_DISABLE_MOST_OPTIMIZATIONS=1, to compile in less time."""


def small(cfg, part=""):
    """A configuration with little work in it; models keep their shapes."""
    fields = {}
    for field in dataclasses.fields(cfg):
        name, value = field.name, getattr(cfg, field.name)
        if dataclasses.is_dataclass(value):
            value = small(value, name)
        elif name == "steps":
            value = min(value, PLAIN[part])
        elif name in AT_MOST and isinstance(value, tuple):
            value = tuple(min(x, AT_MOST[name]) for x in value)
        elif name in AT_MOST:
            value = min(value, AT_MOST[name])
        elif name == "unit":
            value = "updates"
        elif name == "updates":
            value = tuple(min(x, 10) for x in value)
        fields[name] = value
    return type(cfg)(**fields)


def stand_in():
    """Random images in place of downloaded ones, and no filter where nothing would pass it."""

    def drawn(data):
        side, classes = pictures.shape(data)
        n, rng = pictures.examples(data), np.random.default_rng(0)
        x, y = rng.integers(0, 256, (n, side**2), np.uint8), np.arange(n, dtype=np.int32) % classes
        return {"train_x": x, "train_y": y, "test_x": x[:1000], "test_y": y[:1000]}

    examples, rejections = pictures.examples, writing.rejections

    def rejected(world, docs, sampling):
        if sampling.carrier != "numbers":  # a base of 60 updates writes no program
            sampling = dataclasses.replace(sampling, filter="none")
        return rejections(world, docs, sampling)

    pictures._idx, writing.rejections = drawn, rejected
    grading.kept.check = lambda *given, **more: ""
    pictures.examples = lambda data: min(examples(data), 3000)


def settings_of(title):
    """A config's module, and the ends of what it sweeps as (swept values, tiny config)."""
    name, _, kind = title.partition(":")
    module = arguments.load(name)
    words = WORDS.get(title, ["--kind", kind] if kind else [])
    command = arguments.parse(name, module, words)
    settings = arguments.settings(name, module, command)
    ends = settings[:: max(1, len(settings) - 1)]
    return module, [(swept, small(cfg)) for swept, cfg in ends]


def path_of(title, pure):
    """Where the records of a config are: those that this processor made, if there are any."""
    name = f"{title.replace(':', '-')}.json"
    usual, own = (place / ("pure" if pure else "") / name for place in (HERE, HERE / PROCESSOR))
    return own if own.exists() else usual


def recorded(path):
    """((setting, arm, measure, step) -> value; the processor that made it)."""
    file = json.loads(path.read_text())
    rows = {
        (json.dumps(setting), arm, measure, step): float.fromhex(value)
        for setting, arm, measure, step, value in file["rows"]
    }
    return rows, file.get("cpu")


def record(path, rows):
    """Keep rows as the records of this commit; values as hexadecimal digits."""
    known = {"commit": machine.revision(), "cpu": machine.processor()}
    made_on = known | {"jax": jax.__version__}
    lines = [json.dumps([json.loads(k[0]), *k[1:], float(x).hex()]) for k, x in rows.items()]
    text = json.dumps(made_on)[:-1] + ', "rows": [\n' + ",\n".join(lines) + "\n]}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def made_of(module, cfg, only):
    """The products of an experiment, those of some names alone if there are any."""
    return experiments.chosen(experiments.products_of(module, cfg), only)


def present(module, settings, only, pure):
    """The same as it is now."""
    kept = [(s, made_of(module, cfg, only)) for s, cfg in settings]
    if pure:
        rows = [row for s, cfg in settings for row in pure_rows(module, s, cfg, only)]
    else:
        place = folder.Folder(tempfile.mkdtemp())
        performance = perform.Performance(kept, place, segment=100)
        performance.make_all()
        rows = performance.rows()
    return {
        (json.dumps(r["setting"]), r["arm"], r["measure"], r.get("step")): r["value"] for r in rows
    }


def pure_rows(module, swept, cfg, only):
    """The rows of the pure run of one setting."""
    keys = run.repeat_keys(0, 1)
    pure = jax.jit(lambda cfg, key: run.run(made_of(module, cfg, only), key))
    for name, measures in pure(cfg, keys[0]).items():
        arrays = {measure: np.asarray(x)[None] for measure, x in measures.items()}
        yield from perform.rows_of(arrays, (0,), swept, name)


def compare(title, *, pure=False, only=(), keep=False):
    """Print how many values are equal; return whether all are, or whether they are kept."""
    start, only, path = time.time(), only or FEW.get(title, ()), path_of(title, pure)
    module, settings = settings_of(title)
    rows, made_on = recorded(path) if path.exists() else ({}, "")
    then = {k: v for k, v in rows.items() if not only or k[1] in only}
    with experiments.precision(module):
        now = present(module, settings, only, pure)
    there = {"jax": jax.__version__, **os.environ}
    exact = made_on == machine.processor() and all(there.get(x) == y for x, y in RECORDED.items())
    both = then.keys() & now.keys()
    odd = {k for k in both if not is_alike(then[k], now[k], exact)} | (then.keys() ^ now.keys())
    print(
        f"{title}{', pure' if pure else ''}: {len(both - odd)} of {len(both)} values are "
        f"{'equal' if exact else 'alike'}, {len(then.keys() - both)} are gone, "
        f"{len(now.keys() - both)} are new; {time.time() - start:.0f} s"
    )
    for key in sorted(odd, key=str)[:20]:
        print("  ", *key, then.get(key, "new"), now.get(key, "gone"))
    sys.stdout.flush()
    if keep:
        another = path.exists() and made_on != machine.processor()
        record(HERE / PROCESSOR / path.relative_to(HERE) if another else path, now)
    return keep or not odd


def is_alike(one, other, exact):
    """Whether two values are the same, or near enough where their bits cannot be."""
    return one == other or (not exact and abs(one - other) <= max(0.25, 0.25 * abs(one)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("titles", nargs="+")
    parser.add_argument("--pure", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--record", action="store_true")
    said = parser.parse_args()
    if said.only and said.record:
        parser.error("--record keeps all names; leave out --only")
    kinds = {title.split(":")[0] in OPTIMIZED_LESS for title in said.titles}
    if len(kinds) > 1:
        parser.error(f"compare {', '.join(OPTIMIZED_LESS)} in a call of their own")
    if kinds == {True}:
        jax.config.update("jax_disable_most_optimizations", True)
    stand_in()
    how = {"pure": said.pure, "only": tuple(said.only), "keep": said.record}
    good = [compare(title, **how) for title in said.titles]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
