"""An experiment that a command line asks for: its named products, and what is written of them."""

import contextlib
import dataclasses
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from minisub import arguments, config
from minisub.config import require
from minisub.images.together import side_by_side
from minisub.lab import products, run
from minisub.lab.identity import describe


class Experiment(NamedTuple):
    """What a command line asks for."""

    words: list
    """Of the command line: a config, then options."""
    module: Any
    """Of its config."""
    command: arguments.Command
    settings: list
    """(swept values, name -> products) of each setting; of the names of --only alone."""
    differences: list
    """Those that it states between two of its names, see `differences_of`."""

    @property
    def title(self):
        """The name of its config, with the kind if that is not the config's usual one."""
        kind = getattr(self.command.config, "kind", "")
        own = f"-{kind}" if kind != getattr(self.module.config, "kind", "") else ""
        return f"{Path(self.words[0]).stem}{own}"

    def described(self, made_by):
        """What experiment.json says of it; `made_by` is what the bits of results depend on."""
        return {
            "title": self.title,
            "claim": arguments.claim_of(self.module.__file__),
            "command": shlex.join([*arguments.PROGRAM.split(), *self.words]),
            "differences": self.differences,
            "file": Path(self.module.__file__).read_text(encoding="utf-8"),
            "config": arguments.fields_of(self.command.config),
            "made_by": made_by | {"repeats": self.command.repeats},
            "settings": describe_experiment(self.settings),
        }


@contextlib.contextmanager
def read(words):
    """The `Experiment` of a command line, in a context in which JAX computes as it asks for.

    `words` are the name of a config, then options; raises `Refused`.
    """
    name, *options = words
    module = arguments.load(name)
    command = arguments.parse(name, module, options)
    with precision(module):
        configured = arguments.settings(name, module, command)
        every = [(swept, products_of(module, cfg)) for swept, cfg in configured]
        settings = [(swept, chosen(made, command.only)) for swept, made in every]
        # A control that has no name is refused, even if --only leaves it out.
        stated: dict = {}
        for (_, made), (_, there) in zip(every, settings, strict=True):
            for each in differences_of(made):
                if {each["one"], each["other"]} <= there.keys():
                    stated.setdefault((each["one"], each["other"]), each)
        yield Experiment([*words], module, command, settings, [*stated.values()])


def precision(module):
    """A context in which JAX computes an experiment in the precision that its module asks for."""
    float64 = getattr(module, "float64", False)
    return jax.enable_x64(True) if float64 else contextlib.nullcontext()


def products_of(module, cfg):
    """Name -> products of a config's experiment. A refusal says in which line it was."""
    with arguments.blaming(module.__file__):
        made = module.experiment(cfg)
    require_names(made, f"{Path(module.__file__).name}: `experiment` returned")
    return made


def chosen(made, only=()):
    """Of named products those of `only` alone, if there are any; raises `Refused` for no name."""
    for name in only:
        config.require_known("--only", name, made)
    named = {name: p for name, p in made.items() if not only or name in only}
    line = run.tuple_of(next(iter(named.values())))[0].written
    measured = any(run.measures_of(products) for products in named.values())
    require(measured, f"{line}: {', '.join(named)} has no measure; see Measure in the README.")
    return named


def require_names(made, who):
    """Raise `Refused` unless an experiment returned a dict of names and their products."""
    remedy = "return a dict of names, each with a product or a tuple of products."
    require(isinstance(made, dict) and made, f"{who} {made!r:.60}; {remedy}")
    for name, given in made.items():
        printable = isinstance(name, str) and name.isprintable() and name.strip()
        kinds = [isinstance(p, products.Product) for p in run.tuple_of(given)]
        require(printable, f"{who} the name {name!r}; {remedy}")
        require(kinds and all(kinds), f"{who} {given!r:.60} by the name {name!r}; {remedy}")


def describe_experiment(settings):
    """What the names of settings, (swept values, named products) each, stand for, as JSON."""
    return [
        {
            "swept": swept,
            "names": {
                name: [describe_product(p) for p in run.tuple_of(products)]
                for name, products in named.items()
            },
        }
        for swept, named in settings
    ]


def describe_product(product):
    """A product as `Named` reads it."""
    given = product.arguments
    if product.task is side_by_side:
        given = given["calls"][product.path[1]]["arguments"]
    configuration = {
        name: plain(value)
        for name, value in given.items()
        if dataclasses.is_dataclass(value) or isinstance(value, str | int | float | np.generic)
    }
    return {
        "product": str(product),
        "path": list(product.path),
        "place": product.place,
        "written": product.written,
        "saved": product.saved,
        "configuration": configuration,
    }


def differences_of(named):
    """The differences that an experiment states: {"one", "other", "in": what they differ in}.

    Raises `Refused` for a control that has no name.
    """
    each = [(name, p) for name, products in named.items() for p in run.tuple_of(products)]
    names = {product.describe(): name for name, product in reversed(each)}
    stated = []
    for name, product in each:
        for control in product.controls:
            other = names.get(control.describe())
            require(
                other,
                f"{product.written}: {name!r} is compared with {control.task.__name__} of "
                f"{control.written}, which has no name; return it by a name too.",
            )
            stated.append({"one": name, "other": other, "in": differing(product, control)})
    return stated


def differing(one, other):
    """Names of what two products differ in: of what their verbs were given, such as "documents"."""
    if one.task is not other.task:
        return ["how they are made"]
    pairs = {name: (one.given.get(name), other.given.get(name)) for name in one.given | other.given}
    return [name for name, (a, b) in pairs.items() if describe(a) != describe(b)]


def plain(value):
    """A configuration or number as JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        return np.asarray(value).tolist()
    if isinstance(value, tuple | list):
        return [plain(x) for x in value]
    return value if isinstance(value, int | float | str | dict | None) else str(value)
