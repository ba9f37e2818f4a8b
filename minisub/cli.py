"""The command line: the only place that prints."""

import contextlib
import dataclasses
import json
import operator
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import jax
import tqdm

from minisub import (
    arguments,
    executors,
    experiments,
    keeping,
    loading,
    machine,
    progress,
    workers,
)
from minisub.config import Refused, Stopped, require
from minisub.lab import files, folder, perform, plan

USAGE = """\
python train.py [CONFIG] [--field value ...] [--repeats N] [--seed N] [--out FOLDER] [--plan]
                [--sweep FIELD=V1,V2,...] [--only NAME ...] [--group N] [--workers N]
                [--cluster ADDRESS] [--keep ...] [--fresh]
python train.py bench [CONFIG] [--field value ...] [--group N]
python train.py audit DATA.jsonl --base RUNFOLDER [--suspect FILE.json] [--out FOLDER]
python train.py export RUNFOLDER NAME [--format jsonl|safetensors|npz] [--out FILE]
python train.py report RUNFOLDER ... [--out PAGE.md]
python train.py doctor"""
BAD_INPUT, STOPPED, INTERRUPTED, UNREAD = 2, 1, 130, 141
BAR = "{percentage:3.0f}% |{bar:20}| {elapsed} gone, {remaining} left, {desc}"


def main(argv=None):
    """Run a command line, and say in a sentence why it ends, if not by itself.

    Returns 0, 2 for bad input, 1 for a run that had to stop, 130 for one that was interrupted, or
    141 if the reader of the output has gone.
    """
    machine.open_streams()
    try:
        with machine.heeding(signal.default_int_handler):
            try:
                run_command(sys.argv[1:] if argv is None else list(argv))
            finally:
                sys.stdout.flush()
        return 0
    except Refused as refusal:
        status, said = BAD_INPUT, str(refusal)
    except Stopped as stop:
        status, said = STOPPED, str(stop)
    except KeyboardInterrupt:
        said = "Interrupted; what a run made is saved, and its command goes on."
        status = INTERRUPTED
    except OSError as error:
        if error.filename or not error.errno:  # it is not of what is printed
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # who read it has gone, as `head` does
            return UNREAD
        said = f"The system failed ({error.strerror}); mend that, and give the command again."
        status = STOPPED
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        said = f"The device failed ({machine.reason(error)}); if it is its memory"
        status, said = STOPPED, f"{said}, choose smaller models, batches or --group."
    try:
        print(*said.split(), file=sys.stderr, flush=True)  # in one line, whatever names are in it
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return status


def run_command(words):
    """Do what a command line asks for."""
    # Python reads other bytes as surrogates, which no report could be written with.
    unread = any("\ud800" <= letter <= "\udfff" for word in words for letter in word)
    wrong = "A name has bytes that are no letters in this locale"
    require(not unread, f"{wrong}; set LC_ALL=C.UTF-8, or rename it.")
    if words[:1] != ["report"]:
        machine.prepare()
    commands: dict = {"bench": bench, "audit": audit, "export": export, "report": report}
    commands["doctor"] = lambda words: print(*machine.doctor(words), sep="\n")
    if words and words[0] in commands:
        return commands[words[0]](words[1:])
    if words and words[0] in ("--help", "-h"):
        return print(USAGE, *arguments.overview(), sep="\n")
    name, options = config_and_options(words, arguments.DEFAULT)
    with experiments.read([name, *options]) as experiment:
        return perform_experiment(experiment)


def config_and_options(words, default):
    """The config that a command line names first, or the default, and its other words."""
    given = words and not words[0].startswith("-")
    return (words[0], words[1:]) if given else (default, words)


def perform_experiment(experiment):
    """Plan an `experiments.Experiment`, perform what is left of it, and write the results."""
    command, settings = experiment.command, experiment.settings
    path = Path(command.out or f"runs/{experiment.title}")
    device = machine.devices()[0]
    usual = 1 if device.platform == "cpu" else grouped(path) or command.repeats
    group = command.group or usual
    environment = machine.environment() | {"seed": command.seed, "group": group}
    # Before the folder is made: a refusal leaves nothing.
    most = machine.number("MINISUB_CACHE_BYTES", keeping.LIMIT, least=0)
    planned = plan.Plan([named for _, named in settings], min(group, command.repeats))
    with contextlib.ExitStack() as stack:
        taken = os.path.exists(path) and (path.is_file() or any(path.glob("*")))
        nowhere = command.plan and not taken
        there = stack.enter_context(tempfile.TemporaryDirectory()) if nowhere else path
        executor = None
        if command.cluster and not command.plan:
            executor = stack.enter_context(executors.of_cluster(command.cluster))
        place = stack.enter_context(folder.Folder(there, environment))
        root = None if command.fresh else keeping.home()
        kept = keeping.Cache(root, environment, command.seed, most) if root else None
        if command.keep == "all":  # what was dropped is made again
            place.dropped.clear()
        scale = command.seed, command.repeats, group
        performance = perform.Performance(settings, place, *scale, cache=kept, plan=planned)
        if command.plan:
            named = (each for _, made in settings for each in made.items())
            return print(*progress.plan_lines(performance.left(), named), sep="\n")
        described = experiment.described(environment | {"revision": machine.revision()})
        many = f"{command.repeats} repeat{'s' * (command.repeats > 1)}"
        print(f"{experiment.title}: {many} on {device.device_kind}, in {path}")
        if said := loading.left_out(path, described):
            print(said)
        how = environment, command.workers, executor
        elsewhere = partial(workers.make_all, performance, experiment.words, *how)
        sections = getattr(experiment.module, "sections", None)
        print(*performed(performance, elsewhere, described, command.keep, sections), sep="\n")


def grouped(path):
    """How many repeats were in one program when a run's folder was made; None if it is new."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return json.loads((path / "made_by.json").read_bytes())["group"]
    return None


def performed(performance, elsewhere, experiment, keep, sections):
    """Make what is left of an experiment, write the results, and return lines that sum them up;
    `elsewhere` makes it in workers, if these are of use."""
    place = performance.folder
    with files.refusing(f"{place.path} cannot be written", files.NO_SPACE, Stopped):
        text = json.dumps(experiment, indent=1) + "\n"
        files.write_atomically(place.path / "experiment.json", text)
        rows = perform_behind_bar(performance, elsewhere)
        text = "".join(json.dumps(x, allow_nan=False, default=str) + "\n" for x in rows)
        files.write_atomically(place.path / "records.jsonl", text)
        rate = progress.matmul_rate()
        usage = progress.usage_lines(performance.usage, rate, performance.taken)
        from minisub import results  # late: --help and refusals need no pandas and no matplotlib

        own = sections and (lambda *of: sections(*of, loading.load(place.path)))
        written = results.write(place.path, rows, experiment, usage, own)
        return [*written, *filter(None, [keeping.thin(place, keep)])]  # thinned when all is written


def perform_behind_bar(performance, elsewhere):
    """Perform an experiment behind a progress bar; a line for each name that ends. Returns rows.

    When the process is asked to end it saves, and raises KeyboardInterrupt.
    """
    left = sum(flops for *_, flops in performance.left())
    form = {"bar_format": BAR, "ncols": 79, "disable": None, "leave": False}  # None: if piped
    latest: list = []
    asked: list = []
    place = operator.itemgetter("arm", "repeat", "setting")

    def ask(number, _):
        """Note the first such signal; a second one ends the process as usual."""
        asked.append(number)
        with contextlib.suppress(OSError, RuntimeError):  # which may be in the middle of a line
            tqdm.tqdm.write("Asked to end: what is under way is awaited, unless asked again.")
        signal.signal(number, signal.SIG_DFL)

    def say():
        """Say what was just measured of a name, when it is complete."""
        with contextlib.suppress(OSError):  # no line is worth the rest of the run
            if latest:
                tqdm.tqdm.write(progress.said_of(latest))
        latest.clear()

    def show(event):
        """Move the bar, or note what was measured."""
        if isinstance(event, perform.Advanced):
            last = event.repeats[-1] + 1 if event.repeats else "all"
            task = event.product.rpartition("-")[0]
            bar.set_description_str(f"{task}, repeat {last}", refresh=not event.flops)
            bar.update(event.flops)
        elif event:  # rows; what could not be measured has none
            if latest and place(latest[0]) != place(event[0]):
                say()
            latest.extend(event)

    with machine.heeding(ask), tqdm.tqdm(total=max(left, 1), **form) as bar:
        performance.asked = lambda: bool(asked)
        performance.tell = show
        elsewhere()
        performance.make_all()
        say()
    return [*performance.rows()]


def bench(words):
    """`bench [CONFIG] [--field value ...]`: what each kind of program takes here."""
    name, rest = config_and_options(words, "mnist")
    module = arguments.load(name)
    command = arguments.parse(name, module, rest)
    default = arguments.parse(name, module, [])
    default = dataclasses.replace(default, config=command.config, group=command.group)
    require(command == default, "bench takes a config's fields and --group; leave out others.")
    machine.devices()  # refuses what cannot start
    with experiments.precision(module):
        products = experiments.products_of(module, command.config)
        say = partial(print, flush=True)
        progress.bench(Path(name).stem, products, command.group or 1, say)


def audit(words):
    """`audit DATA --base RUNFOLDER`: what a base would learn from documents, before it does."""
    from minisub import auditing

    command = arguments.parse_into(auditing.Audit, "audit", words)
    machine.devices()
    answered, out = auditing.prepared(command), Path(command.out)
    unwritten = f"{out} cannot be written", "choose another --out"
    with files.refusing(*unwritten):
        out.mkdir(parents=True, exist_ok=True)  # before minutes of work
    answers = answered()
    with files.refusing(*unwritten):
        files.write_atomically(out / "audit.json", json.dumps(answers, indent=1) + "\n")
    from minisub.results import figures, pages

    failures, how = [], ("audit", out / "audit.png", auditing.figure, answers)
    drawn = pages.attempted(failures, "audit.png", figures.draw, *how)
    held = ", ".join(filter(None, ["audit.json", drawn]))
    print(*auditing.lines(answers), *failures, "", f"{out} holds {held}", sep="\n")


def export(words):
    """`export RUNFOLDER NAME`: a model or documents of a run, as other programs read them."""
    command = arguments.parse_into(loading.Export, "export", words)
    machine.devices()
    print(loading.export(command))


def report(words):
    """`report RUNFOLDER ...`: one page of many runs."""
    from minisub import results

    command = arguments.parse_into(Report, "report", words)
    out = Path(command.out)
    text = results.joined([run for run in command.runs if Path(run) != out], out)
    with files.refusing(f"{out} cannot be written", "choose another --out"):
        files.write_atomically(keeping.destination(out), text)
    print(f"{out} joins the runs that are finished")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Join runs on one page: a table of what each showed, then their own pages with figures."""

    runs: arguments.Words
    """Run folders; those without a finished run are left out."""
    out: str = "runs/report.md"
    """The page."""
