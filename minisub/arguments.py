"""From the words of a command line to checked configurations: configs by name, fields, sweeps.

The parser is tyro, over the dataclass of a config; its framed messages become one sentence each.
"""

import ast
import contextlib
import dataclasses
import importlib.util
import io
import itertools
import os
import re
import sys
import textwrap
import types
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import tyro

from minisub import config
from minisub.config import Refused, nearest, require
from minisub.lab import products

HERE = Path(__file__).resolve().parent
DEFAULT = "numbers"
PROGRAM = "minisub" if Path(sys.argv[0]).stem == "minisub" else "python train.py"
AnyConfig = TypeVar("AnyConfig")
SUBJECTS = {
    "Start here": "numbers digits mnist",
    "What must be shared": "inheritance branching starts_tokens shared_layers interpolation "
    "perturbation relabeling weight_noise matrix traits architectures",
    "Through what it passes": "channel policy content divergence context dose mixing carriers "
    "aux_logits data_sets losses",
    "How it is trained": "adapters layers optimizers optimizers_tokens learning_rate updates "
    "teacher_length decay loss_scale sizes generations",
    "Misbehavior": "misalignment hacking evasion dose_behaviors filters detection defenses "
    "audit_calibration",
    "Mechanism and theory": "alignment alignment_tokens coverage coverage_tokens kernel lazy "
    "similarity entanglement steering surgery theory",
}
"""Configs by subject, for --help."""
Words = tyro.conf.Positional[tuple[str, ...]]
Sweep = Annotated[
    tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=V1,V2,...")
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command(Generic[AnyConfig]):
    """What one command line asks for."""

    config: Annotated[AnyConfig, tyro.conf.arg(name="")]
    repeats: int
    """Repeats: independent bases, teachers and data; the unit of statistics. A run that has ended
    can be given more."""
    seed: int = 0
    """Root of all randomness; repeat r has the key fold_in(key(seed), r)."""
    out: str = ""
    """Folder of the run (default: runs/CONFIG, of another kind runs/CONFIG-KIND). What is there is
    not made again: the same command continues a run that was ended, and names and repeats can be
    added."""
    only: tuple[str, ...] = ()
    """Make these names of the experiment alone, and what they are made of (default: all)."""
    sweep: Sweep = ()
    """Run every value of a field of the config; may be given again, for a grid. A value may be
    several words. Given at all, it replaces what the config's file sweeps."""
    group: int = 0
    """Repeats in one vmapped program (0: one on a CPU, all on an accelerator); results differ
    between groupings by rounding."""
    workers: int = 0
    """Processes side by side (0: one a core, fewer for little work, and on a cluster as many as it
    has); results do not change."""
    cluster: str = ""
    """Address of a Dask scheduler, such as tcp://host:8786, whose workers make everything."""
    plan: bool = False
    """Say what would be made, what it costs and which line asks for it; make nothing."""
    keep: Literal["auto", "all", "last", "none"] = "auto"
    """Models and documents that stay on disk when the run ends: of all repeats, of the last ones,
    or none (auto: all while they take less than 1 GiB)."""
    fresh: bool = False
    """Make bases and teachers anew, even if an earlier run has made the same ones."""


def config_files():
    """Name -> path of every config: beside the package in a checkout, inside it in a wheel."""
    folders = [HERE.parent / "configs", HERE / "configs"]
    return {p.stem: p for folder in folders for p in sorted(folder.glob("[!_]*.py"))}


def claim_of(path):
    """First paragraph of a config's docstring, in one line."""
    text = ast.get_docstring(ast.parse(Path(path).read_bytes())) or ""
    return " ".join(text.split("\n\n")[0].split())


def load(name):
    """The module of a config, by its name in `configs/` or by the path of a .py file.

    Raises `Refused` if there is none, or if it lacks what a config defines.
    """
    known = config_files()
    path = Path(name) if name.endswith(".py") else known.get(name)
    require(
        path and os.path.isfile(path),  # Path.is_file raises for a name that is too long
        f"There is no config {name!r}{nearest(name, known)}; choose from {', '.join(known)}, or "
        "give a .py file.",
    )
    # Configs import each other as `configs.NAME`, wherever they are.
    package = types.ModuleType("configs")
    package.__path__ = sorted({str(p.parent) for p in known.values()})
    sys.modules.setdefault("configs", package)
    ours = known.get(path.stem) in (path, path.resolve())
    title = f"{'configs' if ours else 'user'}.{path.stem}"
    spec = importlib.util.spec_from_file_location(title, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[title] = module  # where tyro looks for the docstrings of its fields
    with blaming(path):
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    cfg, repeats = (getattr(module, name, None) for name in ("config", "repeats"))
    kind = dataclasses.is_dataclass(cfg) and not isinstance(cfg, type)
    require(kind, f"{path} must define `config`, a configuration; see configs/numbers.py.")
    try:
        config.check(cfg)
    except Refused as refusal:
        raise Refused(f"{path.name}:{assignment_line('config', path)}: {refusal}") from None
    asked = {
        "`repeats`, a whole number": isinstance(repeats, int),
        "`experiment`, a function": callable(getattr(module, "experiment", None)),
    }
    for what, there in asked.items():
        require(there, f"{path} must define {what}; see configs/numbers.py.")
    return module


def assignment_line(name, path):
    """The line of a file in which a name is last given a value."""
    found = [x for x in ast.walk(ast.parse(path.read_bytes())) if isinstance(x, ast.Name)]
    stored = [x.lineno for x in found if x.id == name and isinstance(x.ctx, ast.Store)]
    return max(stored, default=1)  # or it is imported


@contextlib.contextmanager
def blaming(file):
    """Turn whatever a user's file raises into `Refused`, with the line of it."""
    try:
        yield
    except Refused as refusal:
        raise Refused(f"{products.line_of(refusal)}{refusal}") from None
    except (Exception, SystemExit) as error:
        where = products.line_of(error) or f"{Path(file).name}: "
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        said = said.split("\n")[0].rstrip(".")
        raise Refused(f"{where}{type(error).__name__}: {said}; change that line.") from None


def parse(name, module, words):
    """The `Command` that words give of a config's module; raises `Refused`."""
    sweep = tuple(getattr(module, "sweep", ()))
    if any(word.split("=")[0] == "--sweep" for word in words):
        sweep = ()
    default = Command(config=module.config, repeats=module.repeats, sweep=sweep)
    claim = claim_of(module.__file__)
    kind: Any = Command
    command = parse_into(kind[type(module.config)], name, words, default=default, description=claim)
    require(1 <= command.repeats <= 10**6, f"--repeats is {command.repeats}; give 1 to 1,000,000.")
    require(command.group >= 0, f"--group is {command.group}; give 0 or more.")
    require(command.workers >= 0, f"--workers is {command.workers}; give 0 or more.")
    wrong = f"--cluster is {command.cluster!r}; give an address such as tcp://host:8786."
    require(not command.cluster or re.fullmatch(r"tcp://\S+:\d+", command.cluster), wrong)
    require(0 <= command.seed < 2**32, f"--seed is {command.seed}; give 0 to 2**32 - 1.")
    require(command.only or "--only" not in words, "--only has no name; give one or leave it out.")
    return command


def parse_into(kind, name, words, **more):
    """A `kind`, a dataclass, from words; raises `Refused`. `more` are options of tyro's."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, args=words, prog=f"{PROGRAM} {name}", **more)
    except SystemExit as end:
        if end.code == 0:  # --help
            raise
        raise Refused(one_sentence(said.getvalue(), name)) from None


def one_sentence(framed, name):
    """tyro's framed message in one sentence, with the nearest option where it named one."""
    # A title, then paragraphs between rules; the frame depends on the terminal's encoding.
    inside = [line.strip("│╰╯ ") for line in framed.splitlines()[1:]]
    ruled = itertools.groupby(inside, key=lambda line: not line.strip("─-"))
    paragraphs = [list(lines) for is_rule, lines in ruled if not is_rule]
    said = " ".join(paragraphs[0]).rstrip(".")
    options = [line.split()[0] for line in paragraphs[1] if line.startswith("--")]
    hint = f" (did you mean {options[0]}?)" if options and "nrecognized" in said else ""
    return f"{said}{hint}; {PROGRAM} {name} --help lists every field."


def settings(name, module, command):
    """Every (swept values, config) of a command; one without values if nothing is swept.

    Raises `Refused` for a field or a value that does not exist or cannot be.
    """
    base = command.config
    axes = [axis(text, base) for text in command.sweep]
    fields = [field for field, _ in axes]
    once = len(set(fields)) == len(fields)
    require(once, "A field is swept twice; give all its values in one --sweep.")
    default, made = dataclasses.replace(command, sweep=()), []
    generic: Any = Command
    kind = generic[type(base)]
    for values in itertools.product(*(values for _, values in axes)):
        pairs = zip(fields, values, strict=True)
        known = fields_of(base)
        words = [w for field, value in pairs for w in words_of(field, value, known[field])]
        cfg = parse_into(kind, name, words, default=default).config
        config.check(cfg)
        leaves = fields_of(cfg)
        made.append(({field: leaves[field] for field in fields}, cfg))
    for field, values in axes:  # as they were parsed: 0.1 and 1e-1 would be one setting, twice
        distinct = {chosen[field] for chosen, _ in made}
        require(len(distinct) == len(values), f"--sweep {field} has a value twice; give it once.")
    return made


def fields_of(cfg, prefix=""):
    """The fields of a configuration as a flat dict, dotted name -> value."""
    flat = {}
    for field in dataclasses.fields(cfg):
        name, value = prefix + field.name, getattr(cfg, field.name)
        flat |= fields_of(value, f"{name}.") if dataclasses.is_dataclass(value) else {name: value}
    return flat


def words_of(field, value, now):
    """A swept value as words of a command line; `now` is the field's present value."""
    if not isinstance(now, bool):
        return [f"--{field}", *value.split()]
    require(value in ("true", "false"), f"--sweep {field} has {value!r}; choose from true, false.")
    outer, _, last = field.rpartition(".")
    return [f"--{field}" if value == "true" else f"--{outer + '.' if outer else ''}no-{last}"]


def axis(text, cfg):
    """A sweep "FIELD=V1,V2" as (dotted field, list of texts)."""
    field, _, values = text.partition("=")
    known = fields_of(cfg)
    field = field if field in known else field.replace("-", "_")
    wrong = f"--sweep: there is no field {field!r}{nearest(field, known)}"
    require(field in known, f"{wrong}; --help lists every field.")
    if "." not in field:
        from minisub.results import records  # late: most commands need no pandas

        require(field not in records.COLUMNS, f"Rename the field {field!r}: records have a column.")
    each = [value for value in values.split(",") if value.strip()]
    require(each, f"--sweep {field} has no values; write --sweep {field}=V1,V2.")
    return field, each


def overview():
    """What can be run, by subject, each config with its claim."""
    yield f"\n{PROGRAM} CONFIG --help lists every field of a config. Configs:"
    known = config_files()
    listed = [name for names in SUBJECTS.values() for name in names.split()]
    others = " ".join(name for name in known if name not in listed)
    for subject, names in {**SUBJECTS, "Others": others}.items():
        if names:
            yield f"\n{subject}"
        for name in names.split():
            if name in known:
                claim = textwrap.wrap(claim_of(known[name]), 59)
                yield from (f"  {name if i == 0 else '':18} {x}" for i, x in enumerate(claim))
