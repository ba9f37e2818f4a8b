"""Runs to which something happens: a process that forks one for every order on its standard input.

An order is a JSON object on a line: the `words` of a command line; the file `said` for all that is
printed; `fate`, what happens ("" for nothing), at the `after`-th event of a `kind`, `delay` seconds
later. The answer is a line: the exit status, negative for a signal. Events are the beginning and
the end of every call that computes ("work"), writes rows ("record", and one between two halves of
them), changes what checkpoints there are ("checkpoint"), writes the configuration ("claim") or
results ("result").

`die` is SIGKILL; `hang` waits for it, as a file SAID.pid tells; `lose` removes the folder of the
run. With `clock`, a seed, clocks jump back and forth at every look. How often each kind of event
came is the last line that a run says.
"""

import collections
import contextlib
import functools
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time
import types

from minisub import checkpointing, cli, figures, programs, runner, store

counts = collections.Counter()
order = {}


def happened(kind):
    """Count an event, and do what the order says to happen there."""
    counts[kind] += 1
    if (kind, counts[kind]) == (order["kind"], order["after"]) and order["fate"]:
        threading.Timer(order["delay"], FATES[order["fate"]]).start()
        while not order["delay"]:
            time.sleep(1e-3)  # the timer ends it


def die():
    """End as if the power failed, whatever the process is at."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang():
    """Wait to be killed."""
    pathlib.Path(order["said"] + ".pid").write_text(str(os.getpid()))


def lose():
    """Remove the folder of the run."""
    folder = order["words"][order["words"].index("--out") + 1]
    while os.path.exists(folder):
        shutil_rmtree(folder, ignore_errors=True)
    order["delay"] = 1


FATES = {"die": die, "hang": hang, "lose": lose}
shutil_rmtree = shutil.rmtree


def around(kind, function):
    """`function`, its beginning and its end being events."""

    @functools.wraps(function)
    def called(*args, **named):
        happened(kind)
        result = function(*args, **named)
        happened(kind)
        return result

    return called


def torn(file, content):
    """`store.write_through` in two halves."""
    kinds = {"records.jsonl": "record", ".config.json.tmp": "claim"}
    kind = kinds.get(os.path.basename(file.name), "result")
    for half in content[: len(content) // 2], content[len(content) // 2 :]:
        happened(kind)
        file.write(half)
        file.flush()
    os.fsync(file.fileno())
    happened(kind)


def watch():
    """Make events of all calls that matter; let there be many short segments, each saved."""
    runner.SEGMENT_STEPS, runner.SECONDS_BETWEEN_CHECKPOINTS = 3, -1
    advance = programs.advance
    programs.advance = lambda: around("work", advance())
    store.write_through = torn
    calls = (
        ("work", programs, "begin"),
        ("work", programs, "finish"),
        ("checkpoint", checkpointing.ocp, "save"),
        ("checkpoint", shutil, "rmtree"),
        ("checkpoint", pathlib.Path, "rename"),
        ("result", figures, "draw"),
    )
    for kind, owner, name in calls:
        setattr(owner, name, around(kind, getattr(owner, name)))


def jumping(seed):
    """Let the clocks jump by up to a year at every look, those of the runner backwards too."""
    chance, real = random.Random(seed), time.time

    def now():
        return real() + chance.uniform(-3e7, 3e7)

    time.time = now
    runner.time = types.SimpleNamespace(monotonic=now, perf_counter=now)


def main():
    """Read orders, obey, answer."""
    for line in sys.stdin:
        order.update(json.loads(line))
        child = os.fork()
        if not child:
            with open(order["said"], "w") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            watch()
            if order["clock"]:
                jumping(order["clock"])
            status = cli.main(order["words"])
            for removal in threading.enumerate():  # half a removal would look like a remainder
                if isinstance(removal, threading.Timer) and order["fate"] == "lose":
                    removal.join()
            with contextlib.suppress(OSError):
                print(json.dumps(counts))
                sys.stdout.flush()
            os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
