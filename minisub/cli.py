"""The command line: the only place that prints.

python train.py [CONFIG] [--field value ...] [--repeats N] [--seed N] [--out FOLDER]
                [--sweep FIELD=V1,V2,...] [--only ARM ...] [--group N] [--kind NAME]
                [--distributed [--coordinator HOST:PORT --num-processes N --process-id I]]
python train.py bench [CONFIG] [--field value ...] [--group N]
python train.py audit DATA.jsonl --base RUNFOLDER [--suspect FILE.json] [--out FOLDER]
python train.py export RUNFOLDER --source NAME --out DATA.jsonl
python train.py report RUNFOLDER ... [--out PAGE.md]
"""

import contextlib
import dataclasses
import io
import json
import os
import shlex
import signal
import sys
from pathlib import Path

import jax
import tqdm

from minisub import arguments, config, experiment, lanes, runner
from minisub.lab import progress, store, timing
from minisub.results import calibration, matrices, prediction, report

BAD_INPUT, STOPPED, INTERRUPTED, UNREAD = 2, 1, 130, 141
AGAIN = "what was recorded is kept: start the processes again, and the run goes on."
MOST_REPEATS = 10**6
BAR = "{percentage:3.0f}% |{bar:20}| {elapsed} gone, {remaining} left, {desc}"


def main(argv=None):
    """Run a command line; return 0, or 2 for bad input, or 1 for a run that had to stop."""
    try:
        try:
            return status_of(sys.argv[1:] if argv is None else list(argv))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # who read the output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD


def status_of(words):
    """Run a command line given in words, and say in a sentence why it ends, if not by itself."""
    try:
        # Python reads other bytes as surrogates, which no report could be written with.
        foreign = any("\ud800" <= letter <= "\udfff" for word in words for letter in word)
        config.require(not foreign, "The command line is not UTF-8; rename the file or folder.")
        perform(words)
        return 0
    except config.Refused as refusal:
        status, said = BAD_INPUT, str(refusal)
    except runner.Stopped as stop:
        status, said = STOPPED, str(stop)
    except KeyboardInterrupt:
        status, said = INTERRUPTED, "Interrupted and saved; the same command continues from here."
    print(*str(said).splitlines(), file=sys.stderr)
    return status


def perform(words):
    """Parse, check, run or continue, and report."""
    timing.remember_programs()
    commands = {
        "bench": measure_speed,
        "audit": audit_data,
        "export": export_documents,
        "report": join_runs,
    }
    if words and words[0] in commands:
        return commands[words[0]](words[1:])
    name, rest = named(words, arguments.DEFAULT)
    module = arguments.load(name)
    claim, kinds = arguments.claim_of(module.__file__), arguments.kinds_of(module)
    command, others = arguments.of_kind(module, rest)
    choice = f"\n\nKinds, for --kind: {', '.join(kinds)}" if kinds else ""
    command = arguments.parse(name, claim + choice, command, others)
    config.require(command.repeats >= 1, f"--repeats is {command.repeats}; at least 1 is needed.")
    config.require(
        command.repeats <= MOST_REPEATS,
        f"--repeats is {command.repeats}; at most {MOST_REPEATS:,} are listed in memory.",
    )
    config.require(command.group >= 0, f"--group is {command.group}; give 0 or more.")
    config.require(0 <= command.seed < 2**32, f"--seed is {command.seed}; give 0 to 2**32 - 1.")
    there = command.coordinator, command.num_processes, command.process_id
    place = lanes.join(*there) if command.distributed else lanes.Place()
    settings = arguments.settings(name, command)
    title = Path(name).stem
    own = f"-{command.kind}" if command.kind in kinds[1:] else ""
    folder = Path(command.out or f"runs/{title}{own}")
    shown = shlex.join([*arguments.PROGRAM.split(), name, *rest])
    # Of many processes one speaks.
    with contextlib.redirect_stdout(io.StringIO() if place.process else sys.stdout):
        with_folder(folder, title, claim, shown, command, settings, place)


def named(words, default):
    """The config that a command line names first, or the default, and its other words."""
    given = words and not words[0].startswith("-")
    return (words[0], words[1:]) if given else (default, words)


def measure_speed(words):
    """`bench [CONFIG] [--field value ...]`: what an epoch of each kind of phase takes here."""
    from minisub.lab import bench

    name, rest = named(words, "mnist")
    default, others = arguments.of_kind(arguments.load(name), rest)
    command = arguments.parse(name, "", default, others)
    default = dataclasses.replace(default, config=command.config, group=command.group)
    config.require(command == default, "bench takes the config's fields, --kind and --group alone.")
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
        held, most, phase = bench.memory(command.config, repeats=repeats)
    print("\nAn epoch visits every example once; in the token world it is 100 updates.")
    said = f"{held / 2**20:,.0f} MiB are held, and {most / 2**20:,.0f} more at most, in {phase}."
    print(f"Memory of the device: {said}")


def audit_data(words):
    """`audit DATA --base RUNFOLDER`: what a base would learn from documents, before it does."""
    from minisub.audit.trace import report

    command = arguments.parse_into(arguments.Audit, "audit", words)
    found = report.perform(command)
    said, folder = report.lines(found), Path(command.out)
    with store.refusing(f"{folder} cannot be written", "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        store.write_atomically(folder / "audit.json", json.dumps(found, indent=1) + "\n")
        from minisub.results import audit_figures

        audit_figures.audited(folder / "audit.png", found)
    print(*said, "", f"{folder} holds audit.json, audit.png", sep="\n")


def export_documents(words):
    """`export RUNFOLDER --source NAME --out FILE`: documents of a run, as `audit` reads them."""
    from minisub.audit.trace import files

    command = arguments.parse_into(arguments.Export, "export", words)
    repeat = None if command.repeat < 0 else command.repeat
    run = files.read_run(command.run)
    asked = command.source, command.out, repeat, command.rejected
    print(f"{command.out} holds {files.write_documents(run, *asked):,} documents")


def join_runs(words):
    """`report RUNFOLDER ...`: one page of many runs."""
    from minisub.results import joining

    command = arguments.parse_into(arguments.Report, "report", words)
    out = Path(command.out)
    text, left = joining.page([Path(run) for run in command.runs if Path(run) != out], out)
    with store.refusing(f"{out} cannot be written", "choose another --out"):
        out.parent.mkdir(parents=True, exist_ok=True)
        store.write_atomically(out, text)
    for folder in left:
        print(f"{folder} holds no finished run and is left out")
    print(f"{out} joins {len(command.runs) - len(left)} runs")


def with_folder(folder, title, claim, shown, command, settings, place):
    """Perform all settings into `folder`, or what is left of them, and write the results there."""
    for _, cfg in settings:  # before the folder is claimed: a refusal leaves nothing
        experiment.fetch(cfg)
    device, scale, hosts = scale_of(folder, command, len(settings), place)
    students = [arm.name for arm in settings[0][1].arms]
    made = {**scale, "device": device, **progress.versions()}
    hosts["revision"] = progress.revision()
    kind = {"kind": command.kind} if command.kind else {}
    identity = {"config": title, **kind, **config.leaves(command.config), "students": students}
    title = f"{title} {command.kind}".strip()
    identity = json.loads(json.dumps(identity | {"sweep": command.sweep} | made | hosts))
    with lanes.claim(folder, identity, place):
        many = f"{hosts['lanes']} lanes of " if hosts["lanes"] > 1 else ""
        print(f"{title}: {command.repeats} repeats on {many}{device}, into {folder}")
        parts, groups = store.parts(folder, hosts["lanes"]), -(-command.repeats // scale["group"])
        blocks = lanes.blocks(len(parts), groups, len(settings))

        def run_of(part, block):
            records = store.Records(part / "records.jsonl")
            checkpoints = checkpointing.Checkpoints(part / "checkpoints")
            files = {"records": records, "checkpoints": checkpoints}
            return runner.Run(settings, **scale, **files, only=block)

        with experiment.precision(command.config):
            begun = lanes.begin(parts, place, blocks, run_of)
            runs = [lane.run for lane in begun]
            done = sum(run.resume() for run in runs)
            for notice in (x for r in runs for x in r.records.notices + r.checkpoints.notices):
                print(notice)
            total = sum(run.flops(run.units) for run in runs)
            if done:
                print(f"continuing after {done / total:.0%} of the work")
            watch(begun, total, done)
        if place.process:
            return
        left = lanes.wait(parts)
        if left:
            raise runner.Stopped(f"Nobody is at work on {left}; {AGAIN}")
        with store.refusing(f"{folder} cannot be written", store.NO_SPACE):
            rows, usage = store.joined(folder, parts), runner.usage_of(runs)
            made |= {"revision": hosts["revision"]}
            write_results(folder, title, claim, shown, made, students, rows, usage)


def scale_of(folder, command, settings, place):
    """(kind of device, what the bits of a result depend on, what they do not) of a command's run.

    A run that goes on keeps the groups and lanes that it began with, whatever devices there are.
    """
    device, found = jax.devices()[0], place.devices or jax.device_count()
    share = -(-command.repeats // found) if device.platform != "cpu" else 1
    before, there = (store.noted(folder, name, 0) for name in ("lanes", "group"))
    share = there if there > 0 else share
    group = min(command.group or share, command.repeats)
    n = min(before if before > 0 else found, -(-command.repeats // group) * settings)
    scale = {"repeats": command.repeats, "seed": command.seed, "group": group}
    return device.device_kind, scale, {"lanes": n, "devices": found, "processes": place.processes}


def write_results(folder, title, claim, shown, made, students, rows, usage):
    """Write summary, report and figure, and print the tables."""
    from minisub import figures  # late: --help and refusals need no matplotlib
    from minisub.results import audit_figures

    results = report.summary(rows, students)
    compiled = timing.compilations["programs"], timing.compile_seconds()
    memory = timing.peak_memory()
    took = progress.usage_lines(usage, *compiled, timing.matmul_rate(), memory)
    made = ", ".join(f"{name} {value}" for name, value in made.items() if value != "")
    sections = {"": matrices.lines(rows), "prediction": prediction.lines(rows)}
    audited = calibration.summary(rows)
    sections["audit"] = calibration.lines(audited)
    page = report.page(title, claim, shown, made, results, rows, students, sections, took)
    tested = matrices.summary(rows, results)
    store.write_atomically(folder / "summary.json", json.dumps(tested, indent=1) + "\n")
    store.write_atomically(folder / "report.md", page)
    drawn = figures.draw(folder, rows, students, title)
    if audited:
        store.write_atomically(folder / "audit.json", json.dumps(audited, indent=1) + "\n")
        audit_figures.calibration_of(folder, rows, audited)
        drawn += ", audit.png, audit.json"
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


def watch(begun, total, done):
    """Follow the events of lanes: a progress bar on a terminal, and a line for each arm that ends.

    `total` and `done` are operations. When asked to end it saves, and raises KeyboardInterrupt.
    """
    form = {"bar_format": BAR, "ncols": 79, "disable": None, "leave": False}  # None: if piped
    with patient() as asked, tqdm.tqdm(total=total, initial=done, **form) as bar:
        for event in lanes.events(begun, lambda: bool(asked)):
            if isinstance(event, runner.Progress):
                last = begun[0].run.groups[-1].stop
                doing = f"{event.phase}, repeat {event.repeats[-1] + 1} of {last}"
                bar.set_description_str(doing, refresh=False)
                bar.update(event.flops)
            else:
                tqdm.tqdm.write(progress.arm_line(event.rows))
