"""What a run says of its work: its plan, its progress, and how fast its programs are (`bench`)."""

import sys
import tempfile
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minisub.lab import costs, folder, perform, run
from minisub.nets import fit

SHORT = {
    "accuracy": "accuracy", "trait_rate": "P", "trait_rate_heldout": "P held out",
    "logit_margin_heldout": "margin", "kept_documents": "documents",
}  # fmt: skip
"""Measures that a line about a name shows, and how; of a name without them, the first two."""
FORM = "| {:22} | {:>12} | {:>10} | {:>8} | {:>9} |"


def said_of(rows):
    """The measures of one name, averaged over the repeats of its group, in a line."""
    values: dict = {}
    for row in rows:
        values.setdefault(row["measure"], []).append(row["value"])
    mean = {measure: sum(v) / len(v) for measure, v in values.items()}
    low, high = rows[0]["repeat"], rows[-1]["repeat"]
    which = f"repeat {low}" if low == high else f"repeats {low}-{high}"
    for field, value in rows[0]["setting"].items():
        which += f", {field.rpartition('.')[2]}={value}"
    chosen = [m for m in SHORT if m in mean] or list(mean)[:2]
    said = ", ".join(f"{SHORT.get(m, m)} {mean[m]:,.3f}" for m in chosen)
    return f"{which}  {rows[0]['arm']:12} {said}"


def usage_lines(usage, rate, taken):
    """Markdown table lines: where the time of this process went.

    `usage` is task -> (seconds, matrix-product operations); `rate` the operations a second of a
    plain matrix product on the device; `taken` how many products came from earlier runs.
    """
    width = max(len(name) for name in (*usage, "compilation"))
    form = f"| {{:{width}}} | {{:>8}} | {{:>8}} | {{:>9}} |"
    rows = [("task", "seconds", "GFLOP/s", "of matmul"), ("-" * width, "-" * 8, "-" * 8, "-" * 9)]
    for name, (seconds, flops) in usage.items():
        speed = flops / max(seconds, 1e-9)
        if flops:
            rows.append((name, f"{seconds:.1f}", f"{speed / 1e9:,.0f}", f"{speed / rate:.0%}"))
    quiet = sum(seconds for seconds, flops in usage.values() if not flops)
    rows += [("others", f"{quiet:.1f}", "", "")] if quiet >= 0.05 else []
    rows.append(("compilation", f"{costs.compile_seconds():.1f}", "", ""))
    matmul = f"A float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s here."
    memory = peak_memory() / 2**30
    programs = costs.compilations["programs"]
    compiled = f"{programs} programs were compiled; memory was {memory:.2f} GiB at most."
    reused = f" {taken} bases and teachers came from earlier runs (--fresh makes them anew)."
    return [*(form.format(*row) for row in rows), "", matmul, compiled + (reused if taken else "")]


def peak_memory():
    """Most memory that this process or one of its workers has held so far, in bytes; of the host,
    not of a device."""
    import resource  # here, because Windows has none

    unit = 1 if sys.platform == "darwin" else 1024
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return max(resource.getrusage(x).ru_maxrss for x in who) * unit


def plan_lines(left, named):
    """A table of what is left to make, (product, repeats, operations) in the order of making, with
    its names: `named` are (name, product or several) of all settings. What other runs have made
    counts no operations."""
    names: dict = {}
    for name, products in named:
        for product in run.tuple_of(products):
            names.setdefault(product.digest, {})[name] = None
    rows: dict = {}
    for product, repeats, flops in left:
        row = rows.setdefault(product.digest, [product, 0, 0.0])
        row[1], row[2] = row[1] + len(repeats), row[2] + flops
    form = "{:>7}  {:>10}  {:14}  {:24}  {}"
    yield form.format("repeats", "GFLOP, all", "task", "line of the experiment", "name")
    for product, repeats, flops in rows.values():
        if product.stream:  # not a measure: quickly made, and of a line that is listed already
            task, (name, *more) = product.task.__name__, names.get(product.digest, [""])
            name += f" and {len(more)} more" if more else ""
            yield form.format(repeats or "once", f"{flops / 1e9:,.2f}", task, product.written, name)
    total = sum(flops for *_, flops in rows.values())
    yield f"{total / 1e9:,.0f} GFLOP are left to make, measures included."


# The command `bench`.


class Timed(NamedTuple):
    """The fastest of some timings of one program."""

    task: str
    what: str
    """How much of the task's work that is."""
    seconds: float
    flops: float
    """Operations of its matrix products in that time."""


class Bench(perform.Performance):
    """A performance that keeps nothing and trains for at most `updates` updates; it tells a `Timed`
    for each different program instead of its progress."""

    trials, updates = 3, 100

    def __init__(self, named, folder, repeats):
        super().__init__([({}, named)], folder, repeats=repeats, group=repeats)
        self.programs = set()

    def compute(self, product, repeats, arguments):
        """As in any performance, but each program that is new is run a few times."""
        cost, n, name = self.plan.costs[product.digest], max(len(repeats), 1), product.task.__name__
        program = product.task, arguments[1]
        trials = 0 if program in self.programs else self.trials
        self.programs.add(program)
        seconds, made = best(lambda: run.begin(*arguments), trials)
        if trials and cost.begin:
            self.tell(Timed(name, "all at once", seconds, n * cost.begin))
        if not isinstance(made, fit.State):
            return made
        steps, begun = min(self.updates, cost.steps), made

        def train():
            state = jax.tree.map(lambda x: x.copy(), begun)  # because it is donated
            return run.advance()(*arguments, state, np.int32(0), np.int32(steps))

        seconds, made = best(train, trials)
        if trials and steps:
            self.tell(Timed(name, f"{steps} updates", seconds, n * steps * cost.step))
        return run.end(made)

    def keep(self, product, repeats, made):
        """What has hardly been trained is not worth it."""


def best(work, trials):
    """Seconds of the fastest of `trials` runs of `work` after one that compiles; its result."""
    result, seconds = jax.block_until_ready(work()), [float("inf")]
    for _ in range(trials):
        start = time.perf_counter()
        result = jax.block_until_ready(work())
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def matmul_rate(size=2048, trials=10):
    """FLOP/s of a float32 matrix product at JAX's default precision: the best of some trials."""
    square = jax.random.normal(jax.random.key(0), (size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    seconds, _ = best(lambda: product(square, square), trials)
    return 2 * size**3 / seconds


def bench(title, named, repeats, say):
    """Time each different program that makes an experiment's named products, with so many repeats
    in each, and `say` a line of a table for each."""
    rate = matmul_rate()
    say(f"{title}, {repeats} repeats in one program, {jax.devices()[0].device_kind}:")
    say(f"a float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s")
    say("\n" + FORM.format("task", "what", "ms", "GFLOP/s", "of matmul"))
    say(FORM.format("-" * 22, "-" * 12, "-" * 10, "-" * 8, "-" * 9))

    def tell(row):
        rates = f"{row.flops / row.seconds / 1e9:,.0f}", f"{row.flops / row.seconds / rate:.0%}"
        say(FORM.format(row.task, row.what, f"{1e3 * row.seconds:,.2f}", *rates))

    with tempfile.TemporaryDirectory() as path, folder.Folder(path) as place:
        performance = Bench(named, place, repeats)
        performance.tell = tell
        for product, of, _ in performance.left():
            if product.stream:  # measures are quickly made
                performance.make(product, of)
