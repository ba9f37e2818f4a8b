"""Workers of this machine or of a Dask cluster, as executors of `concurrent.futures`."""

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, ProcessPoolExecutor

from minisub import machine
from minisub.config import Refused, Stopped, require

WAITED = 60
"""Seconds for which the first worker of a cluster is waited."""


def of_this_machine(number):
    """An executor of so many processes, which end when this one does."""
    how = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(number, how, initializer=begin, initargs=(os.getpid(),))


@contextlib.contextmanager
def deaf():
    """Requests to end wait meanwhile; in a process that starts here, until it ignores them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(parent):
    """What a worker process does first: it ignores requests to end, which go to `parent`, and sees
    to it that it ends when `parent` does."""
    for kind in (signal.SIGINT, signal.SIGHUP):
        signal.signal(kind, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def of_cluster(address):
    """An executor whose pieces a Dask cluster makes. Its scheduler and workers need this package,
    and workers must see the run's folder; if this process is killed they end their pieces first.

    Dask gives the work of a lost worker to another one. Raises `Refused` if no worker answers, and
    `Stopped` when the cluster is lost.
    """
    try:
        from dask import distributed
    except ImportError:
        raise Refused("--cluster needs Dask; pip install distributed.") from None
    # What is wrong is said here; a message sent while a connection is lost is an error in a loop.
    for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        try:
            client = stack.enter_context(distributed.Client(address, set_as_default=False))
            executor = client.get_executor(pure=False)
            executor.submit(machine.threads).result(WAITED)
            threads = max(client.nthreads().values(), default=1)
        except Exception as error:  # of many kinds, and of whatever a worker lacks
            said = f"No worker answers at {address} ({type(error).__name__}: {error})"
            start = "start dask scheduler and dask worker where this package is"
            raise Refused(f"{said}; {start}, or leave --cluster out.") from None
        require(threads == 1, f"Workers at {address} have {threads} threads; give --nthreads 1.")
        try:
            yield executor
        except distributed.KilledWorker:
            said = f"One piece of work has ended several workers at {address}, probably for memory"
            raise Stopped(f"{said}; start fewer of them, and the same command goes on.") from None
        except CancelledError:
            lost = f"The cluster at {address} was lost"
            raise Stopped(f"{lost}; start it, and the same command goes on.") from None
