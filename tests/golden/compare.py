"""Compare today's records of configs, at a tiny size, with those of the package before its rebuild.

    NPROC=1 XLA_FLAGS=--xla_cpu_max_isa=AVX2 python tests/golden/compare.py numbers matrix:lineage
    ... --pure                  the pure run, with the records of the pure run of that commit
    ... --only=shared           some names alone

The records were made by `record.py` from commit eb26c77. Bits depend on the number of threads, on
the instruction set, on the version of JAX and on the processor, by whose caches matrix products are
cut. Where these are the recorded ones every value must be equal. Elsewhere values must be alike,
within a quarter or .25: models write their documents token by token, where a last bit may become
another token. What must differ is in `CHANGED`, with the reason. Exits with 1 if a value differs
that must not. The first 57 records do not name their processor: they were compared bit for bit on
the one that made them (2026-11-27), and are compared as elsewhere now.
"""

import argparse
import dataclasses
import fnmatch
import json
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

import jax
import numpy as np

from minisub import arguments, cli
from minisub.images import images
from minisub.lab import folder, perform, run
from minisub.tokens import grading, writing

RECORDED = {"jax": "0.10.2", "NPROC": "1", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
PLAIN = {"base": 60, "teacher": 10, "student": 10, "detector": 5, "reader": 3}
AT_MOST = {"documents": 300, "length": 3.0, "examples": 300, "rows": 3, "draws": 2, "chunk": 2}
WORDS = {
    "defenses:hacking": [],
    "defenses:misalignment": ["--trait", "misalignment"],
    "audit_calibration:attention": [],
    "audit_calibration:recurrent": ["--model.mixer", "recurrence", "--carriers", "numbers"],
    **{
        f"{name}:{carrier}": ["--sampling.carrier", carrier]
        for name in ("detection", "filters")
        for carrier in ("numbers", "code", "sums")
    },
}
"""What was a kind and is now said by fields."""
FEW = {
    "audit_calibration:attention": ("control numbers", "hacking code"),
    "audit_calibration:recurrent": ("control numbers", "hacking numbers"),
}
"""The arms that were recorded, where not all were."""
OPTIMIZED_LESS = (
    "defenses", "filters", "detection", "misalignment", "hacking", "evasion", "audit_calibration",
)  # fmt: skip
COST = "counted in what JAX traced; what was booked before, 1.33 and 1.83 of an update, was wrong"
LISTS = "the lists of grades come of a key that has a name, which no run's root is"
REPLAYED = "what teachers replay, and whom detectors judge, comes of keys and prompts of its own"
FOREIGN = "a foreign teacher is of another origin, and no longer of the repeat before"
CHANGED = {
    ("*", "*", "kl_to_emitter"): LISTS,
    ("*", "*", "drift_on_lists"): LISTS,
    ("*", "*", "trait_rate_prefixed"): LISTS,
    **{(name, "*", "*"): REPLAYED for name in OPTIMIZED_LESS},
    ("*", "foreign*", "*"): FOREIGN,
    ("*", "*", "trait_rate_rise"): "a control that differs in one thing is another student",
    ("*", "*", "margin_rise"): "a control that differs in one thing is another student",
    ("alignment_tokens", "no *", "*"): "taken out is the gradient on the prompts that are taught",
    ("defenses", "*anchored*", "cost"): COST,
    ("defenses", "*projected*", "cost"): COST,
    ("alignment", "*", "mean_alignment*"): "in the last place: all arms were reduced in one array",
}
"""(config, arm, measure), with wildcards -> why the value is another one now, or is not there."""
RISES = {"trait_rate_rise": "trait_rate_heldout", "margin_rise": "logit_margin_heldout"}
"""Measures that are stated differences now: subtracted in float32 they give the same bits."""


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
        side, classes = images.shape(data)
        n, rng = images.examples(data), np.random.default_rng(0)
        x, y = rng.integers(0, 256, (n, side**2), np.uint8), np.arange(n, dtype=np.int32) % classes
        return {"train_x": x, "train_y": y, "test_x": x[:1000], "test_y": y[:1000]}

    examples, rejections = images.examples, writing.rejections

    def rejected(world, docs, sampling):
        if sampling.carrier != "numbers":  # a base of 60 updates writes no program
            sampling = dataclasses.replace(sampling, filter="none")
        return rejections(world, docs, sampling)

    images._idx, writing.rejections = drawn, rejected
    grading.kept.check = lambda *given, **more: ""
    images.examples = lambda data: min(examples(data), 3000)


def settings_of(title):
    """A config's module, and the ends of what it sweeps as (swept values, tiny config)."""
    name, _, kind = title.partition(":")
    module = arguments.load(name)
    words = WORDS.get(title, ["--kind", kind] if kind else [])
    command = arguments.parse(name, module, words)
    settings = arguments.settings(name, module, command)
    ends = settings[:: max(1, len(settings) - 1)]
    return module, [(swept, small(cfg)) for swept, cfg in ends]


def recorded(title, pure):
    """((setting, arm, measure, step) -> value, as it was: performed, or of the pure run; the
    processor that made it)."""
    folder = HERE / "pure" if pure else HERE
    file = json.loads((folder / f"{title.replace(':', '-')}.json").read_text())
    rows = {
        (json.dumps(setting), arm, measure, step): float.fromhex(value)
        for setting, arm, measure, step, value in file["rows"]
    }
    return rows, file.get("cpu")


def processor():
    """The name of this machine's processor and the size of its cache, where Linux tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    known = dict(line.split("\t: ", 1) for line in lines if "\t: " in line)
    return ", ".join(known.get(name.ljust(8), "?").strip() for name in ("model name", "cache size"))


def present(module, settings, only, pure):
    """The same as it is now."""
    kept = [(s, arguments.named(module, cfg, only)) for s, cfg in settings]
    if pure:
        rows = [row for s, cfg in settings for row in pure_rows(module, s, cfg, only)]
    else:
        place = folder.Folder(tempfile.mkdtemp())
        events = perform.Performance(kept, place, segment=100).events()
        rows = [row for event in events for row in getattr(event, "rows", [])]
    now = {
        (json.dumps(r["setting"]), r["arm"], r["measure"], r.get("step")): r["value"] for r in rows
    }
    for swept, named in kept:
        now |= rises(now, json.dumps(swept), named)
    return now


def pure_rows(module, swept, cfg, only):
    """The rows of the pure run of one setting."""
    keys = run.repeat_keys(0, 1)
    pure = jax.jit(lambda cfg, key: run.run(arguments.named(module, cfg, only), key))
    for name, measures in pure(cfg, keys[0]).items():
        arrays = {measure: np.asarray(x)[None] for measure, x in measures.items()}
        yield from perform.rows_of(arrays, (0,), swept, name)


def rises(now, setting, named):
    """Stated differences in the measures that were recorded as rises."""
    names = {p.describe(): name for name, ps in named.items() for p in run.tuple_of(ps)}
    made = {}
    for name, products in named.items():
        controls = [c for p in run.tuple_of(products) for c in p.controls]
        for rise, measure in RISES.items():
            for control in controls:
                other = names.get(control.describe())
                pair = [now.get((setting, x, measure, None)) for x in (name, other)]
                if None not in pair:
                    made[setting, name, rise, None] = float(np.subtract(*np.float32(pair)))
    return made


def compare(title, *, pure=False, only=()):
    """Print how many values are equal; return whether none differs that must not."""
    start, only = time.time(), only or FEW.get(title, ())
    module, settings = settings_of(title)
    rows, made_on = recorded(title, pure)
    then = {k: v for k, v in rows.items() if not only or k[1] in only}
    with cli.precision(module):
        now = present(module, settings, only, pure)
    now = {k: v for k, v in now.items() if k in then or k[2] not in RISES}
    there = {"jax": jax.__version__, **os.environ}
    exact = made_on == processor() and all(there.get(x) == y for x, y in RECORDED.items())
    both = then.keys() & now.keys()
    alike = {k for k in both if is_alike(then[k], now[k], exact)}
    odd = {k for k in (both - alike) | (then.keys() - both) if not reason(title, k)}
    print(
        f"{title}{', pure' if pure else ''}: {len(alike)} of {len(both)} values are "
        f"{'equal' if exact else 'alike'}, {len(both - alike)} differ, {len(then.keys() - both)} "
        f"are gone, {len(now.keys() - both)} are new; {time.time() - start:.0f} s"
    )
    for key in sorted(odd, key=str)[:20]:
        print("  ", *key, then[key], now.get(key, "gone"))
    sys.stdout.flush()
    return not odd


def is_alike(one, other, exact):
    """Whether two values are the same, or near enough where their bits cannot be."""
    return one == other or (not exact and abs(one - other) <= max(0.25, 0.25 * abs(one)))


def reason(title, key):
    """Why a value is another one now, or None if it must not be."""
    where = title.split(":")[0], *key[1:3]
    for pattern, why in CHANGED.items():
        if all(fnmatch.fnmatch(x, p) for x, p in zip(where, pattern, strict=True)):
            return why
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("titles", nargs="+")
    parser.add_argument("--pure", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    said = parser.parse_args()
    kinds = {title.split(":")[0] in OPTIMIZED_LESS for title in said.titles}
    if len(kinds) > 1:
        parser.error(f"compare {', '.join(OPTIMIZED_LESS)} in a call of their own")
    if kinds == {True}:
        jax.config.update("jax_disable_most_optimizations", True)
    stand_in()
    good = [compare(x, pure=said.pure, only=tuple(said.only)) for x in said.titles]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
