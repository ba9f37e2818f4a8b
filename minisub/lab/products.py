"""Products: calls that have not been made yet. An experiment is a function that returns some.

    numbers = Product(emit, "numbers", emitter=teacher, world=world, sampling=sampling)

stands for `emit(key, emitter=<what teacher stands for>, world=world, sampling=sampling)` in every
repeat, where `key` is the random stream "numbers" of that repeat. Nothing is computed before it is
needed. Products of one task with equal arguments and one stream are equal, and are made once.
"""

import copy
import functools
import hashlib
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from minisub.config import require
from minisub.lab.identity import describe
from minisub.nets import watching
from minisub.nets.fit import Fit, Watch

PACKAGE = Path(__file__).parent.parent


class Product:
    """What `task(key, **arguments)` returns, or a part of it.

    Arguments may hold products, anywhere in their lists and dicts: the task is given what these
    stand for. Real numbers and arrays are traced, and so are a configuration's leaves; all else
    (whole numbers, names, functions) is static: another value is another program. A task whose
    `stream` is None takes no key. A task that trains returns a `Fit`, and its product stands for
    {"params": ...} and, if its updates are logged, {"log": ...}.
    """

    place = "here"
    """In which repeat it is made: "here", "before" (the repeat before), or "once" for all."""
    path: tuple = ()
    """Names that lead from what the call returns to the part that this product stands for."""
    measures: tuple = ()
    """Functions from the product to products of numbers, which are recorded."""
    controls: tuple = ()
    """Products that it is compared with."""
    given: dict = {}  # noqa: RUF012 - never changed
    """What the verb that made it was given, by name: tells what two products differ in."""

    def __init__(self, task, stream, /, **arguments):
        self.task, self.stream, self.arguments = task, stream, arguments
        self.written = line_outside()

    def __getitem__(self, name):
        """The part `name` of what this product stands for."""
        return self.replace(path=(*self.path, name))

    def replace(self, **fields):
        """The same product with other attributes; its call stays as it is."""
        other = copy.copy(self)
        other.__dict__.update(fields)
        return other

    @property
    def before(self):
        """The same product of the repeat before this one, whose models are strangers here."""
        return self.replace(place="before")

    @property
    def once(self):
        """The same product made once for all repeats of a run, with the key of the run.

        Raises `Refused` if it is made of products that every repeat makes anew.
        """
        others = [p for p in self.inputs if p.place != "once"]
        require(
            not others,
            f"{self.written}: {self.task.__name__} cannot be made once for all repeats, because it "
            f"reads {', '.join(p.task.__name__ for p in others)}, which each repeat makes anew; "
            "leave out .once.",
        )
        return self.replace(place="once")

    def measured(self, *measures):
        """The same product with more measures, each a function from it to a product of numbers."""
        return self.replace(measures=(*self.measures, *measures))

    def against(self, *controls):
        """The same product, to be compared with controls: the summary has the differences.

        What the two differ in is read off their calls and printed with the difference.
        """
        return self.replace(controls=(*self.controls, *controls))

    @property
    def inputs(self):
        """The products among the arguments, in order."""
        return split(self).inputs

    @property
    def saved(self):
        """Whether it is kept on disk: measures, and what is quickly made again, are not."""
        return self.stream is not None and not getattr(self.task, "quick", False)

    @property
    def on_host(self):
        """Whether its task is Python's work, such as reading files, and no program."""
        return getattr(self.task, "on_host", False)

    @functools.cached_property
    def call(self):
        """All that the call depends on but the key, as text that is the same in every process."""
        return describe((self.task, self.stream, self.arguments))

    @functools.cached_property
    def digest(self):
        """Sixteen hexadecimal digits of the call: equal products have equal digests."""
        return hashlib.sha256(self.call.encode()).hexdigest()[:16]

    def describe(self):
        """The product as an argument of others, see `identity.describe`."""
        return f"<{self.digest} {self.place} {self.path}>"

    def __repr__(self):
        return f"{self.task.__name__}-{self.digest}"


class Measure:
    """A function from a product, the task's argument `name`, to the product of the task's call.

    What a measure says of a product takes no part in its digest, so a measure can be added to what
    has been made.
    """

    def __init__(self, task, name, /, **arguments):
        self.task, self.name, self.arguments = task, name, arguments

    def __call__(self, product):
        made = Product(self.task, None, **{self.name: product}, **self.arguments)
        return made.replace(written=product.written)


class Split(NamedTuple):
    """The arguments of a call as a program takes them: products, traced numbers and arrays, and
    all the rest, hashable, with which `joined` puts the arguments together again."""

    inputs: list
    numbers: list
    static: tuple


def split(product):
    """The `Split` of a product's arguments."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(
        product.arguments, is_leaf=lambda x: isinstance(x, Product)
    )
    inputs, numbers, places = [], [], {}
    kinds: list = []
    shares = getattr(product.task, "shares_inputs", False)
    for path, x in leaves:
        if isinstance(x, Product):
            place = len(inputs)
            if shares:  # what several calls read is one input of their program
                place = places.setdefault(x.describe(), place)
            inputs += [x] if place == len(inputs) else []
            kinds.append(("input", place))
        elif is_traced(path, x):
            numbers.append(x)
            kinds.append(("number", None))
        else:  # of equal values always the first, so that one program serves them all
            kinds.append(("static", STATIC.setdefault(describe(x), x)))
    return Split(inputs, numbers, (tree, tuple(kinds), product.stream is not None))


STATIC: dict = {}


def joined(static, values, numbers):
    """The arguments that were split, with `values` in place of their products."""
    tree, kinds, _ = static
    left = iter(numbers)
    take = {"input": lambda i: values[i], "number": lambda _: next(left), "static": lambda x: x}
    return jax.tree.unflatten(tree, [take[kind](x) for kind, x in kinds])


def is_traced(path, x):
    """Whether an argument, or a leaf of one at this path, is traced."""
    of_configuration = isinstance(path[-1], jax.tree_util.GetAttrKey)
    if isinstance(x, int) and not isinstance(x, bool):
        return of_configuration  # which says itself that it is a leaf
    return isinstance(x, float | np.ndarray | np.generic | jax.Array)


def quick(task):
    """Mark a task whose product is made again rather than saved."""
    task.quick = True
    return task


def on_host(task):
    """Mark a task that is Python's work, such as reading files: it is not compiled or saved."""
    task.on_host = task.quick = True
    return task


def require_kind(kind, **given):
    """Raise `Refused` unless all that is given are products of a kind, a class of them."""
    for name, x in given.items():
        what = f"{type(x).__name__} of {x.written}" if isinstance(x, Product) else repr(x)
        require(
            isinstance(x, kind),
            f"`{name}` must be {kind.__name__}, and is {what}; see the verb's docstring.",
        )


def named_key(key, name):
    """The random stream `name` of a repeat; adding a stream never moves another."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def together(products):
    """The same products (a dict) trained side by side in one loop, where small models are faster.

    What they read in an update is gathered once. They must have one stream and one `Training`.
    None of them sees another.
    """
    kinds = {(p.stream, describe(p.arguments["training"])) for p in products.values()}
    require(
        len(kinds) == 1,
        f"{', '.join(products)} do not have one training; give them one, or train each alone.",
    )
    [(stream, _)] = kinds
    calls = {name: {"task": p.task, "arguments": p.arguments} for name, p in products.items()}
    joint = Product(side_by_side, stream, calls=calls)
    made = {
        name: joint["params"][name].replace(measures=p.measures, given=p.given)
        for name, p in products.items()
    }
    alike = {p.describe(): made[name] for name, p in products.items()}
    return {
        name: made[name].against(*(alike.get(c.describe(), c) for c in p.controls))
        for name, p in products.items()
    }


def side_by_side(key, calls):
    """One `Fit` of several, whose losses are summed; its parameters are a dict of theirs."""
    fits = {name: call["task"](key, **call["arguments"]) for name, call in calls.items()}
    first = next(iter(fits.values()))
    watches = {name: fit.watch for name, fit in fits.items() if fit.watch}

    def loss(params, key, *batch):
        return sum(fit.loss(params[name], key, *batch) for name, fit in fits.items())

    def log(params, gradient, updates):
        logged = {}
        for name, watch in watches.items():
            if watch.rows:
                row = watch.log(params[name], gradient[name], updates[name])
                logged |= {f"{name}/{key}": x for key, x in row.items()}
        return logged

    def edit(params, updates, key):
        changed = {n: watch.edit(params[n], updates[n], key) for n, watch in watches.items()}
        return updates | changed

    rows = max((watch.rows for watch in watches.values()), default=0)
    watch = Watch(rows, log, edit) if watches else None
    starts = {name: fit.start for name, fit in fits.items()}
    return Fit(first.training, loss, starts, first.batches, watch)


side_by_side.shares_inputs = True  # type: ignore[attr-defined]


def log_of(params):
    """The measure of what was logged while parameters were trained, alone or side by side."""
    log, who = params.replace(path=("log",)), "/".join(params.path[1:])
    return Product(logged, None, log=log, who=who)


def logged(*, log, who=""):
    """What was logged while a student trained, and means of it; `who` is its name among several."""
    prefix = f"{who}/" if who else ""
    mine = {k.removeprefix(prefix): x for k, x in log.items() if k.startswith(prefix)}
    return watching.measured(mine | {"step": log["step"]})


def line_outside():
    """FILE:LINE of the call that came from outside this package, where an experiment says it."""
    frame = sys._getframe(2)
    while frame.f_back and Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
