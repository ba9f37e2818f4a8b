"""What a run leaves, for a notebook or another program: see the README for an example."""

import dataclasses
import functools
import importlib
import json
from pathlib import Path

import jax
import numpy as np

from minisub.config import require, require_known
from minisub.lab import files, folder, run
from minisub.lab.identity import describe
from minisub.lab.together import side_by_side


class Run:
    """A run's folder: its names, and its records."""

    def __init__(self, path):
        """Read what is in a folder; raises `Refused` if it holds no run."""
        self.path = Path(path).absolute()
        note = self.path / "experiment.json"
        require(note.is_file(), f"{path} holds no run (no experiment.json); choose another folder.")
        with files.refusing(f"{note} cannot be read", "choose another folder"):
            try:
                self.experiment = json.loads(note.read_bytes())
                self.settings = self.experiment["settings"]
            except (ValueError, KeyError, TypeError):
                self.settings = None
        require(self.settings, f"{note} is damaged; run the same command again to mend it.")
        self.names = list(self.settings[0]["names"])

    def __repr__(self):
        return f"Run({str(self.path)!r}: {', '.join(self.names)})"

    def __getitem__(self, name):
        """What a name of the experiment stands for; raises `Refused` for another."""
        require_known("A name of this run", name, self.names)
        return Named(self, name)

    @functools.cached_property
    def records(self):
        """All that was measured, as a DataFrame: see `results.records.frame`."""
        from minisub.results import records

        return records.frame(self.path / "records.jsonl")


class Named:
    """What one name of a run's experiment stands for, in every repeat and setting."""

    def __init__(self, run, name):
        self.run, self.name = run, name

    def products(self, setting=0):
        """The products of this name, as they are described in experiment.json."""
        return self.run.settings[setting]["names"][self.name]

    def configuration(self, setting=0):
        """The configurations that its first product was made with: `world`, `model`, ..."""
        described = self.products(setting)[0]["configuration"]
        return {name: rebuilt(value) for name, value in described.items()}

    def params(self, repeat=0, setting=0):
        """The parameters of a model, a tree of arrays; raises `Refused` if it is none."""
        return self.part(repeat, setting, lambda value: "docs" not in value, "model")

    def documents(self, repeat=0, setting=0):
        """Emitted documents, {"docs": (n, l), "count": how many passed the filter, ...}."""
        return self.part(repeat, setting, lambda value: "docs" in value, "documents")

    def part(self, repeat, setting, fits, kind):
        """The first of its products that fits, in one repeat."""
        for product in self.products(setting):
            value = self.read(product, repeat)
            if value is not None and fits(value):
                return value
        require(
            False,
            f"{self.run.path} has no {kind} of {self.name!r} in repeat {repeat}; choose a repeat "
            "that the run kept (--keep all keeps every one).",
        )

    def read(self, product, repeat):
        """The value of a product in a repeat, or None if it is not on disk."""
        wanted = None if product["place"] == "once" else repeat
        for path in (self.run.path / "products" / product["product"]).glob("[!.]*"):
            low, _, high = path.name.partition("..")
            if wanted is None:
                if path.name == "run":
                    return run.part(folder.read(path)[1], product["path"])
            elif path.name != "run" and int(low) <= wanted <= int(high or low):
                tree = folder.read(path)[1]
                row = wanted - int(low)
                return tree and run.part(
                    jax.tree.map(lambda x, row=row: x[row], tree), product["path"]
                )
        return None


load = Run


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
    arguments = product.arguments
    if product.task is side_by_side:
        arguments = arguments["calls"][product.path[1]]["arguments"]
    configuration = {
        name: plain(value)
        for name, value in arguments.items()
        if dataclasses.is_dataclass(value) or isinstance(value, str | int | float | np.generic)
    }
    return {
        "product": str(product),
        "path": list(product.path),
        "place": product.place,
        "written": product.written,
        "configuration": configuration,
    }


def differences_of(named):
    """The differences that an experiment states: {"one", "other", "in": what they differ in}.

    Raises `Refused` for a control that has no name.
    """
    names = {}
    for name, products in named.items():
        for product in run.tuple_of(products):
            names.setdefault(product.describe(), name)
    stated = []
    for name, products in named.items():
        for product in run.tuple_of(products):
            for control in product.controls:
                other = names.get(control.describe())
                require(
                    other,
                    f"{product.written}: {name!r} is compared with {control.task.__name__} of "
                    f"{control.written}, which has no name; return it by a name too.",
                )
                differs = differing(product, control)
                stated.append({"one": name, "other": other, "in": differs})
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
    if isinstance(value, np.generic):
        return value.item()
    return list(value) if isinstance(value, tuple) else value


def rebuilt(value):
    """Undo `plain`: a configuration of a class of this package, or the number."""
    if not isinstance(value, dict):
        return tuple(value) if isinstance(value, list) else value
    module, _, name = value["class"].partition(":")
    fields = {name: rebuilt(x) for name, x in value["fields"].items()}
    if not module.startswith("minisub."):
        return fields
    return getattr(importlib.import_module(module), name)(**fields)
