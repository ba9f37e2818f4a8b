"""The command `python train.py bench`: how fast each program of an experiment is here."""

import tempfile
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minisub.lab import folder, perform, run
from minisub.nets import fit

FORM = "| {:22} | {:>12} | {:>10} | {:>8} | {:>9} |"


class Timed(NamedTuple):
    """The fastest of some timings of one program."""

    task: str
    what: str
    """How much of the task's work that is."""
    seconds: float
    flops: float
    """Operations of its matrix products in that time."""


class Bench(perform.Performance):
    """A performance that keeps nothing and trains for at most `updates` updates; it yields a
    `Timed` for each different program instead of its progress."""

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
            yield Timed(name, "all at once", seconds, n * cost.begin)
        if not isinstance(made, fit.State):
            return made
        steps, begun = min(self.updates, cost.steps), made

        def train():
            state = jax.tree.map(lambda x: x.copy(), begun)  # because it is donated
            return run.advance()(*arguments, state, np.int32(0), np.int32(steps))

        seconds, made = best(train, trials)
        if trials and steps:
            yield Timed(name, f"{steps} updates", seconds, n * steps * cost.step)
        return run.end(made)

    def keep(self, product, repeats, made):
        """What has hardly been trained is not worth it."""


def bench(named, repeats):
    """Yield a `Timed` for each different program that makes an experiment's named products, with so
    many repeats in each."""
    with tempfile.TemporaryDirectory() as path, folder.Folder(path) as place:
        performance = Bench(named, place, repeats)
        for product, of, _ in performance.left():
            if product.stream:  # measures are quickly made
                yield from performance.make(product, of)


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


def lines(title, named, repeats):
    """A table of the programs of an experiment, line by line as they are timed."""
    rate = matmul_rate()
    yield f"{title}, {repeats} repeats in one program, {jax.devices()[0].device_kind}:"
    yield f"a float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s"
    yield "\n" + FORM.format("task", "what", "ms", "GFLOP/s", "of matmul")
    yield FORM.format("-" * 22, "-" * 12, "-" * 10, "-" * 8, "-" * 9)
    for row in bench(named, repeats):
        rates = f"{row.flops / row.seconds / 1e9:,.0f}", f"{row.flops / row.seconds / rate:.0%}"
        yield FORM.format(row.task, row.what, f"{1e3 * row.seconds:,.2f}", *rates)
