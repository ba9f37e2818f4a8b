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
import traceback
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from minisub.config import require
from minisub.lab.identity import describe, is_installed


class Product:
    """What `task(key, **arguments)` returns, or a part of it.

    Arguments may hold products, anywhere in their lists, dicts and `jax.tree_util.Partial`s: the
    task is given what these stand for. Real numbers and arrays are traced, and so are a
    configuration's leaves; all else (whole numbers, names, functions) is static: another value is
    another program. A task whose `stream` is None takes no key. A task that trains returns a `Fit`,
    and its product stands for {"params": ...} and, if its updates are logged, {"log": ...}.
    """

    place = "here"
    """How often it is made: "here" in every repeat, "once" for all repeats of a run."""
    path: tuple = ()
    """Names that lead from what the call returns to the part that this product stands for."""
    measures: tuple = ()
    """Functions from the product to products of numbers, which are recorded."""
    controls: tuple = ()
    """Products that it is compared with."""
    given: dict = {}  # noqa: RUF012 - never changed
    """What the verb that made it was given, by name: tells what two products differ in."""
    __iter__ = None  # parts have names, and no order

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
        for measure in measures:
            try:
                made = measure(self)
            except Exception as error:  # of a function of arrays, which is given a product
                made = error
            name = getattr(measure, "__name__", measure)
            remedy = f'wrap a function of arrays: Measure({name}, "params")'
            fits = isinstance(made, Product) and not made.saved and made.place == "here"
            require(fits, f"The measure {name} gave {made!r}; {remedy}.")
        return self.replace(measures=(*self.measures, *measures))

    def against(self, *controls):
        """The same product, to be compared with controls: the summary has the differences.

        What the two differ in is read off their calls and printed with the difference.
        """
        for control in controls:
            require_kind(Product, control=control)
        return self.replace(controls=(*self.controls, *controls))

    @property
    def inputs(self):
        """The products among the arguments, in order."""
        return split(self).inputs

    @property
    def saved(self):
        """Whether it is kept on disk: measures, and what is quickly made again, are not."""
        return self.stream is not None and not self.mark("quick")

    def mark(self, name):
        """What its task is `marked` with by this name, or None."""
        return getattr(self.task, name, None)

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
        return Product(self.task, None, **{self.name: product}, **self.arguments)


class Split(NamedTuple):
    """The arguments of a call as a program takes them: products, traced numbers and arrays, and
    all the rest, hashable, with which `joined` puts the arguments together again."""

    inputs: list
    numbers: list
    static: tuple


STATIC: dict = {}
"""Text of a static argument -> the first such value that this process met."""


def split(product):
    """The `Split` of a product's arguments."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(
        product.arguments, is_leaf=lambda x: isinstance(x, Product)
    )
    inputs, numbers, kinds = [], [], []
    places: dict = {}
    for i, (path, x) in enumerate(leaves):
        if isinstance(x, Product):
            name = x.describe() if product.mark("shares_inputs") else i
            kinds.append(("input", places.setdefault(name, len(inputs))))
            inputs += [x] if len(places) > len(inputs) else []
        elif is_traced(path, x):
            numbers.append(x)
            kinds.append(("number", None))
        else:  # of equal values always the first, so that one program serves them all
            kinds.append(("static", STATIC.setdefault(describe(x), x)))
    return Split(inputs, numbers, (tree, tuple(kinds), product.stream is not None))


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


def marked(**marks):
    """A decorator that notes how the products of a task are made and kept.

    `quick`: they are made again rather than saved. `on_host`: the task is Python's work, such as
    reading files, and is not compiled. `shared`: later runs find them in the user's cache folder.
    `shares_inputs`: what several of its arguments read is one input of its program. `check`:
    (made, **arguments) -> a sentence if the run cannot go on with what was made, else "".
    `partial`: what is NaN was not measured, and has no row; of other measures it stops the run.
    """

    def note(task):
        vars(task).update(marks)
        return task

    return note


quick, shared = marked(quick=True), marked(shared=True)
on_host = marked(on_host=True, quick=True)


def require_kind(kind, **given):
    """Raise `Refused` unless all that is given are products of a kind, a class of them."""
    for name, x in given.items():
        what = f"{type(x).__name__} of {x.written}" if isinstance(x, Product) else f"{x!r:.60}"
        joining = isinstance(x, tuple | list) and name == "documents"
        remedy = "join documents with lab.mix" if joining else "see the verb's docstring"
        require(isinstance(x, kind), f"`{name}` must be {kind.__name__}, and is {what}; {remedy}.")


def line_outside():
    """FILE:LINE of the call that came from outside this package, where an experiment says it."""
    frame = sys._getframe(2)
    while frame.f_back and is_installed(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def line_of(error):
    """The last line of an experiment's that an exception passed, as "FILE:LINE: ", or ""."""
    frames = [(x.filename, x.lineno) for x in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        frames.append((error.filename or "", error.lineno))
    theirs = [x for x in frames if x[0].endswith(".py") and not is_installed(x[0])]
    return f"{Path(theirs[-1][0]).name}:{theirs[-1][1]}: " if theirs else ""
