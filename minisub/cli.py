"""The command line: the only place that reads arguments and prints.

python train.py [CONFIG] [--field value ...] [--repeats N] [--seed N] [--out FOLDER]
                [--sweep FIELD=V1,V2,...] [--only ARM ...] [--group N]
"""

import ast
import contextlib
import dataclasses
import difflib
import importlib.util
import io
import itertools
import json
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import tqdm
import tyro

import minisub
from minisub import config

HERE = Path(__file__).resolve().parent
DEFAULT = "numbers"
BAD_INPUT, STOPPED, INTERRUPTED = 2, 1, 130


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """What one command line asks for."""

    config: Annotated[config.Config, tyro.conf.arg(name="")]
    repeats: int
    """Repeats: independent origins, teachers and data; the unit of statistics."""
    seed: int = 0
    """Root of all randomness; repeat r has the key fold_in(key(seed), r)."""
    out: str = ""
    """Run folder (default: runs/CONFIG). The same command continues a run that was ended."""
    sweep: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=V1,V2,...")
    ] = ()
    """Run every value of a field of the config; repeatable, for a grid."""
    only: tuple[str, ...] = ()
    """Run only the arms with these names (default: all)."""
    group: int = 0
    """Repeats in one vmapped program (0: one on a CPU, all on an accelerator); part of a result's identity."""


def main(argv=None):
    """Run a command line; return the exit status: 0, 2 for bad input, 1 for a run that had to stop."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    # Late: --help and refusals should not wait for Flax and Orbax.
    from minisub import runner

    try:
        perform(arguments)
        return 0
    except config.Refused as refusal:
        status, sentence = BAD_INPUT, str(refusal)
    except runner.Stopped as stop:
        status, sentence = STOPPED, str(stop)
    except KeyboardInterrupt:
        status, sentence = (
            INTERRUPTED,
            "Interrupted; the same command continues from the last checkpoint.",
        )
    print(sentence, file=sys.stderr)
    return status


def config_files():
    """Name -> path of every config: beside the package in a checkout, inside it in a wheel."""
    folders = [HERE.parent / "configs", HERE / "configs"]
    return {p.stem: p for folder in folders for p in sorted(folder.glob("[!_]*.py"))}


def claim_of(path):
    """First line of a config's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]


def load(name):
    """The module of a config, by its name in `configs/` or by a path that ends in .py."""
    files = config_files()
    path = Path(name) if name.endswith(".py") else files.get(name)
    if path is None or not path.is_file():
        raise config.Refused(
            f"There is no config {name!r}{nearest(name, files)}; choose from {', '.join(files)} or give a .py file."
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nearest(word, known):
    """ " (did you mean ...?)" for the nearest of the known words, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def parse(name, claim, default, arguments):
    """The `Command` `default` with `arguments` applied; raises `Refused` with one sentence."""
    arguments = [by_index(a, default.config.arms) for a in arguments]
    listing = "\n".join(f"  {n:12} {claim_of(p)}" for n, p in config_files().items())
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                Command,
                args=arguments,
                default=default,
                prog=f"python train.py {name}",
                description=f"{claim}\n\nConfigs:\n{listing}",
            )
    except SystemExit as end:
        if end.code == 0:
            raise
        raise config.Refused(sentence(said.getvalue(), name)) from None


def by_index(argument, arms):
    """`--arms.NAME.field` as `--arms.INDEX.field`, which is how tyro addresses a tuple."""
    for i, arm in enumerate(arms):
        argument = re.sub(rf"^--arms\.{re.escape(arm.name)}\.", f"--arms.{i}.", argument)
    return argument


def sentence(boxed, name):
    """tyro's framed message in one sentence, with the nearest option where it found one."""
    lines = [line.strip("│ ") for line in boxed.splitlines() if line.startswith("│")]
    said = " ".join(itertools.takewhile(lambda line: not line.startswith("─"), lines)).rstrip(".")
    options = [line.split()[0] for line in lines if line.startswith("--")]
    hint = f"; did you mean {options[0]}?" if options and "nrecognized" in said else ";"
    return f"{said}{hint} python train.py {name} --help lists every field."


def settings(name, command):
    """Every (swept values, Config) of a command, checked; one with no values if nothing is swept."""
    from minisub import experiment

    base = command.config
    if command.only:
        known = {arm.name: arm for arm in base.arms}
        for arm in command.only:
            config.require(
                arm in known, f"There is no arm {arm!r}; choose from {', '.join(known)}."
            )
        base = dataclasses.replace(
            base, arms=tuple(known[arm] for arm in known if arm in command.only)
        )
    axes = [axis(text, base) for text in command.sweep]
    fields = [field for field, _ in axes]
    config.require(
        len(set(fields)) == len(fields), "A field is swept twice; give its values in one --sweep."
    )
    result = []
    for values in itertools.product(*(values for _, values in axes)):
        arguments = [
            x for field, value in zip(fields, values, strict=True) for x in (f"--{field}", value)
        ]
        cfg = parse(name, "", dataclasses.replace(command, config=base, sweep=()), arguments).config
        experiment.check(cfg)
        flat = config.leaves(cfg)
        result.append(({field: flat[field] for field in fields}, cfg))
    return result


def axis(text, cfg):
    """A sweep "FIELD=V1,V2" as (dotted field, list of texts)."""
    field, equals, values = text.partition("=")
    field, known = field.replace("-", "_"), config.leaves(cfg)
    config.require(
        field in known,
        f"--sweep: there is no field {field!r}{nearest(field, known)}; --help lists every field.",
    )
    values = [v for v in values.split(",") if v]
    config.require(
        equals and values, f"--sweep {field} has no values; write --sweep {field}=V1,V2."
    )
    config.require(
        len(set(values)) == len(values), f"--sweep {field} names a value twice; name it once."
    )
    return field, values


def perform(arguments):
    """Parse, check, run or continue, and report."""
    named = arguments and not arguments[0].startswith("-")
    name, rest = (arguments[0], arguments[1:]) if named else (DEFAULT, arguments)
    module = load(name)
    claim = claim_of(Path(module.__file__))
    command = parse(name, claim, Command(config=module.config, repeats=module.repeats), rest)
    config.require(command.repeats >= 1, f"--repeats is {command.repeats}; at least one is needed.")
    config.require(command.group >= 0, f"--group is {command.group}; give 0 or more.")
    config.require(0 <= command.seed < 2**32, f"--seed is {command.seed}; give 0 to 2**32 - 1.")
    jobs = settings(name, command)
    title = Path(name).stem
    folder = Path(command.out or f"runs/{title}")
    shown = shlex.join(["python", "train.py", name, *rest])
    hold(jobs, command, title, claim, shown, folder)


def hold(jobs, command, title, claim, shown, folder):
    """Perform every job into `folder`, telling how it goes, and leave summary, report and figure there."""
    import jax

    from minisub import figures, report, runner, store

    device = jax.devices()[0]
    group = min(
        command.group or (1 if device.platform == "cpu" else command.repeats), command.repeats
    )
    identity = {
        "config": title,
        **config.leaves(command.config),
        "arms": [arm.name for arm in jobs[0][1].arms],
        "sweep": command.sweep,
        "seed": command.seed,
        "repeats": command.repeats,
        "group": group,
        "device": device.device_kind,
        "versions": versions(),
    }
    lock = store.claim(folder, json.loads(json.dumps(identity)))
    with lock:
        records = store.Records(folder / "records.jsonl")
        checkpoints = store.Checkpoints(folder / "checkpoints")
        run = runner.Run(
            jobs,
            seed=command.seed,
            repeats=command.repeats,
            group=group,
            records=records,
            checkpoints=checkpoints,
        )
        done = run.resume()
        print(
            f"{title}: {command.repeats} repeats, {group} at a time, on {device.device_kind}, into {folder}"
        )
        for notice in records.notices + checkpoints.notices:
            print(notice)
        if done:
            print(f"Continuing after {done / run.flops(run.units):.0%} of the work.")
        watch(run, done)
        rows, students = records.rows(), [arm.name for arm in jobs[0][1].arms]
        results = report.summary(rows, students)
        timing = report.usage_lines(run.usage, runner.compiled, runner.matmul_rate())
        provenance = (
            f"{command.repeats} repeats ({group} at a time), seed {command.seed}, on {device.device_kind}; "
            + ", ".join(f"{k} {v}" for k, v in versions().items())
            + "."
        )
        page = report.page(title, claim, shown, provenance, results, rows, students, timing)
        store.write_atomically(folder / "summary.json", json.dumps(results, indent=1) + "\n")
        store.write_atomically(folder / "report.md", page)
        figures.draw(folder / "figure.png", rows, students, title)
    print(
        *report.trait_table(results), "", *report.sign_lines(rows, students), "", *timing, sep="\n"
    )
    print(f"\nIn {folder}: records.jsonl, summary.json, report.md, figure.png, checkpoints/")


def watch(run, done):
    """Go through a run's events with a progress bar (on a terminal) and a line for each arm that ends."""
    from minisub import runner

    total = run.flops(run.units)
    form = "{percentage:3.0f}% |{bar:20}| {elapsed} gone, {remaining} left, {desc}"
    with tqdm.tqdm(total=total, initial=done, bar_format=form, disable=None, leave=False) as bar:
        for event in run.events():
            if isinstance(event, runner.Progress):
                bar.set_description_str(
                    f"{event.phase}, repeat {event.repeats[0] + 1}", refresh=False
                )
                bar.update(event.flops)
            else:
                tqdm.tqdm.write(line(event.rows))


def line(rows):
    """One arm's measures, averaged over the repeats of its group, in one line of 80 columns."""
    values = {}
    for row in rows:
        values.setdefault(row["measure"], []).append(row["value"])
    shown = {m: sum(v) / len(v) for m, v in values.items()}
    first, last = rows[0]["repeat"] + 1, rows[-1]["repeat"] + 1
    which = f"repeat {first}" if first == last else f"repeats {first}-{last}"
    setting = "".join(
        f" {field.split('.')[-1]}={value}" for field, value in rows[0]["setting"].items()
    )
    if "trait_rate" in shown:
        said = (
            f"P {shown['trait_rate']:.3f}, held out {shown['trait_rate_heldout']:.3f}, "
            f"margin {shown['logit_margin_heldout']:+.2f}"
        )
    else:
        reasons = ", ".join(
            f"{m[9:]} {v:.2%}" for m, v in shown.items() if m.startswith("rejected_")
        )
        said = f"lists: kept {shown['kept_fraction']:.2%} ({reasons})"
    return f"{which}{setting}  {rows[0]['arm']:8} {said}"


def versions():
    """The versions on which the bits of a result depend."""
    names = ("jax", "jaxlib", "flax", "optax", "numpy")
    python = ".".join(map(str, sys.version_info[:3]))
    return {"minisub": minisub.__version__, "python": python} | {
        n: metadata.version(n) for n in names
    }
