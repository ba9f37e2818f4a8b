"""Workers: processes that make what an experiment wants side by side, here or on a cluster.

A piece of work is a product that is kept, with all that is measured of it. It is handed to a
worker as soon as its inputs are on disk. Arrays pass through the run's folder, which every worker
must see. When a run is asked to end it leaves a file there. Workers look for it between segments
of a training; then they save what they have, and stop. If a worker is lost, another one continues
what it was making, from the last state that was saved.
"""

import concurrent.futures
import contextlib
import itertools
import os
import platform
import sys
import threading
import types
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import joblib
import numpy as np

from minisub import executors, experiments, keeping, machine
from minisub.config import Stopped, require
from minisub.lab import costs, folder, identity, perform, plan, products

LOST = 3
"""How often in a row workers may be lost before they have made anything."""
SMALL = 1e12
"""Operations of matrix products, about twenty seconds of a core, for which no process starts."""


class Order(NamedTuple):
    """What workers are told of a run."""

    words: tuple
    """Of its command line: a config, then options."""
    here: str
    """The working directory."""
    path: str
    """The run's folder."""
    owner: str
    """Who wrote into it last, see `folder.Folder`."""
    environment: dict
    """What the bits of results depend on; it must be the same in every worker."""
    shared: Any
    """Where the products of all runs are, and how many bytes of them are kept; or None."""
    scale: tuple
    """Seed, repeats and group."""
    costs: dict
    """`plan.Cost` by digest."""

    @property
    def end(self):
        """The file that is there when the run was asked to end."""
        return Path(self.path, "under way", "end")


class Made(NamedTuple):
    """What a worker returns when it has made a piece."""

    values: list
    """name -> array, for each measure."""
    usage: dict
    """Of the worker's time, as `Performance.usage`."""
    compiled: tuple
    """Programs, and seconds."""
    taken: int
    """Products that came from earlier runs."""


def make_all(performance, words, environment, number=0, cluster=None):
    """Make what is left of a performance in workers. Tells and raises what `Performance.make_all`
    does, in another order; if one process is enough, it makes nothing.

    `words` are of the command line, `environment` is what the folder was made by, `number` how many
    workers are asked for (0: the usual number), and `cluster` the executor of those of a cluster.
    """
    todo, lost, cause = performance.pieces(), 0, ""
    number = number or (len(todo) if cluster else usual(todo.values()))
    if not todo or (number == 1 and not cluster):
        return
    order = order_of(performance, words, environment)
    while todo:
        if lost == LOST:
            said = "Workers end before they have made anything"
            raise Stopped(f"{said} ({cause}); give fewer --workers.")
        before = len(todo)
        where = contextlib.nullcontext(cluster) if cluster else executors.of_this_machine(number)
        try:
            with where as executor:
                order.end.parent.mkdir(exist_ok=True)
                order.end.unlink(missing_ok=True)
                try:
                    make_pieces(todo, performance, order, executor, number)
                finally:  # whatever happened here, workers are not to go on
                    order.end.touch()
        except BrokenExecutor as error:
            cause = str(error.__cause__ or error).strip("\n'").rpartition("\n")[2]
        lost = lost + 1 if len(todo) == before else 0


def usual(pieces):
    """How many workers there are for pieces, if nobody says."""
    enough = 1 + int(sum(piece.flops for piece in pieces) / SMALL)
    return min(joblib.cpu_count(), enough) if jax.default_backend() == "cpu" else 1


def order_of(performance, words, environment):
    """What workers are told of a performance."""
    place, kept = performance.folder, performance.cache
    place.check()  # signs it
    shared = kept and (kept.root.parent, kept.limit)
    return Order(
        tuple(words), os.getcwd(), str(place.path), place.owner, environment, shared,
        performance.scale, performance.plan.costs,
    )  # fmt: skip


def make_pieces(todo, performance, order, executor, most):
    """Have pieces made, `most` at a time, each as soon as it can be."""
    running: dict = {}
    while todo:
        if performance.asked():
            order.end.touch()
        else:
            under_way = {*running.values()}
            ready = (
                call
                for call, piece in todo.items()
                if call not in under_way and todo.keys().isdisjoint(piece.needs)
            )
            for call in itertools.islice(ready, most - len(running)):
                with executors.deaf():
                    running[executor.submit(work, order, *told(todo[call]))] = call
        if not running:
            performance.heed()
        done, _ = concurrent.futures.wait(running, 1.0, concurrent.futures.FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: f.exception() is not None):
            call, made = running.pop(future), future.result()
            if made:  # and was not asked to end before
                piece = todo.pop(call)
                performance.note(piece, made.values)
                performance.tell(advanced(piece, piece.flops))
                count(performance, made)
        for call in [*running.values()][:1]:  # so that it can be seen to go on
            performance.tell(advanced(todo[call], 0.0))


def advanced(piece, flops):
    """What is said of work on a piece."""
    product = piece.product or piece.measures[0][0]
    return perform.Advanced(str(product), piece.repeats, flops)


def told(piece):
    """What a worker is told of a piece: digests stand for products."""
    measures = [(measure.digest, repeats) for measure, repeats in piece.measures]
    return piece.product and piece.product.digest, piece.repeats, measures


def count(performance, made):
    """Add what a worker has taken to what the run has."""
    for what, more in zip(("programs", "seconds"), made.compiled, strict=True):
        costs.compilations[what] += more
    for task, (seconds, flops) in made.usage.items():
        performance.usage[task] += seconds, flops
    performance.taken += made.taken


# In a worker.


OPENED: list = []
"""The `Order` of the run that this process works for, and that run: module, performance, products
by digest. A process of this machine works for one run, that of a cluster for one after another."""
ALONE = threading.Lock()
"""Held while a piece is made; workers of a cluster may have several threads."""


def work(order, product, repeats, measures):
    """Make a product of a run, and measures of it, all given by their digests; as `make`."""
    with ALONE:
        module, performance, known = run_of(order)
        digests = {product, *(digest for digest, _ in measures)} - {None}
        edited = f"The worker on {platform.node()} reads another experiment than the run"
        other = f"{edited}: a file was edited; restart it, and the same command goes on."
        if not digests <= known.keys():
            raise Stopped(other)
        wanted = [(known[digest], of) for digest, of in measures]
        piece = perform.Piece(product and known[product], repeats, {}, wanted, 0.0)
        try:
            with experiments.precision(module):
                return make(performance, piece)
        finally:  # what was read from files serves the next piece, too
            read = {call for call in performance.values if known[call[0]].mark("on_host")}
            performance.values = {call: performance.values[call] for call in read}


def run_of(order):
    """The run of an order as in `OPENED`; it is opened if the last piece was of another run."""
    if OPENED[:1] != [order]:
        forget()
        there = os.path.isdir(order.here) and os.path.isdir(order.path)
        blind = f"The worker on {platform.node()} does not see {order.path}"
        require(there, f"{blind}; give all workers the same folders.")
        os.chdir(order.here)
        machine.prepare()
        with experiments.read(order.words) as experiment:
            OPENED[:] = [order, experiment.module, *opened(order, experiment.settings)]
    return OPENED[1:]


def forget():
    """Let go of a run: its programs, and all modules of files that belong to no library."""
    OPENED.clear()
    products.STATIC.clear()
    for name, module in [*sys.modules.items()]:
        inside = [f"{folder}/any" for folder in getattr(module, "__path__", ())]
        files = filter(None, [getattr(module, "__file__", None), *inside])
        if not name.endswith("main__") and not all(map(identity.is_installed, files)):
            del sys.modules[name]
    identity.text_around.cache_clear()
    jax.clear_caches()


def make(performance, piece):
    """Make a `perform.Piece`; `Made`, or None if the run was asked to end."""
    performance.usage.clear()
    performance.taken = 0
    programs, seconds = costs.compilations["programs"], costs.compile_seconds()
    try:
        values = performance.make_piece(piece)
        performance.folder.settle()
    except KeyboardInterrupt:
        return None
    compiled = costs.compilations["programs"] - programs, costs.compile_seconds() - seconds
    values = jax.tree.map(np.asarray, values)
    return Made(values, dict(performance.usage), compiled, performance.taken)


def opened(order, settings):
    """A run as its worker performs it: (performance, products by digest)."""
    require(
        machine.environment().items() <= order.environment.items(),
        f"The worker on {platform.node()} has other code, libraries or processors than the run; "
        "give it the same, and restart it.",
    )
    place = folder.Store(order.path, order.owner)
    shared = None
    if order.shared:
        root, limit = order.shared
        shared = keeping.Cache(root, order.environment, order.scale[0], limit)
    planned = types.SimpleNamespace(costs=order.costs)
    performance = perform.Performance(settings, place, *order.scale, cache=shared, plan=planned)
    performance.asked = order.end.exists
    known, seen = {}, set()
    for wanted, repeats, _ in performance.wanted():
        if repeats == performance.groups[0]:
            calls = plan.calls(wanted, repeats, seen=seen)
            known |= {p.digest: p.replace(place="here") for p, _ in calls}  # repeats are told
    return performance, known
