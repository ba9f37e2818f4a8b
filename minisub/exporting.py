"""Models and documents of a run as files that other programs read."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from minisub import keeping, loading
from minisub.config import require
from minisub.lab import files
from minisub.nets import trees


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
    named = loading.load(command.run)[command.name]
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
    try:
        from safetensors import numpy as safetensors
    except ImportError:
        require(False, "safetensors is not installed; pip install safetensors, or --format npz.")
    return files.write_atomically(out, safetensors.save(arrays))
