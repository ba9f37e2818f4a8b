"""The command line's path through a run: the phases of each repeat, the state saved in between.

`experiment.run` composes the same functions. Here each is one jitted program over all repeats of a
group, and long phases are cut into segments. Every phase of a kind shares its programs, in every
repeat and in all settings of a sweep that leave shapes alone.
"""

import itertools
import time
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from minisub import experiment, programs, tasks, timing

SEGMENT_STEPS = 100
SECONDS_BETWEEN_CHECKPOINTS = 10


class Stopped(Exception):
    """A run that cannot go on. The message is one sentence; what was recorded is kept."""


class Progress(NamedTuple):
    """Work done since the last event."""

    phase: str
    repeats: range
    flops: float


class Recorded(NamedTuple):
    """Rows that were just recorded: one arm, its measures in every repeat of a group."""

    rows: list


def segment(p):
    """Updates of a phase in one call: whole epochs if they are short, their order is drawn anew."""
    epoch = tasks.epoch(p)
    short = 0 < epoch <= SEGMENT_STEPS
    return epoch * -(-SEGMENT_STEPS // epoch) if short else SEGMENT_STEPS


def reusable(chain, before):
    """Names of the phases of `chain` that the chain `before` has too, with all that leads to them.

    The same phase from the same products with the same key makes the same product, so settings of a
    sweep that differ only in how students are trained share bases, teachers and documents.
    """
    same = set()
    for p in chain:
        if p in before and same.issuperset(p.inputs.values()):
            same.add(p.name)
    return same


def work(p):
    """Operations and scored tokens of a whole phase, for one repeat."""
    once, per_step = tasks.cost(p)
    return tuple(a + p.steps * b for a, b in zip(once, per_step, strict=True))


class Run:
    """All settings of a sweep over all repeats, in a fixed order of units (group, setting, phase).

    `settings` is a list of (swept values, Config), `records` and `checkpoints` those of `store`,
    `only` a range of its cells (group, setting), numbered in order, if others are elsewhere.
    """

    def __init__(self, settings, *, seed, repeats, group, records, checkpoints, only=None):
        self.swept = [values for values, _ in settings]
        self.configs = [cfg for _, cfg in settings]
        self.chains = [experiment.phases(cfg) for cfg in self.configs]
        same = (reusable(b, a) for a, b in itertools.pairwise(self.chains))
        self.taken = [{}, *({name: name for name in names} for names in same)]
        self.groups = [range(i, min(i + group, repeats)) for i in range(0, repeats, group)]
        # Alone in its group, a repeat takes its neighbor's models over from the repeat before.
        last = reusable(self.chains[0], self.chains[-1]) if group == 1 else set()
        self.handed = {
            p.name: name
            for p in self.chains[0]
            if p.back and (name := p.name.removeprefix("foreign/")) in last
        }
        self.seed = seed
        self.keys = experiment.repeat_keys(seed, repeats + 1, -1)
        cells = list(itertools.product(range(len(self.groups)), range(len(settings))))
        cells = cells if only is None else cells[only.start : only.stop]
        self.first = cells[0]
        self.units = [(g, s, i) for g, s in cells for i in range(len(self.chains[s]))]
        self.records, self.checkpoints = records, checkpoints
        self.state, self.carry, self.unit, self.step = {}, None, 0, 0
        self.usage = {}
        self.saved_at = time.monotonic()

    def flops(self, units):
        """Operations of some units; a phase taken over from the setting before is free."""
        total = 0
        for g, s, i in units:
            p = self.chains[s][i]
            if not (p.name in self.kept(g, s) or tasks.volatile(p)):
                total += work(p)[0] * len(self.groups[g])
        return total

    def kept(self, g, s):
        """Phases of a cell -> those of the one before whose products they are."""
        if (g, s) == self.first:
            return {}
        return self.taken[s] if s else self.handed

    def resume(self):
        """Go to the newest good checkpoint, if any; return the operations done before it."""

        def shapes(position, note):
            # Raises if records were lost or changed since. Older runs have no checksum of them.
            self.records.seek(note["records"], note.get("records_sha256"))
            return as_shapes(note["shapes"])

        found = self.checkpoints.restore(shapes)
        if found is None:
            self.records.seek(0)
            return 0
        _, note, tree = found
        self.unit, self.step, self.state = note["unit"], note["step"], tree["state"]
        done = self.flops(self.units[: self.unit])
        if self.step:
            p, (kind, option, *arrays), keys, _ = self.at_hand()
            shapes = jax.eval_shape(partial(programs.begin, kind, option), *arrays, keys)
            self.carry = jax.tree.unflatten(jax.tree.structure(shapes), tree["carry"])
            done += work(p)[0] * len(keys) * self.step / p.steps
        return done

    def save(self):
        """Checkpoint all that the rest of the run needs."""
        volatile = {p.name for _, s, _ in self.units for p in self.chains[s] if tasks.volatile(p)}
        state = {name: held for name, held in self.state.items() if name not in volatile}
        tree = {"state": state, "carry": jax.tree.leaves(self.carry)}
        place = {"unit": self.unit, "step": self.step, "records": self.records.cursor}
        place["records_sha256"] = self.records.sha256.hexdigest()
        position = sum(self.chains[s][i].steps + 1 for _, s, i in self.units[: self.unit])
        self.checkpoints.save(position + self.step, tree, place | {"shapes": to_shapes(tree)})
        self.saved_at = time.monotonic()

    def due(self):
        """Whether what was done since the last checkpoint would be long in doing again."""
        return time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS

    def at_hand(self, phase=None):
        """A phase (that of the present unit), its task's arguments, its keys and its repeats."""
        g, s, i = self.units[self.unit]
        p = phase or self.chains[s][i]
        chain = {p.name: p for p in self.chains[s]}
        for source in p.inputs.values():
            if source not in self.state:  # volatile, and wanted now
                self.make(chain[source])
        inputs = {name: self.state[source]["product"] for name, source in p.inputs.items()}
        arrays = (
            programs.given(experiment.what_is_given(self.configs[s]), self.seed) if p.given else {}
        )
        arrays = {name: arrays[name] for name in p.given}
        keys = self.keys[np.array(self.groups[g]) + 1 - p.back]
        streams = jax.vmap(lambda key: experiment.named_key(key, p.key))(keys)
        return p, (p.kind, p.option, p.settings, arrays, inputs), streams, self.groups[g]

    def make(self, phase):
        """Make the product of a volatile phase."""
        p, task, keys, repeats = self.at_hand(phase)
        with self.timed(p, tasks.cost(p)[0], repeats):
            self.state[p.name] = {"product": jax.block_until_ready(programs.begin(*task, keys))}

    def events(self):
        """Perform what is left, yielding `Progress` and `Recorded`; may raise `Stopped`."""
        while self.unit < len(self.units):
            g, s, i = self.units[self.unit]
            if i == 0 and self.step == 0:
                kept = self.kept(g, s).items()
                self.state = {n: self.state[old] for n, old in kept if old in self.state}
            p = self.chains[s][i]
            if p.name not in self.state and not tasks.volatile(p):
                yield from self.perform()
            by_arm = self.record(p, self.groups[g], self.swept[s])
            self.unit, self.step, self.carry = self.unit + 1, 0, None
            if self.due() or self.unit == len(self.units):
                self.save()
            yield from map(Recorded, by_arm)

    def perform(self):
        """Run the present phase, from its start or from a restored step, to its product."""
        p, task, keys, repeats = self.at_hand()
        once, per_step = tasks.cost(p)
        if self.carry is None:
            with self.timed(p, once, repeats):
                self.carry = jax.block_until_ready(programs.begin(*task, keys))
            yield Progress(p.name, repeats, once[0] * len(repeats))
        while self.step < p.steps:
            first, self.step = self.step, min(self.step + segment(p), p.steps)
            done = [(self.step - first) * x for x in per_step]
            with self.timed(p, done, repeats):
                steps = np.int32(first), np.int32(self.step)
                self.carry = programs.advance()(*task, self.carry, keys, *steps)
                bad_step = np.asarray(self.carry.bad_step)
            require_finite(p, bad_step, repeats)
            yield Progress(p.name, repeats, done[0] * len(repeats))
            if self.due() and self.step < p.steps:
                self.save()
        with self.timed(p, (0, 0), repeats):
            product, measured = jax.block_until_ready(programs.finish(*task, self.carry, keys))
        self.state[p.name] = {"product": product, "measures": measured}
        if p.kind == "emit":
            require_documents(p, product, measured, repeats)

    @contextmanager
    def timed(self, p, work, repeats):
        """Add a block's wall time, compilation apart, and its work to the usage of its kind."""
        start, compiling = time.perf_counter(), timing.compile_seconds()
        yield
        seconds = time.perf_counter() - start - (timing.compile_seconds() - compiling)
        name = f"{p.kind} ({p.option})" if p.kind == "distill" else p.kind
        more = (max(seconds, 0.0), *(x * len(repeats) for x in work))
        used = self.usage.get(name, (0, 0, 0))
        self.usage[name] = tuple(a + b for a, b in zip(used, more, strict=True))

    def record(self, p, repeats, setting):
        """Append the measures of a phase to the records; return the rows of each arm."""
        measured = jax.tree.map(np.asarray, self.state[p.name]["measures"]) if p.arms else {}
        by_arm = [
            [
                {"setting": setting, "repeat": r, "arm": arm, **row}
                for i, r in enumerate(repeats)
                for row in rows_of({name: values[i][j] for name, values in measured.items()})
            ]
            for j, arm in enumerate(p.arms)
        ]
        if by_arm:
            self.records.append([row for rows in by_arm for row in rows])
        return by_arm


def usage_of(runs):
    """The usage of several runs, added up: kind of phase -> (seconds, operations, examples)."""
    total = {}
    for run in runs:
        for name, used in run.usage.items():
            total[name] = tuple(map(sum, zip(total.get(name, (0, 0, 0)), used, strict=True)))
    return total


def rows_of(measured):
    """One arm's measures as parts of rows; what was logged has a row for each step."""
    for name, value in measured.items():
        if value.ndim == 0:
            yield {"measure": name, "value": float(value)}
        elif name != "step":
            for step, x in zip(measured["step"], value, strict=True):
                if step >= 0:
                    yield {"measure": name, "value": float(x), "step": int(step)}


def require_finite(p, bad_step, repeats):
    """Raise `Stopped` if a loss was not finite; `bad_step` (repeats,) is its first step or -1."""
    for r, step in zip(repeats, bad_step, strict=True):
        if step >= 0:
            raise Stopped(
                f"The loss of {p.name} in repeat {r} was not finite at step {step}; lower its "
                "learning rate (what was recorded before is kept)."
            )


def require_documents(p, numbers, measured, repeats):
    """Raise `Stopped` if nothing passed the filter; assert that nothing of another kind did."""
    for i, r in enumerate(repeats):
        if numbers["count"][i] == 0:
            raise Stopped(
                f"No document of {p.name} in repeat {r} passed the filter; raise base.steps."
            )
        filtered = p.settings["sampling"].filter != "none"
        foreign = int(measured["foreign_tokens"][i, 0])
        assert foreign == 0 or not filtered, (
            f"{p.name}, repeat {r}: {foreign} foreign tokens passed the filter"
        )


def products(checkpoints, aside=True):
    """What the newest checkpoint holds: phase -> parameters or documents, with an axis of repeats.

    After a run that ended these are the models of its last setting and its last group of repeats.
    Without `aside` the folder stays as it is: see `checkpointing.Checkpoints.restore`.
    """
    found = checkpoints.restore(lambda position, note: as_shapes(note["shapes"]), aside)
    return {name: held["product"] for name, held in found[2]["state"].items()} if found else {}


def to_shapes(tree):
    """The shapes and types of a tree of nested dicts and lists, as JSON."""
    return jax.tree.map(lambda x: {"shape": list(x.shape), "dtype": str(x.dtype)}, tree)


def as_shapes(tree):
    """Undo `to_shapes`."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(tuple(x["shape"]), x["dtype"]),
        tree,
        is_leaf=lambda x: "shape" in x,
    )
