"""A run on several devices and processes: lanes of repeats, which never wait for each other.

Repeats exchange nothing, so nothing is sharded inside a program. A lane is a block of the cells
(group of repeats, setting of a sweep), with a folder of its own for records and checkpoints: one
`runner.Run`, on one device, by the programs of a run that is alone. So its rows have the same bits,
and those of all lanes in order are the records of that run. Any number of processes can go on with
the lanes that a run began with, and one that ends takes no other with it: processes share the
folder, nothing else.

Lane i belongs to process i modulo their number, and there to its devices in turn.
"""

import contextlib
import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from minisub import config, store

SILENCE = 60
"""Seconds without anybody at work on a lane that is not done, after which it counts as left."""
DONE = "done"


class Place(NamedTuple):
    """Which of a run's processes this is."""

    process: int = 0
    processes: int = 1
    devices: int = 0
    """Of all processes; 0: those of this one."""


class Lane(NamedTuple):
    """A part of a run that one device performs."""

    folder: Any
    device: Any
    run: Any
    """Its `runner.Run`."""
    lock: Any
    """Open as long as a process is at work on it; None if the run is this one lane."""


def meet(coordinator, processes, process):
    """Find a run's processes by `jax.distributed`, write what a `Place` holds and go.

    "" and -1: as the cluster's environment says. In a process of its own, because one that has met
    others goes on to compute, save and end with them.
    """
    known = {"num_processes": processes, "process_id": process}
    known = {name: n for name, n in known.items() if n >= 0}
    jax.distributed.initialize(coordinator or None, **known)
    own = [device.local_hardware_id for device in jax.local_devices()]
    place = jax.process_index(), jax.process_count(), jax.device_count()
    sys.stdout.write(json.dumps([place, own, jax.default_backend()]) + "\n")
    sys.stdout.flush()
    jax.distributed.shutdown()


def join(coordinator, processes, process):
    """The `Place` of this process among a run's; see `meet`. Before JAX computes anything.

    Raises `config.Refused` if the others cannot be found.
    """
    asked = json.dumps([coordinator, processes, process])
    code = f"import json; from minisub import lanes; lanes.meet(*json.loads({asked!r}))"
    met = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if met.returncode:
        said = (met.stderr.strip().splitlines() or ["it ended"])[-1].rstrip(".")
        raise config.Refused(
            f"--distributed found no other processes ({said}); give --coordinator HOST:PORT, "
            "--num-processes and --process-id."
        )
    # What it found; its libraries write to the same stream.
    [found] = [line for line in met.stdout.splitlines() if line.startswith("[[")]
    place, own, platform = json.loads(found)
    if platform in ("gpu", "cuda"):  # of a node's, those that the cluster gave to this process
        jax.config.update("jax_cuda_visible_devices", ",".join(map(str, own)))
    return Place(*place)


def claim(folder, identity, place):
    """`store.claim` by process 0; the others find the folder claimed for the same run.

    Returns what is to be kept open. Raises `config.Refused` as `store.claim`, in every process.
    """
    if place.process == 0:
        return store.claim(folder, identity)
    end = time.monotonic() + SILENCE
    while not (folder / "config.json").exists():
        config.require(
            time.monotonic() < end, f"Process 0 did not claim {folder}; see its message."
        )
        time.sleep(0.1)
    store.check_identity(folder, identity)
    return contextlib.nullcontext()


def blocks(lanes, groups, settings):
    """Ranges of cells, numbered in order, one a lane: whole groups where there are as many."""
    # Settings of a group share bases, which a group that is cut computes twice.
    step = settings if groups >= lanes else 1
    ends = np.linspace(0, groups * settings // step, lanes + 1).round().astype(int) * step
    return [range(*pair) for pair in itertools.pairwise(ends.tolist())]


def own(place, blocks):
    """[(number, device, block)] of this process, of the `blocks` of all lanes."""
    devices = jax.local_devices()
    return [
        (i, devices[i // place.processes % len(devices)], blocks[i])
        for i in range(place.process, len(blocks), place.processes)
    ]


def begin(parts, place, blocks, run_of):
    """This process's `Lane`s, of those with the folders `parts`, their runs not yet resumed.

    `run_of(folder, block)` makes a `runner.Run`. Raises `config.Refused` if another process is at
    work on one.
    """
    found = []
    for i, device, block in own(place, blocks):
        lock = held(parts[i]) if len(parts) > 1 else None
        free = lock or len(parts) == 1
        config.require(free, f"{parts[i]} is in use by another process; wait for it or end it.")
        found.append(Lane(parts[i], device, run_of(parts[i], block), lock))
    return found


def held(folder):
    """`store.locked` of a lane's folder, which need not be there yet."""
    with store.refusing(f"{folder} cannot hold a lane", "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        return store.locked(folder)


def wait(parts):
    """Return the first of the lanes' folders that is left undone, None when all are done."""
    for folder in parts if len(parts) > 1 else ():
        seen = time.monotonic()
        while not (folder / DONE).exists():
            if lock := held(folder):
                lock.close()
            else:
                seen = time.monotonic()
            if time.monotonic() - seen > SILENCE:
                return folder
            time.sleep(0.2)
    return None


def events(lanes, asked):
    """Events of all `lanes` (of `Lane`s) as they come; devices work side by side.

    When `asked()`, every lane saves and KeyboardInterrupt is raised; when one cannot go on, the
    others save and its exception is raised.
    """
    by_device = {}
    for lane in lanes:
        by_device.setdefault(lane.device, []).append(lane)
    if len(by_device) <= 1:
        yield from of_device(lanes, asked)
        return
    found, failure, working = queue.Queue(), None, len(by_device)

    def work(device, own):
        with jax.default_device(device):
            try:
                for event in of_device(own, lambda: failure or asked()):
                    found.put(event)
                found.put(None)
            except BaseException as error:  # whatever it is, the others have to hear of it
                found.put(error)

    for device, its in by_device.items():
        threading.Thread(target=work, args=(device, its), daemon=True).start()
    while working:
        event = found.get()
        if event is None or isinstance(event, BaseException):
            failure, working = failure or event, working - 1
        else:
            yield event
    if failure:
        raise failure


def of_device(lanes, asked):
    """Events of lanes one after the other."""
    for lane in lanes:
        for event in lane.run.events():
            yield event
            if asked():
                lane.run.save()
                raise KeyboardInterrupt
        if lane.lock:
            store.write_atomically(lane.folder / DONE, "")
