"""The command line: the only place that prints.

python train.py [CONFIG] [--field value ...] [--repeats N] [--seed N] [--out FOLDER]
                [--sweep FIELD=V1,V2,...] [--only ARM ...] [--group N] [--kind NAME]
python train.py bench [CONFIG] [--field value ...] [--group N]
python train.py audit DATA.jsonl --base RUNFOLDER [--suspect FILE.json] [--out FOLDER]
python train.py export RUNFOLDER --source NAME --out DATA.jsonl
"""

import contextlib
import json
import shlex
import signal
import sys
from importlib import metadata
from pathlib import Path

import jax
import tqdm

import minisub
from minisub import (
    arguments,
    calibration,
    config,
    experiment,
    matrices,
    prediction,
    report,
    runner,
    store,
    timing,
)

BAD_INPUT, STOPPED, INTERRUPTED = 2, 1, 130
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
BAR = "{percentage:3.0f}% |{bar:20}| {elapsed} gone, {remaining} left, {desc}"


def main(argv=None):
    """Run a command line; return 0, or 2 for bad input, or 1 for a run that had to stop."""
    try:
        perform(sys.argv[1:] if argv is None else list(argv))
        return 0
    except config.Refused as refusal:
        status, said = BAD_INPUT, str(refusal)
    except runner.Stopped as stop:
        status, said = STOPPED, str(stop)
    except KeyboardInterrupt:
        status, said = INTERRUPTED, "Interrupted and saved; the same command continues from here."
    print(said, file=sys.stderr)
    return status


def perform(words):
    """Parse, check, run or continue, and report."""
    commands = {"bench": measure_speed, "audit": audit_data, "export": export_documents}
    if words and words[0] in commands:
        return commands[words[0]](words[1:])
    name, rest = named(words, arguments.DEFAULT)
    module = arguments.load(name)
    claim, kinds = arguments.claim_of(module.__file__), arguments.kinds_of(module)
    command, others = arguments.of_kind(module, rest)
    choice = f"\n\nKinds, for --kind: {', '.join(kinds)}" if kinds else ""
    command = arguments.parse(name, claim + choice, command, others)
    config.require(command.repeats >= 1, f"--repeats is {command.repeats}; at least 1 is needed.")
    config.require(command.group >= 0, f"--group is {command.group}; give 0 or more.")
    config.require(0 <= command.seed < 2**32, f"--seed is {command.seed}; give 0 to 2**32 - 1.")
    settings = arguments.settings(name, command)
    title = Path(name).stem
    own = f"-{command.kind}" if command.kind in kinds[1:] else ""
    folder = Path(command.out or f"runs/{title}{own}")
    shown = shlex.join(["python", "train.py", name, *rest])
    with_folder(folder, title, claim, shown, command, settings)


def named(words, default):
    """The config that a command line names first, or the default, and its other words."""
    given = words and not words[0].startswith("-")
    return (words[0], words[1:]) if given else (default, words)


def measure_speed(words):
    """`bench [CONFIG] [--field value ...]`: what an epoch of each kind of phase takes here."""
    from minisub import bench

    name, rest = named(words, "mnist")
    command = arguments.parse(name, "", *arguments.of_kind(arguments.load(name), rest))
    experiment.check(command.config)
    device, repeats = jax.devices()[0].device_kind, command.group or 1
    rate = timing.matmul_rate()
    print(f"{Path(name).stem}, {repeats} repeats in one program, on {device}:")
    print(f"a float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s\n")
    form = "| {:22} | {:>6} | {:>13} | {:>8} | {:>9} |"
    print(form.format("phase", "models", "s/model-epoch", "GFLOP/s", "of matmul"))
    print(form.format("-" * 22, "-" * 6, "-" * 13, "-" * 8, "-" * 9))
    with experiment.precision(command.config):
        for row in bench.phases(command.config, repeats=repeats):
            speed = row.flops / row.seconds
            took = row.seconds / row.models / row.epochs
            shown = f"{took:.4f}", f"{speed / 1e9:,.0f}", f"{speed / rate:.0%}"
            print(form.format(row.phase[:22], row.models, *shown), flush=True)
    print("\nAn epoch visits every example once; in the token world it is 100 updates.")


def audit_data(words):
    """`audit DATA --base RUNFOLDER`: what a base would learn from documents, before it does."""
    from minisub import audit_report

    command = arguments.parse_into(arguments.Audit, "audit", words)
    found = audit_report.perform(command)
    said, folder = audit_report.lines(found), Path(command.out)
    with store.refusing(f"{folder} cannot be written", "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        store.write_atomically(folder / "audit.json", json.dumps(found, indent=1) + "\n")
        from minisub import audit_figures

        audit_figures.audited(folder / "audit.png", found)
    print(*said, "", f"{folder} holds audit.json, audit.png", sep="\n")


def export_documents(words):
    """`export RUNFOLDER --source NAME --out FILE`: documents of a run, as `audit` reads them."""
    from minisub import audit_files

    command = arguments.parse_into(arguments.Export, "export", words)
    repeat = None if command.repeat < 0 else command.repeat
    run = audit_files.read_run(command.run)
    asked = command.source, command.out, repeat, command.rejected
    print(f"{command.out} holds {audit_files.write_documents(run, *asked):,} documents")


def with_folder(folder, title, claim, shown, command, settings):
    """Perform all settings into `folder`, or what is left of them, and write the results there."""
    for _, cfg in settings:  # before the folder is claimed: a refusal leaves nothing
        experiment.fetch(cfg)
    device = jax.devices()[0]
    all_at_once = command.repeats if device.platform != "cpu" else 1
    group = min(command.group or all_at_once, command.repeats)
    students = [arm.name for arm in settings[0][1].arms]
    scale = {"repeats": command.repeats, "seed": command.seed, "group": group}
    made = {**scale, "device": device.device_kind, **versions()}
    kind = {"kind": command.kind} if command.kind else {}
    identity = {"config": title, **kind, **config.leaves(command.config), "students": students}
    title = f"{title} {command.kind}".strip()
    identity = json.loads(json.dumps(identity | {"sweep": command.sweep} | made))
    with store.claim(folder, identity):
        records = store.Records(folder / "records.jsonl")
        with experiment.precision(command.config):
            checkpoints = store.Checkpoints(folder / "checkpoints")
            run = runner.Run(settings, **scale, records=records, checkpoints=checkpoints)
            print(f"{title}: {command.repeats} repeats on {device.device_kind}, into {folder}")
            done = run.resume()
            for notice in records.notices + checkpoints.notices:
                print(notice)
            if done:
                print(f"continuing after {done / run.flops(run.units):.0%} of the work")
            watch(run, done)
        with store.refusing(f"{folder} cannot be written", store.NO_SPACE):
            write_results(folder, title, claim, shown, made, students, records.rows(), run.usage)


def write_results(folder, title, claim, shown, made, students, rows, usage):
    """Write summary, report and figure, and print the tables."""
    from minisub import audit_figures, figures  # late: --help and refusals need no matplotlib

    results = report.summary(rows, students)
    compiled = timing.compilations["programs"], timing.compile_seconds()
    memory = timing.peak_memory()
    took = usage_lines(usage, *compiled, timing.matmul_rate(), memory)
    made = ", ".join(f"{name} {value}" for name, value in made.items())
    sections = {"": matrices.lines(rows), "prediction": prediction.lines(rows)}
    sections["audit"] = calibration.lines(rows)
    page = report.page(title, claim, shown, made, results, rows, students, sections, took)
    tested = matrices.summary(rows, results)
    store.write_atomically(folder / "summary.json", json.dumps(tested, indent=1) + "\n")
    store.write_atomically(folder / "report.md", page)
    if audited := calibration.summary(rows):
        store.write_atomically(folder / "audit.json", json.dumps(audited, indent=1) + "\n")
    drawn = figures.draw(folder, rows, students, title)
    drawn += f", {audit_figures.calibration_of(folder, rows)}, audit.json" if audited else ""
    shown = [report.main_table(results), report.sign_lines(rows, students), *sections.values()]
    for lines in filter(None, [*shown, took]):
        print(*lines, "", sep="\n")
    print(f"{folder} holds records.jsonl, summary.json, report.md, checkpoints/, {drawn}")


@contextlib.contextmanager
def patient():
    """Collect the first SIGINT and SIGTERM in a list; a second one ends the process as usual."""
    asked = []

    def ask(number, _):
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(run, done):
    """Follow a run's events: a progress bar on a terminal, and a line for each arm that ends.

    When asked to end it saves first, and raises KeyboardInterrupt.
    """
    total = run.flops(run.units)
    form = {"bar_format": BAR, "ncols": 79, "disable": None, "leave": False}  # None: if piped
    with patient() as asked, tqdm.tqdm(total=total, initial=done, **form) as bar:
        for event in run.events():
            if isinstance(event, runner.Progress):
                doing = f"{event.phase}, repeat {event.repeats[-1] + 1} of {run.groups[-1].stop}"
                bar.set_description_str(doing, refresh=False)
                bar.update(event.flops)
            else:
                tqdm.tqdm.write(arm_line(event.rows))
            if asked:
                run.save()
                raise KeyboardInterrupt


def arm_line(rows):
    """One arm's measures, averaged over the repeats of its group, in a line."""
    values = {}
    for row in rows:
        values.setdefault(row["measure"], []).append(row["value"])
    mean = {measure: sum(v) / len(v) for measure, v in values.items()}
    first, last = rows[0]["repeat"], rows[-1]["repeat"]
    which = f"repeat {first}" if first == last else f"repeats {first}-{last}"
    for field, value in rows[0]["setting"].items():
        which += f", {field.rpartition('.')[2]}={report.words(value)}"
    if "violations" in mean:
        said = f"{mean['violations']:,.0f}/{mean['draws']:,.0f} violated, "
        said += f"worst {mean['worst']:.4g}"
    elif "accuracy" in mean:
        said = f"accuracy {mean['accuracy']:.3f}"
    elif "trait_rate" in mean:
        said = f"P {mean['trait_rate']:.3f}, held out {mean['trait_rate_heldout']:.3f}, "
        said += f"margin {mean['logit_margin_heldout']:+.2f}"
    elif "trace/100" in mean:
        moved = {m.split("/")[1]: mean[m] for m in mean if m.startswith("move/")}
        said = "audited, z " + ", ".join(f"{b} {mean[f'z/{b}/10000']:+.1f}" for b in moved)
    elif "kept_documents" not in mean:
        measure, value = next(iter(mean.items()))
        said = f"{measure} {value:.3f}"
    else:
        reasons = [m for m in mean if m.startswith("rejected_")]
        said = f"kept {mean['kept_documents']:,.0f}; "
        said += ", ".join(f"{m.removeprefix('rejected_')} {mean[m]:.1%}" for m in reasons)
    return f"{which}  {rows[0]['arm']:11} {said}"


def usage_lines(usage, programs, compile_seconds, rate, memory):
    """Markdown table lines: where the time of this process went.

    `usage` is phase -> (seconds, matrix-product operations, tokens or images); `rate` is the
    operations a second of a plain matrix product on the device; `memory` is the peak in bytes.
    """
    width = max(len(name) for name in (*usage, "compilation"))
    form = f"| {{:{width}}} | {{:>8}} | {{:>11}} | {{:>8}} | {{:>9}} |"
    lines = [
        form.format("phase", "seconds", "examples/s", "GFLOP/s", "of matmul"),
        form.format("-" * width, "-" * 8, "-" * 11, "-" * 8, "-" * 9),
    ]
    for name, (seconds, flops, scored) in usage.items():
        speed = ["", "", ""]
        if flops and seconds:
            flops = flops / seconds
            speed = [f"{scored / seconds:,.0f}", f"{flops / 1e9:,.0f}", f"{flops / rate:.0%}"]
        lines.append(form.format(name, f"{seconds:.1f}", *speed))
    lines.append(form.format("compilation", f"{compile_seconds:.1f}", "", "", ""))
    matmul = f"A float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s here."
    compiled = f"{programs} programs were compiled; memory was {memory / 2**30:.2f} GiB at most."
    return [*lines, "", matmul, compiled]


def versions():
    """The versions on which the bits of a result depend."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = {package: metadata.version(package) for package in PACKAGES}
    return {"minisub": minisub.__version__, "python": python, **found}
