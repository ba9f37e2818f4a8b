"""From the words of a command line to checked configurations: configs by name, fields, sweeps.

The parser is tyro, over the dataclasses of `config`; its framed messages become one sentence each.
"""

import ast
import contextlib
import dataclasses
import difflib
import importlib.util
import io
import itertools
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import tyro

from minisub import config, experiment, tasks

HERE = Path(__file__).resolve().parent
DEFAULT = "numbers"
PROGRAM = "minisub" if Path(sys.argv[0]).stem == "minisub" else "python train.py"
AnyConfig = TypeVar("AnyConfig")
Sweep = Annotated[
    tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=V1,V2,...")
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command(Generic[AnyConfig]):
    """What one command line asks for."""

    config: Annotated[AnyConfig, tyro.conf.arg(name="")]
    repeats: int
    """Repeats: independent origins, teachers and data; the unit of statistics. More than the run in
    the folder has are added to it, if it is on one device and its last group is a whole one."""
    seed: int = 0
    """Root of all randomness; repeat r has the key fold_in(key(seed), r)."""
    out: str = ""
    """Run folder (default: runs/CONFIG, or runs/CONFIG-KIND for a kind that is not its first). The
    same command continues a run that was ended."""
    sweep: Sweep = ()
    """Run every value of a field of the config; may be given again, for a grid. A value may be
    several words. Given at all, it replaces what the config's file sweeps."""
    only: tuple[str, ...] = ()
    """Run only the arms with these names (default: all)."""
    group: int = 0
    """Repeats in one vmapped program on a device (0: one on a CPU, its share of all on an
    accelerator); results differ between groupings by rounding."""
    distributed: bool = False
    """This is one of several processes of a run, whose devices share the repeats; what the next
    three do not say is taken from the cluster's environment (TPU, Slurm, Open MPI)."""
    coordinator: str = ""
    """HOST:PORT of process 0."""
    num_processes: int = -1
    process_id: int = -1
    kind: tyro.conf.Suppress[str] = ""
    """Of a config with several: the one that `--kind` names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audit:
    """Audit a data set before a base is trained on it; see `audit.py` for what is computed."""

    data: tyro.conf.Positional[str]
    """Documents: a JSON list of token ids a line, or {"tokens": [...]}."""
    base: str
    """Run folder with the base that would be trained."""
    lineage: str = "first"
    """Which of its bases; those of other origins are references."""
    repeat: int = -1
    """Of which repeat (-1: the first whose models the folder holds)."""
    others: tuple[str, ...] = ()
    """More run folders of the same world, whose bases are references too."""
    suspect: str = ""
    """A suspected behavior: a JSON list of {"prompt": [...], "answer": [...]} and, if wished,
    "instead": the answer in its place."""
    alpha: float = 0.01
    """False-alarm rate of the whole battery of behaviors on the base's own documents."""
    seed: int = 0
    """Of the samples that make the null."""
    out: str = "runs/audit"
    """Folder of audit.json and audit.png."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Write documents that a model of a run emitted as a file that can be audited."""

    run: tyro.conf.Positional[str]
    """Run folder."""
    source: str
    """Whose documents: teacher, base, or a source of the run's config."""
    out: str
    """The file, JSON lines."""
    repeat: int = -1
    """Of which repeat (-1: the first whose models the folder holds)."""
    rejected: bool = False
    """With those that the filter rejected."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Join runs on one page: a table of what each showed, then their own pages with figures."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders; those without a finished run are left out."""
    out: str = "runs/report.md"
    """The page."""


def config_files():
    """Name -> path of every config: beside the package in a checkout, inside it in a wheel."""
    folders = [HERE.parent / "configs", HERE / "configs"]
    return {p.stem: p for folder in folders for p in sorted(folder.glob("[!_]*.py"))}


def claim_of(path):
    """First paragraph of a config's docstring, in one line."""
    text = ast.get_docstring(ast.parse(Path(path).read_text())) or ""
    return " ".join(text.split("\n\n")[0].split())


def load(name):
    """The module of a config, by its name in `configs/` or by the path of a .py file.

    Raises `config.Refused` if there is none, or if it does not define `config` and `repeats`.
    """
    files = config_files()
    path = Path(name) if name.endswith(".py") else files.get(name)
    config.require(
        path and os.path.isfile(path),  # Path.is_file raises for a name that is too long
        f"There is no config {name!r}{nearest(name, files)}; choose from {', '.join(files)}, or "
        "give a .py file.",
    )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader, "a path that ends in .py has both"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config.require(
        type(getattr(module, "config", None)) in tasks.WORLDS and hasattr(module, "repeats"),
        f"{path} must define `config`, a minisub.Config, ImageConfig or TheoryConfig, and "
        "`repeats`, a number; see configs/numbers.py and configs/mnist.py.",
    )
    return module


def command_of(module, kind=""):
    """The `Command` that a config's module, or one of its kinds, stands for, before any words."""
    sweep = tuple(getattr(module, "sweep", ()))
    cfg = module.kinds[kind] if kind else module.config
    return Command(config=cfg, repeats=module.repeats, sweep=sweep, kind=kind)


def kinds_of(module):
    """The names of a config's kinds, the default first; () for a config that is one."""
    return tuple(getattr(module, "kinds", ()))


def of_kind(module, words):
    """(`Command` of the kind that `--kind NAME` says, or of the first; the other words).

    Raises `config.Refused` for a kind that does not exist.
    """
    kinds, others, left = kinds_of(module), [], iter(words)
    kind = kinds[0] if kinds else ""
    for word in left:
        option, _, value = word.partition("=")
        if option != "--kind":
            others.append(word)
            continue
        config.require(kinds, "--kind: this config has no kinds to choose from; leave it out.")
        kind = value or next(left, "")
        config.require(
            kind in kinds,
            f"--kind: there is no kind {kind!r}{nearest(kind, kinds)}; choose from "
            f"{', '.join(kinds)}.",
        )
    return command_of(module, kind), others


def nearest(word, known):
    """ " (did you mean ...?)" for the nearest of the known words, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def parse(name, claim, default, words):
    """The `Command` `default` with the fields that `words` give; raises `config.Refused`."""
    words = [by_index(word, default.config) for word in words]
    if any(word.split("=")[0] == "--sweep" for word in words):
        default = dataclasses.replace(default, sweep=())
    listing = "\n".join(f"  {n:10} {claim_of(path)}" for n, path in config_files().items())
    said = {"default": default, "description": f"{claim}\n\nConfigs:\n{listing}"}
    kind: Any = Command
    return parse_into(kind[type(default.config)], name, words, **said)


def parse_into(kind, name, words, **more):
    """A `kind` (`Command`, `Audit`, `Export`) from words; raises `config.Refused`.

    `more` are options of tyro's.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, args=words, prog=f"{PROGRAM} {name}", **more)
    except SystemExit as end:
        if end.code == 0:  # --help
            raise
        raise config.Refused(one_sentence(said.getvalue(), name)) from None


def by_index(word, cfg):
    """`--arms.NAME.field` as `--arms.INDEX.field`, which is how tyro addresses a tuple.

    Lineages, sources, pairs and detectors alike.
    """
    for field in ("arms", "lineages", "sources", "pairs", "detectors"):
        names = [item.name for item in getattr(cfg, field, ())]
        said = [name for name in names if word.startswith(f"--{field}.{name}.")]
        if said:  # the longest: "half 0.5" may stand beside "half 0"
            name = max(said, key=len)
            return f"--{field}.{names.index(name)}" + word.removeprefix(f"--{field}.{name}")
    return word


def one_sentence(framed, name):
    """tyro's framed message in one sentence, with the nearest option where it found one."""
    # A title, then paragraphs between rules; the frame depends on the terminal's encoding.
    inside = [line.strip("│╰╯ ") for line in framed.splitlines()[1:]]
    ruled = itertools.groupby(inside, key=lambda line: not line.strip("─-"))
    paragraphs = [list(lines) for is_rule, lines in ruled if not is_rule]
    said = " ".join(paragraphs[0]).rstrip(".")
    options = [line.split()[0] for line in paragraphs[1] if line.startswith("--")]
    hint = f" (did you mean {options[0]}?)" if options and "nrecognized" in said else ""
    return f"{said}{hint}; {PROGRAM} {name} --help lists every field."


def settings(name, command):
    """Every (swept values, Config) of a command, checked; one without values if nothing is swept.

    Raises `config.Refused` for a field, value or arm that does not exist or cannot be.
    """
    base = command.config
    if command.only:
        known = {arm.name: arm for arm in base.arms}
        for arm in command.only:
            config.require(
                arm in known, f"--only: there is no arm {arm!r}; choose from {', '.join(known)}."
            )
        arms = tuple(arm for arm in base.arms if arm.name in command.only)
        base = dataclasses.replace(base, arms=arms)
    axes = [axis(text, base) for text in command.sweep]
    fields = [field for field, _ in axes]
    config.require(
        len(set(fields)) == len(fields),
        "A field is swept twice; give all its values in one --sweep.",
    )
    default = dataclasses.replace(command, config=base, sweep=())
    result = []
    for values in itertools.product(*(values for _, values in axes)):
        words = [
            word
            for field, value in zip(fields, values, strict=True)
            for word in words_of(field, value, config.leaves(base)[field])
        ]
        cfg = parse(name, "", default, words).config
        experiment.check(cfg)
        leaves = config.leaves(cfg)
        for field in fields:
            config.require(field in leaves, f"--sweep: {field} tells arms apart; sweep another.")
        result.append(({field: leaves[field] for field in fields}, cfg))
    for field, values in axes:  # as they were parsed: 0.1 and 1e-1 would be one setting, twice
        distinct = {chosen[field] for chosen, _ in result}
        config.require(
            len(distinct) == len(values), f"--sweep {field} has a value twice; give it once."
        )
    return result


def words_of(field, value, now):
    """A swept value as words of a command line; `now` is the field's present value."""
    if not isinstance(now, bool):
        return [f"--{field}", *value.split()]
    config.require(
        value in ("true", "false"), f"--sweep {field} has {value!r}; choose from true, false."
    )
    outer, _, last = field.rpartition(".")
    return [f"--{field}" if value == "true" else f"--{outer}.no-{last}"]


def axis(text, cfg):
    """A sweep "FIELD=V1,V2" as (dotted field, list of texts)."""
    field, _, values = text.partition("=")
    known = config.leaves(cfg)
    field = field if field in known else field.replace("-", "_")
    config.require(
        field in known,
        f"--sweep: there is no field {field!r}{nearest(field, known)}; --help lists every field.",
    )
    values = [value for value in values.split(",") if value.strip()]
    config.require(values, f"--sweep {field} has no values; write --sweep {field}=V1,V2.")
    return field, values
