"""What a run leaves, for a notebook or another program: see the README for an example."""

import contextlib
import dataclasses
import functools
import importlib
import json
from pathlib import Path

import jax
import numpy as np

from minisub.config import require, require_known
from minisub.images.together import side_by_side
from minisub.lab import files, folder, run
from minisub.lab.identity import describe


class Run:
    """A run's folder: its names, and its records."""

    def __init__(self, path):
        """Read what is in a folder; raises `Refused` if it holds no run."""
        self.path = Path(path).absolute()
        note = self.path / "experiment.json"
        with files.refusing(f"{note} cannot be read", "choose another folder"):
            none = f"There is no experiment.json in {str(path)!r}, which holds no run"
            require(note.is_file(), f"{none}; choose another folder.")  # may raise an OSError
            try:
                self.experiment = json.loads(note.read_bytes())
                self.settings = self.experiment["settings"]
                self.names = list(self.settings[0]["names"])
                self.repeats = int(self.experiment["made_by"]["repeats"])
                products = [self[name].products() for name in self.names]
                whole = all(p["product"] for each in products for p in each)
            except (ValueError, LookupError, TypeError):
                whole = False
        require(whole, f"{note} is damaged; run the same command again to mend it.")

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
        require_index("setting", setting, len(self.run.settings))
        return self.run.settings[setting]["names"][self.name]

    def configuration(self, setting=0):
        """The configurations that its first product was made with: `world`, `model`, ..."""
        described = self.products(setting)[0]["configuration"]
        return {name: rebuilt(value) for name, value in described.items()}

    def params(self, repeat=0, setting=0):
        """The parameters of a model, a tree of arrays; raises `Refused` if it is none."""
        return self.part(repeat, setting, "model")

    def documents(self, repeat=0, setting=0):
        """Emitted documents, {"docs": (n, l), "count": how many passed the filter, ...}."""
        return self.part(repeat, setting, "documents")

    def part(self, repeat, setting, kind):
        """The first of its products that is a model, or documents, in one repeat."""
        products = self.products(setting)
        require_index("repeat", repeat, self.run.repeats)
        there = [x for x in (self.read(p, repeat) for p in products) if x is not None]
        for value in there:
            if kind == ("documents" if "docs" in value else "model"):
                return value
        if there and kind == "documents":
            said = "is a model; read its params(), or --format npz or safetensors"
        elif there:
            said = "is documents; read its documents(), or --format jsonl"
        elif not any(p.get("saved", True) for p in products):
            said = "is quickly made again and never saved; choose another name"
        elif (self.run.path / "dropped.json").exists():
            said = "was dropped when the run ended; the same command with --keep all makes it again"
        else:
            said = "is not on disk; let the run finish (the same command goes on with it)"
        require(False, f"{self.name!r} of {self.run.path}, repeat {repeat}, {said}.")

    def read(self, product, repeat):
        """The value of a product in a repeat, or None if it is not on disk."""
        once = product["place"] == "once"
        for path in folder.whole(self.run.path, product["product"]):
            low, _, high = path.name.partition("..")
            if once != (low == "run") or not (once or int(low) <= repeat <= int(high or low)):
                continue
            _, tree = folder.read(path)
            remedy = "remove it and give the command of the run again"
            require(tree is not None, f"{path} is damaged; {remedy}.")
            row = ... if once else repeat - int(low)
            return run.part(jax.tree.map(lambda x, row=row: x[row], tree), product["path"])
        return None


load = Run


def require_index(what, index, count):
    """Raise `Refused` for a repeat or a setting that a run does not have."""
    there = isinstance(index, int | np.integer) and 0 <= index < count
    require(there, f"There is no {what} {index!r}; the run has {what}s 0 to {count - 1}.")


def left_out(path, experiment):
    """A sentence about records in a run's folder that an `experiment` will not have, or ""."""
    gone: list = []
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        if (path / "records.jsonl").exists():  # and where no whole experiment.json is, none
            before = json.loads((path / "experiment.json").read_bytes())
            gone = [x for x in held(before) if x not in held(experiment)]
    if not gone:
        return ""
    more = f" and {len(gone) - 2} more" if len(gone) > 2 else ""
    return (
        f"{path} held records of {', '.join(gone[:2])}{more} that this command does not make; "
        "records.jsonl will not have them (the command that made them brings them back; give "
        "--out to keep both)."
    )


def held(experiment):
    """Of what names, settings of a sweep and repeats an experiment.json has records, in words."""
    settings, repeats = experiment["settings"], experiment["made_by"]["repeats"]
    names = [name for each in settings for name in each["names"]]
    swept = [f"{field}={x}" for each in settings for field, x in each["swept"].items()]
    return dict.fromkeys([*names, *swept, *(f"repeat {i}" for i in range(repeats))])


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
    if isinstance(value, np.generic | jax.Array):
        return np.asarray(value).tolist()
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
