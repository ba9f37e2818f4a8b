"""The command line's path through a run: the phases of each repeat, with the state saved between them.

`experiment.run` composes the same functions. Here each is one jitted program that takes all repeats of a
group; long phases are cut into segments. The program of a phase is shared by every phase of its kind, by
every repeat, and by all settings of a sweep that leave shapes alone.
"""

import time
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minisub import experiment

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


compiled = {"programs": 0, "seconds": 0.0}
"""What JAX has compiled in this process, and the time that tracing, lowering and compiling took."""


def on_duration(event, seconds, **_):
    """Add a compilation that JAX reports to `compiled`."""
    if event.startswith("/jax/core/compile/"):
        compiled["seconds"] += seconds
        compiled["programs"] += event.endswith("backend_compile_duration")


jax.monitoring.register_event_duration_secs_listener(on_duration)


def matmul_rate(size=2048, trials=10):
    """FLOP/s of a float32 matrix product of this device at JAX's default precision: the best of some trials."""
    square = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(jnp.matmul)
    product(square, square).block_until_ready()
    seconds = []
    for _ in range(trials):
        start = time.perf_counter()
        product(square, square).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def each(function, *batched):
    """Map `function` over the leading axis of `batched`: vmapped, but a single row runs as it would alone."""
    if jax.tree.leaves(batched)[0].shape[0] > 1:
        return jax.vmap(function)(*batched)
    alone = function(*jax.tree.map(lambda x: x[0], batched))
    return jax.tree.map(lambda x: jnp.asarray(x)[None], alone)


@partial(jax.jit, static_argnames=("kind", "option"))
def begin(kind, option, settings, inputs, keys):
    """`experiment.begin` for every repeat of a group."""
    return each(lambda i, k: experiment.begin(kind, option, settings, i, k), inputs, keys)


@partial(jax.jit, static_argnames=("kind", "option"), donate_argnames="state")
def advance(kind, option, settings, inputs, state, keys, first, last):
    """`experiment.advance` for every repeat of a group."""

    def one(i, s, k):
        return experiment.advance(kind, option, settings, i, s, k, first, last)

    return each(one, inputs, state, keys)


@partial(jax.jit, static_argnames=("kind", "option"))
def finish(kind, option, settings, inputs, state):
    """`experiment.finish` for every repeat of a group."""
    return each(lambda i, s: experiment.finish(kind, option, settings, i, s), inputs, state)


def reusable(chain, before):
    """Names of the phases of `chain` that the chain `before` has too, with all that leads to them.

    The same phase from the same products with the same key is the same product, so settings of a sweep
    that differ only in how students are trained share their bases, teachers and documents.
    """
    same = set()
    for p in chain:
        if p in before and same.issuperset(p.inputs.values()):
            same.add(p.name)
    return same


def work(p):
    """Operations and scored tokens of a whole phase, for one repeat."""
    once, per_step = experiment.cost(p)
    return tuple(a + p.steps * b for a, b in zip(once, per_step, strict=True))


class Run:
    """All settings of a sweep over all repeats, in one fixed order of units: (group, setting, phase).

    `settings` is a list of (swept values, Config), `records` and `checkpoints` those of `store`.
    """

    def __init__(self, settings, *, seed, repeats, group, records, checkpoints):
        self.swept = [values for values, _ in settings]
        self.chains = [experiment.phases(cfg) for _, cfg in settings]
        self.groups = [range(i, min(i + group, repeats)) for i in range(0, repeats, group)]
        self.keys = experiment.repeat_keys(seed, repeats)
        self.units = [
            (g, s, p)
            for g in range(len(self.groups))
            for s, c in enumerate(self.chains)
            for p in range(len(c))
        ]
        self.records, self.checkpoints = records, checkpoints
        self.state, self.carry, self.unit, self.step = {}, None, 0, 0
        self.usage = {}
        self.saved_at = time.monotonic()

    def flops(self, units):
        """Operations of some units; a phase that a setting takes over from the one before is free."""
        total = 0
        for g, s, i in units:
            p = self.chains[s][i]
            if not (s and p.name in reusable(self.chains[s], self.chains[s - 1])):
                total += work(p)[0] * len(self.groups[g])
        return total

    def resume(self):
        """Go to the newest good checkpoint, if there is one; return the operations done before it."""

        def shapes(position, note):
            self.records.seek(note["records"])  # raises if records were lost since
            return as_shapes(note["shapes"])

        found = self.checkpoints.restore(shapes)
        if found is None:
            self.records.seek(0)
            return 0
        _, note, tree = found
        self.unit, self.step, self.state = note["unit"], note["step"], tree["state"]
        done = self.flops(self.units[: self.unit])
        if self.step:
            p, inputs, keys, _ = self.at_hand()
            shapes = jax.eval_shape(partial(begin, p.kind, p.option), p.settings, inputs, keys)
            self.carry = jax.tree.unflatten(jax.tree.structure(shapes), tree["carry"])
            done += work(p)[0] * len(keys) * self.step / p.steps
        return done

    def save(self):
        """Checkpoint all that the rest of the run needs."""
        tree = {"state": self.state, "carry": jax.tree.leaves(self.carry)}
        note = {
            "unit": self.unit,
            "step": self.step,
            "records": self.records.cursor,
            "shapes": to_shapes(tree),
        }
        position = sum(
            p.steps + 1 for _, s, i in self.units[: self.unit] for p in [self.chains[s][i]]
        )
        self.checkpoints.save(position + self.step, tree, note)
        self.saved_at = time.monotonic()

    def at_hand(self):
        """The phase of the present unit, its inputs, its keys and the indices of its repeats."""
        g, s, i = self.units[self.unit]
        p = self.chains[s][i]
        inputs = {name: self.state[source]["product"] for name, source in p.inputs.items()}
        keys = jax.vmap(lambda key: experiment.named_key(key, p.key))(
            self.keys[np.array(self.groups[g])]
        )
        return p, inputs, keys, self.groups[g]

    def events(self):
        """Perform what is left, yielding `Progress` and `Recorded` as they happen; may raise `Stopped`."""
        while self.unit < len(self.units):
            g, s, i = self.units[self.unit]
            if i == 0 and self.step == 0:
                taken = reusable(self.chains[s], self.chains[s - 1]) if s else ()
                self.state = {name: self.state[name] for name in taken}
            p = self.chains[s][i]
            if p.name not in self.state:
                yield from self.perform()
            if p.arm:
                yield Recorded(self.record(p, self.groups[g], s))
            self.unit, self.step, self.carry = self.unit + 1, 0, None
            # Phases without steps take no time to redo, but for sampling.
            if p.steps or p.kind == "emit":
                self.save()

    def perform(self):
        """Run the present phase, from its start or from a restored step, to its product."""
        p, inputs, keys, repeats = self.at_hand()
        once, per_step = experiment.cost(p)
        with self.timed(p, once, len(keys)):
            if self.carry is None:
                self.carry = jax.block_until_ready(
                    begin(p.kind, p.option, p.settings, inputs, keys)
                )
        yield Progress(p.name, repeats, once[0] * len(keys))
        while self.step < p.steps:
            last = min(self.step + SEGMENT_STEPS, p.steps)
            done = [(last - self.step) * x for x in per_step]
            with self.timed(p, done, len(keys)):
                self.carry = advance(
                    p.kind,
                    p.option,
                    p.settings,
                    inputs,
                    self.carry,
                    keys,
                    np.int32(self.step),
                    np.int32(last),
                )
                bad = np.asarray(self.carry.bad_step)
            self.step = last
            self.require_finite(p, bad, repeats)
            yield Progress(p.name, repeats, done[0] * len(keys))
            if (
                self.step < p.steps
                and time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS
            ):
                self.save()
        with self.timed(p, (0, 0), 0):
            product, measured = finish(p.kind, p.option, p.settings, inputs, self.carry)
            self.state[p.name] = jax.block_until_ready({"product": product, "measures": measured})
        if p.kind == "emit":
            self.require_documents(p, product, measured, repeats)

    @contextmanager
    def timed(self, p, work, repeats):
        """Add the wall time of a block, without compilation, and its work to the usage of `p`'s kind."""
        start, compiling = time.perf_counter(), compiled["seconds"]
        yield
        seconds = time.perf_counter() - start - (compiled["seconds"] - compiling)
        name = f"{p.kind} ({p.option})" if p.kind == "distill" else p.kind
        used = self.usage.get(name, (0.0, 0, 0))
        self.usage[name] = (
            used[0] + max(seconds, 0.0),
            used[1] + work[0] * repeats,
            used[2] + work[1] * repeats,
        )

    def record(self, p, repeats, s):
        """Append the measures of a phase to the records, and return the rows."""
        measured = jax.tree.map(np.asarray, self.state[p.name]["measures"])
        rows = [
            {
                "setting": self.swept[s],
                "repeat": r,
                "arm": p.arm,
                "measure": m,
                "value": float(values[j]),
            }
            for j, r in enumerate(repeats)
            for m, values in measured.items()
        ]
        self.records.append(rows)
        return rows

    def require_finite(self, p, bad_step, repeats):
        """Raise `Stopped` if a loss was not finite; `bad_step` holds the first such step of each repeat or -1."""
        for r, step in zip(repeats, bad_step, strict=True):
            if step >= 0:
                raise Stopped(
                    f"The loss of {p.name} in repeat {r} was not finite at step {step}; "
                    "lower its learning rate (what was recorded before is kept)."
                )

    def require_documents(self, p, numbers, measured, repeats):
        """Raise `Stopped` if nothing passed the filter, or anything but numbers did."""
        for r, count, foreign in zip(
            repeats, numbers["count"], measured["foreign_tokens"], strict=True
        ):
            if count == 0:
                raise Stopped(
                    f"No list of {p.name} in repeat {r} passed the filter; raise base.steps."
                )
            assert foreign == 0, (
                f"{p.name}, repeat {r}: {foreign} tokens that are no numbers passed the filter"
            )


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
