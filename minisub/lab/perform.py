"""An experiment performed product by product: each is kept when it is made, and found again.

`run` composes the same functions. What is in a run's folder is not made again.
"""

import collections
import shutil
import time
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from minisub.config import Stopped
from minisub.lab import costs, run
from minisub.lab.plan import Plan, calls, last_uses, repeats_of
from minisub.lab.products import Product
from minisub.nets import fit, streams


class Advanced(NamedTuple):
    """Work done since the last event."""

    product: str
    repeats: tuple
    flops: float


class Piece(NamedTuple):
    """What is made at once: a product that is kept, with what is measured of it."""

    product: Product | None
    """None if it is there, and something is to be measured of it."""
    repeats: tuple
    needs: dict
    """Calls of pieces that must be made before."""
    measures: list
    """(measure, repeats) that can be taken then."""
    flops: float


class Performance:
    """Settings of a sweep, each (swept values, named products), over repeats, into a `Folder`.

    Repeats are made in groups of `group`, each group in one program. Raises `Refused` if something
    cannot be made. A training under way is kept every `seconds`, between segments of `segment`
    steps. `cache` is a `Cache` of what other runs have made, or None; `plan` is that of the
    settings, for such groups, if it has been made. `usage` is task -> (seconds, operations), and
    `values` are the products that are at hand. `tell` is called with each `Advanced` and with each
    list of new rows, and `asked` says whether the process was asked to end.
    """

    def __init__(
        self, settings, folder, seed=0, repeats=1, group=1, *, segment=100, seconds=10.0,
        cache=None, plan=None,
    ):  # fmt: skip
        self.settings, self.folder, self.seed, self.cache = settings, folder, seed, cache
        self.segment, self.seconds, self.saved_at = segment, seconds, time.monotonic()
        firsts = range(0, repeats, group)
        self.groups = [tuple(range(i, min(i + group, repeats))) for i in firsts]
        self.keys, self.scale = run.repeat_keys(seed, repeats), (seed, repeats, group)
        self.values, self.usage = {}, collections.defaultdict(lambda: np.zeros(2))
        self.taken, self.asked, self.tell = 0, lambda: False, lambda event: None
        self.plan = plan or Plan((named for _, named in settings), len(self.groups[0]))
        self.names = {}
        for measure, of, where in (wanted for wanted in self.wanted() if wanted[2]):
            self.names.setdefault((measure.digest, of), []).append(where)

    def wanted(self):
        """All that is wanted, in order: (product, repeats, where), `where` being (swept values,
        name) if the product is a measure, and None otherwise."""
        for repeats in self.groups:
            for swept, named in self.settings:
                for name, products in named.items():
                    yield from ((product, repeats, None) for product in run.tuple_of(products))
                    for measure in run.measures_of(products):
                        yield measure, repeats, (swept, name)

    def there(self, product, repeats, even_dropped=True):
        """Whether a product, or what a measure says, is on disk."""
        if not product.saved:
            return self.folder.measures(product, repeats) is not None
        if even_dropped:
            return self.folder.holds(product, repeats)
        return self.folder.where(product, repeats).exists()

    def left(self):
        """What is not on disk yet: (product, repeats, operations), in the order of making."""
        seen, at_hand = set(), partial(self.there, even_dropped=False)
        for wanted, repeats, where in self.wanted():
            if where or wanted.saved:
                for product, of in calls(wanted, repeats, self.there, seen, at_hand):
                    yield product, of, self.operations(product, of)

    def operations(self, product, repeats):
        """Operations of a call; 0 if other runs have made what it makes."""
        if self.cache and product.mark("shared") and self.cache.where(product, repeats).exists():
            return 0.0
        return self.plan.costs[product.digest].flops * max(len(repeats), 1)

    def pieces(self):
        """What is left, as (digest, repeats) -> `Piece`, in the order of making."""
        made, order = {}, {}

        def needs(product, repeats):
            """The pieces that a product is made of, also through what is not kept."""
            found: dict = {}
            for p in product.inputs:
                call = p.digest, repeats_of(p, repeats)
                found |= {call: None} if call in made else {} if p.saved else needs(p, call[1])
            return found

        for product, repeats, flops in self.left():
            call, before = (product.digest, repeats), needs(product, repeats)
            order[call] = len(order)
            if product.saved:
                made[call] = Piece(product, repeats, before, [], flops)
            elif call in self.names:  # is taken when the last product that it needs is made
                last = max(before, key=order.__getitem__, default=call)
                piece = made.get(last, Piece(None, repeats, {}, [], 0.0))
                needed = piece.needs | {call: None for call in before if call != last}
                measures = [*piece.measures, (product, repeats)]
                more = {"needs": needed, "measures": measures, "flops": piece.flops + flops}
                made[last] = piece._replace(**more)
        return made

    def make_all(self):
        """Make what is left, piece by piece.

        Raises `Stopped` if it cannot go on, and KeyboardInterrupt once `asked()` is true: all that
        was made is saved then.
        """
        pieces = [*self.pieces().values()]
        last = last_uses(pieces)
        for i, piece in enumerate(pieces):
            self.note(piece, self.make_piece(piece))
            self.values = {call: x for call, x in self.values.items() if last[call] > i}
        self.folder.settle()
        shutil.rmtree(self.folder.path / "under way", ignore_errors=True)

    def make_piece(self, piece):
        """Make and keep a piece's product, and return what its measures are, in order."""
        if piece.product:
            self.make(piece.product, piece.repeats)
        return [self.make(measure, repeats) for measure, repeats in piece.measures]

    def note(self, piece, values):
        """Keep what was measured, and tell its rows, a list for each measure of a name."""
        for (measure, repeats), made in zip(piece.measures, values, strict=True):
            names = self.names[measure.digest, repeats]
            bad = [x for x, values in made.items() if not np.isfinite(values).all()]
            if bad and not measure.mark("partial"):
                raise Stopped(
                    f"{measure.written}: {', '.join(bad)} of {names[0][1]} in repeats {repeats} is "
                    "not a number; change that line, and what was made before is kept."
                )
            measured = self.folder.note(measure, repeats, made)
            for where in names:
                self.tell([*rows_of(measured, repeats, *where)])

    def rows(self):
        """The rows of all that was measured, in the order of what is wanted."""
        for measure, repeats, where in self.wanted():
            if where:
                yield from rows_of(self.folder.measures(measure, repeats), repeats, *where)

    def make(self, product, repeats):
        """What a product stands for in a group of repeats: at hand, read, or made now."""
        repeats = repeats_of(product, repeats)
        call = product.digest, repeats
        if call not in self.values:
            there = self.read(product, repeats) if product.saved else None
            self.values[call] = self.perform(product, repeats) if there is None else there
        return run.part(self.values[call], product.path)

    def read(self, product, repeats):
        """A product from the run's folder or that of other runs; None if it is in neither."""
        there = self.folder.load(product, repeats)
        if there is None and self.cache and product.mark("shared"):
            self.cache.copy_to(self.folder, product, repeats)
            there = self.folder.load(product, repeats)
            self.taken += there is not None
        return there

    def perform(self, product, repeats):
        """Make a product, and before it what it is made of; keep it, if it is to be kept."""
        self.heed()
        values = [self.make(p, repeats) for p in product.inputs]
        if product.mark("on_host"):
            return run.called_on_host(product, values)
        arguments = run.program_arguments(product, values, self.streams(product, repeats))
        made = self.compute(product, repeats, arguments)
        if not repeats:  # was made as a group of one
            made = jax.tree.map(lambda x: x[0], made)
        self.keep(product, repeats, made)
        return made

    def compute(self, product, repeats, arguments):
        """What a call makes; its programs take `arguments` first."""
        cost, n, name = self.plan.costs[product.digest], max(len(repeats), 1), product.task.__name__
        with costs.timed(self.usage, name, n * cost.begin):
            made = jax.block_until_ready(run.begin(*arguments))
        self.tell(Advanced(str(product), repeats, n * cost.begin))
        if not isinstance(made, fit.State):
            return made
        step, state = self.folder.load_state(product, repeats, made)
        size = self.segment  # whole epochs if they are short, because their order is drawn anew
        if 0 < cost.epoch <= size:
            size = cost.epoch * -(-size // cost.epoch)
        while step < cost.steps:
            first, step = step, min(step + size, cost.steps)
            done = n * (step - first) * cost.step
            with costs.timed(self.usage, name, done):
                state = run.advance()(*arguments, state, np.int32(first), np.int32(step))
                require_finite(product, np.asarray(state.bad_step), repeats)
            self.tell(Advanced(str(product), repeats, done))
            due = self.asked() or time.monotonic() - self.saved_at > self.seconds
            if due and step < cost.steps:
                self.folder.save_state(product, repeats, state, step)
                self.saved_at = time.monotonic()
                self.heed()  # at its end it is kept first
        with costs.timed(self.usage, name, 0):
            return jax.block_until_ready(run.end(state))

    def keep(self, product, repeats, made):
        """Save a product that is to be kept; raises `Stopped` if the run cannot go on with it."""
        check = product.mark("check")
        said = check(made, **product.arguments) if check else ""
        if said:
            raise Stopped(f"{product.written}, {product} in repeats {repeats}: {said}")
        if product.saved:
            self.folder.save(product, repeats, made)
            if self.cache and product.mark("shared"):
                self.cache.copy_from(self.folder, product, repeats)

    def heed(self):
        """Raise KeyboardInterrupt if the process was asked to end, when all is on disk."""
        if self.asked():
            self.folder.settle()
            raise KeyboardInterrupt

    def streams(self, product, repeats):
        """The product's key in each repeat of a group; that of the run if it is made once."""
        keys = self.keys[np.array(repeats)] if repeats else jax.random.key(self.seed)[None]
        return jax.vmap(lambda key: streams.named_key(key, product.stream or ""))(keys)


def require_finite(product, bad_step, repeats):
    """Raise `Stopped` if a loss was not finite; `bad_step` (repeats,) is its first step or -1."""
    for repeat, step in zip(repeats or ("all",), bad_step, strict=True):
        if step >= 0:
            raise Stopped(
                f"{product.written}, {product}: the loss in repeat {repeat} was not finite at step "
                f"{step}; lower its learning rate (what was made before is kept)."
            )


def rows_of(measured, repeats, swept, name):
    """Measures as rows of records.jsonl; what was logged has a row for each step."""
    for i, repeat in enumerate(repeats):
        where = {"setting": swept, "repeat": repeat, "arm": name}
        for measure, values in measured.items():
            if values.ndim == 1:
                if np.isfinite(values[i]):  # all are, but in measures that may lack a value
                    yield {**where, "measure": measure, "value": float(values[i])}
            elif measure != "step":
                for step, x in zip(measured["step"][i], values[i], strict=True):
                    if step >= 0:
                        yield {**where, "measure": measure, "value": float(x), "step": int(step)}
