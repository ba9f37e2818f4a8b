"""What tells one computation from another: texts of calls, and of the code that makes them."""

import ast
import contextlib
import dataclasses
import dis
import functools
import hashlib
import os
import sys
import types
from importlib.machinery import PathFinder
from pathlib import Path

import jax
import numpy as np

from minisub.config import Refused, require

PACKAGE, STDLIB = Path(__file__).parent.parent, Path(os.__file__).parent
WRAPPERS = type(jax.jit(abs)), type(functools.cache(abs))
READERS = {"open", "load", "loadtxt", "genfromtxt", "fromfile", "memmap", "imread", "urlopen"}
READERS |= {"read_text", "read_bytes", "read_csv", "read_parquet", "read_json"}


def describe(x, seen=None):
    """A text that is the same, in every process, for equal values, and differs for others.

    `seen` are the functions that read `x`, directly or by another. Raises `Refused` for a value
    that no later run could recognize.
    """
    x = getattr(x, "__wrapped__", x) if isinstance(x, WRAPPERS) else x
    if hasattr(type(x), "digest"):  # a product
        return x.describe()
    if isinstance(x, jax.core.Tracer):  # lives as long as the product that holds it
        return f"<traced {id(x)}>"
    kind = getattr(x, "dtype", None) if isinstance(x, jax.Array | np.ndarray | np.generic) else None
    if isinstance(kind, np.dtype) and not kind.hasobject:
        x = np.asarray(x)
        return f"<{x.dtype} {x.shape} {hashlib.sha256(x.tobytes()).hexdigest()}>"
    if isinstance(x, functools.partial):
        return f"partial{describe((x.func, x.args, x.keywords), seen)}"
    if isinstance(x, types.FunctionType):
        return describe_function(x, set() if seen is None else seen)
    wrong = (
        f"A {type(x).__name__} cannot be an argument of a product, because no later run could "
        "recognize it; give numbers, names, arrays, configurations or functions."
    )
    if seen is not None:
        home = sys.modules.get(getattr(x, "__module__", None) or type(x).__module__)
        home = x if isinstance(x, types.ModuleType) else home
        file = getattr(home, "__file__", None)
        require(is_installed(file) if file else getattr(home, "__spec__", None), wrong)
        if isinstance(x, types.ModuleType | type) or "__module__" in getattr(x, "__dict__", ()):
            return f"{getattr(home, '__name__', '')}:{getattr(x, '__qualname__', '')}"
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        fields = {f.name: getattr(x, f.name) for f in dataclasses.fields(x)}
        does = [getattr(f, "fget", f) for f in vars(type(x)).values()]
        functions = (f for f in does if isinstance(f, types.FunctionType))
        written = [f for f in functions if f.__code__.co_filename != "<string>"]
        return f"{type(x).__qualname__}{describe([fields, *written], seen)}"
    if isinstance(x, dict):
        each = (f"{describe(k, seen)}: {describe(v, seen)}" for k, v in x.items())
        return f"{{{', '.join(sorted(each))}}}"
    if isinstance(x, set | frozenset | list | tuple):
        parts = [describe(v, seen) for v in x]
        return f"({', '.join(parts)})" if isinstance(x, list | tuple) else f"set{sorted(parts)}"
    require(x is ... or isinstance(x, int | float | complex | str | bytes | slice | None), wrong)
    return repr(x)


def describe_function(f, seen):
    """A function's name and what it was closed over; for a user's function also what it does and
    reads, so that an edit of a start or a measure makes its products anew. Functions of this
    package are recognized by `source` instead."""
    name, file, parts = f"{f.__module__}:{f.__qualname__}", f.__code__.co_filename, []
    if f in seen:
        return name
    seen.add(f)
    given, codes = [cell.cell_contents for cell in f.__closure__ or ()], []
    if not is_installed(file):
        given, codes = [*given, f.__defaults__, f.__kwdefaults__, vars(f)], [f.__code__]
    for code in codes:  # and those of functions inside it, which are added here
        wrong = f"{name} reads a file, of whose edits no later run could know; read it"
        require(not READERS & {*code.co_names}, f"{wrong} outside, into a constant.")
        codes += [x for x in code.co_consts if isinstance(x, types.CodeType)]
        constants = [x for x in code.co_consts if not isinstance(x, types.CodeType)]
        does = code.co_code, code.co_exceptiontable, code.co_names, code.co_varnames
        parts.append(describe((*does, constants)))
        if dis.opmap["IMPORT_NAME"] in code.co_code[::2]:
            parts.append(text_around(file))
    names = {name for code in codes for name in code.co_names} & f.__globals__.keys()
    for i, x in enumerate([*given, *(f.__globals__[name] for name in sorted(names))]):
        try:
            parts.append(describe(x, seen))
        except Refused:
            # A user's class, module or object is what a file makes of it; what an experiment gives
            # may be changed as it runs, and must be something that can be described.
            parts.append(text_around(getattr(x, "__file__", None) or file))
            if i < len(given):
                parts.append(describe(x))
    return f"{name}#{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}" if parts else name


@functools.cache
def text_around(file):
    """SHA-256 of the text of a user's file, and of the user's files that it imports anywhere."""
    texts, left = {}, [Path(file)]
    for path in left:
        if path in texts or is_installed(path) or path.suffix != ".py" or not os.path.isfile(path):
            continue
        texts[path], tree = path.read_bytes(), ast.Module([], [])
        with contextlib.suppress(SyntaxError, ValueError):  # of what is beside and never imported
            tree = ast.parse(texts[path])
        for node in ast.walk(tree):
            for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
                name = (getattr(node, "module", None) or alias.name).partition(".")[0]
                spec = PathFinder.find_spec(name, [str(path.parent), *sys.path])
                left += [Path(getattr(spec, "origin", None) or "")]
                for folder in getattr(spec, "submodule_search_locations", None) or ():
                    left += () if is_installed(f"{folder}/any") else Path(folder).rglob("*.py")
    require(texts, f"No later run could recognize what {file} defines; write it into a file.")
    return hashlib.sha256(b"".join(sorted(texts.values()))).hexdigest()


@functools.cache
def is_installed(file):
    """Whether a file is of this package, of Python or of another library, and no experiment's."""
    path = Path(file)
    known = {"site-packages", "dist-packages", PACKAGE, STDLIB} & {*path.parts, *path.parents}
    return bool(known) and path.parent != PACKAGE / "configs"


@functools.cache
def source():
    """Sixteen digits of SHA-256 of the source that makes products: other code makes other ones."""
    rooms = "nets", "lab", "tokens", "images", "theory", "detection", "audit"
    files = [PACKAGE / "config.py", *(p for room in rooms for p in (PACKAGE / room).rglob("*.py"))]
    return hashlib.sha256(b"".join(p.read_bytes() for p in sorted(files))).hexdigest()[:16]
