"""What a run leaves, for a notebook and as files; see the README for an example."""

import contextlib
import dataclasses
import functools
import importlib
import io
import json
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import tyro

from minisub import keeping
from minisub.config import Refused, require, require_known
from minisub.lab import files, folder, run
from minisub.nets import trees


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
                self.names = [*dict.fromkeys(x for each in self.settings for x in each["names"])]
                made_by = self.experiment["made_by"]
                self.repeats, self.group = int(made_by["repeats"]), int(made_by.get("group", 1))
                named = [products for each in self.settings for products in each["names"].values()]
                whole = all(p["product"] and p["place"] for each in named for p in each)
            except (ValueError, LookupError, TypeError):
                whole = False
        require(whole, f"{note} is damaged; run the same command again to mend it.")

    def __repr__(self):
        return f"Run({str(self.path)!r}: {', '.join(self.names)})"

    def __getitem__(self, name):
        """What a name of the experiment stands for; raises `Refused` for another."""
        require_known("The name", name, self.names)
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
        there = self.run.settings[setting]["names"]
        require_known(f"The name in setting {setting}", self.name, there)
        return there[self.name]

    def configuration(self, setting=0):
        """The configurations that its first product was made with: `world`, `model`, ..."""
        return self.configurations(setting)[0]

    def configurations(self, setting=0):
        """Those of each of its products; raises `Refused` for those of another version."""
        try:
            each = [p["configuration"] for p in self.products(setting)]
            return [{name: rebuilt(value) for name, value in given.items()} for given in each]
        except (ValueError, LookupError, TypeError, AttributeError, ImportError):
            said = f"{self.run.path} was written by another version, or is damaged"
            raise Refused(f"{said}; give the command of the run again.") from None

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
            if kind == ("documents" if isinstance(value, dict) and "docs" in value else "model"):
                return value
        if there and kind == "documents":
            said = "is a model without documents; read its params(), or --format npz or safetensors"
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
        once, first = product["place"] == "once", repeat - repeat % self.run.group
        group = range(first, min(first + self.run.group, self.run.repeats))
        there = self.run.path / "products" / product["product"]
        path = there / folder.label(() if once else group)
        if not path.exists():
            return None
        _, tree = folder.read(path)
        remedy = "remove it and give the command of the run again"
        require(tree is not None, f"{path} is damaged; {remedy}.")
        row = ... if once else repeat - first
        return run.part(jax.tree.map(lambda x: x[row], tree), product["path"])


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


def rebuilt(value):
    """Undo `plain`: a configuration of a class of this package, or the number."""
    if not isinstance(value, dict):
        return tuple(value) if isinstance(value, list) else value
    module, _, name = value["class"].partition(":")
    fields = {name: rebuilt(x) for name, x in value["fields"].items()}
    if not module.startswith("minisub."):
        return fields
    kind = getattr(importlib.import_module(module), name)
    if not isinstance(kind, type):  # whoever wrote it, no function is called
        raise TypeError(name)
    return kind(**fields)


# Files for other programs.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model or documents of a run as a file: parameters by path, or a document a line."""

    run: tyro.conf.Positional[str]
    """Folder of the run."""
    name: tyro.conf.Positional[str]
    """A name of its experiment, such as teacher."""
    format: Literal["jsonl", "safetensors", "npz"] = "jsonl"
    """jsonl: documents, a JSON list of token ids a line, which `audit` reads; safetensors or npz:
    the parameters of a model."""
    out: str = ""
    """The file (default: NAME.FORMAT in the present folder)."""
    repeat: int = 0
    setting: int = 0
    """Which setting of a sweep, counted from 0."""
    rejected: bool = False
    """Also documents that the filter rejected."""


def export(command):
    """Write the file of an `Export`; return a sentence that says what it holds."""
    named = Run(command.run)[command.name]
    out = Path(command.out or f"{command.name.replace('/', '-')}.{command.format}")
    where = command.repeat, command.setting
    with files.refusing(f"{out} cannot be written", "choose another --out"):
        keeping.destination(out)
        if command.format == "jsonl":
            lines = rows_of(named.documents(*where), command.rejected)
            files.write_atomically(out, "".join(lines))
            return f"{out} holds {len(lines):,} documents."
        arrays = trees.flat(named.params(*where))
        write_arrays(out, arrays, command.format)
    return f"{out} holds {len(arrays)} arrays, {sum(x.size for x in arrays.values()):,} parameters."


def rows_of(documents, rejected):
    """Documents as JSON lines: those that the filter kept, or all."""
    docs = np.asarray(documents["docs"])
    docs = docs if rejected else docs[: int(documents["count"])]
    return [json.dumps(doc.tolist()) + "\n" for doc in docs]


def write_arrays(out, arrays, kind):
    """Write named arrays as safetensors or npz."""
    arrays = {name: np.ascontiguousarray(x) for name, x in arrays.items()}
    if kind == "npz":
        np.savez(file := io.BytesIO(), **arrays)
        return files.write_atomically(out, file.getvalue())
    from safetensors import numpy as safetensors  # late: few runs are exported

    return files.write_atomically(out, safetensors.save(arrays))
