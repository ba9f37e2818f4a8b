"""How long students take here and in eager PyTorch, side by side: the programs of `test_torch`.

    python tests/bench_torch.py [--alternations 5] [--updates 40] [--threads 1 2]

Needs the extra `torch` and Linux. Every number of threads has a process of its own, held to as many
cores, in which trials of all programs alternate; a ratio is within one alternation, so that load
from elsewhere hits both. Ratios of CPU time are steadier still; with several threads they count
what waiting threads burn too. Models are random, and sizes those of the configs `numbers` and
`mnist`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

LINE = "{:33}{:>8}{:>9}{:>8}  {:>14}{:>6}"


def main():
    """Print a table for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--alternations", type=int, default=5)
    parser.add_argument("--updates", type=int, default=40, help="of the token student, a trial")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}))
    parser.add_argument("--alone", action="store_true", help="in this process, the first number")
    args = parser.parse_args()
    if args.alone:
        measure(args.threads[0], args.alternations, args.updates)
        return
    for threads in args.threads:
        command = [sys.executable, __file__, "--alone", "--threads", str(threads)]
        command += ["--alternations", str(args.alternations), "--updates", str(args.updates)]
        # Before its libraries start: they count cores and threads then.
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})


def measure(threads, alternations, updates):
    """Print the table of one number of threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    import jax
    import torch

    from minisub import progress
    from minisub.images.config import Config as ImageConfig
    from minisub.tokens.behaviors import practice
    from minisub.tokens.config import Config

    torch.set_num_threads(threads)
    print(f"\n{threads} thread{'s'[: threads > 1]}; jax {jax.__version__}, torch", end=" ")
    print(f"{torch.__version__}; medians of {alternations} alternations", flush=True)
    print(LINE.format("ms of an update, or epoch (images)", "here", "PyTorch", "ratio", "", "CPU"))
    rate = progress.matmul_rate()
    kinds = (lists, Config(), updates, 1), (noise, ImageConfig(), 0, 5)
    for prepare, cfg, trial, students in kinds:
        work, ours, programs = prepare(cfg, trial)
        steps = trial or work.fit.batches.steps
        per = students * (trial or 1)
        times = alternate([ours, *programs.values()], alternations, 1000 / per)
        for i, name in enumerate(programs, 1):
            print(row(name, times[0], times[i]), flush=True)
        bound = practice.operations(work.fit, work.key) * steps / rate * 1000 / per
        print(f"  its matrix products at {rate / 1e9:.0f} GFLOP/s: {bound:.1f}", flush=True)


def row(name, ours, theirs):
    """A line of the table, of (wall, CPU) milliseconds of two programs."""
    wall, cpu = ([b[i] / a[i] for a, b in zip(ours, theirs, strict=True)] for i in (0, 1))
    shown = [f"{statistics.median(x):.1f}" for x in ([t[0] for t in ours], [t[0] for t in theirs])]
    ratio, of_cpu = (f"{statistics.median(x):.2f}" for x in (wall, cpu))
    return LINE.format(name, *shown, ratio, f"{min(wall):.2f} to {max(wall):.2f}", of_cpu)


def alternate(functions, alternations, factor):
    """[(wall, CPU) seconds times `factor` at each alternation] of each function."""
    times = [[] for _ in functions]
    for function in functions:  # compilation, first allocations
        function()
    for _ in range(alternations):
        for function, own in zip(functions, times, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            spent = time.perf_counter() - wall, time.process_time() - cpu
            own.append([x * factor for x in spent])
    return times


def engine(work, steps):
    """A function that trains on from where its last call left off, here."""
    import jax
    import numpy as np

    from minisub.lab import run

    held = [run.begin(*work.task)]

    def train():
        state = run.advance()(*work.task, held.pop(), np.int32(0), np.int32(steps))
        held.append(jax.block_until_ready(state))

    return train


def lists(cfg, updates):
    """(work, ours, programs by name) of a student of lists."""
    import torch
    import torch_programs as eager
    import torch_work

    work = torch_work.list_work(cfg)

    def program(careful):
        model, docs, given = torch_work.list_student(cfg, work)
        optimizer = eager.adam(model, cfg.student.learning_rate, fused=careful or None)

        def train():
            batches = torch.randint(len(docs), (updates, cfg.student.batch))
            eager.imitate_lists(model, optimizer, docs, batches, given, careful)

        return train

    named = {"lists, plain": program(False), "lists, last block cut, fused Adam": program(True)}
    return work, engine(work, updates), named


def noise(cfg, _):
    """The same of students of noise, an epoch of them all."""
    import torch
    import torch_programs as eager
    import torch_work

    work = torch_work.image_work(cfg)
    models, shown = torch_work.image_students(cfg, work)
    n, batch, rate = len(shown.x), cfg.student.batch, cfg.student.learning_rate
    optimizers = [eager.adam(model, rate) for model in models]
    ensembles = [eager.ensemble_of(models) for _ in range(3)]
    stacked, own, teachers = ensembles
    of_stacked, of_own = eager.adam(stacked, rate), eager.adam(own, rate)

    def one_by_one():
        eager.imitate_one_by_one(models, optimizers, shown, torch.randperm(n).split(batch))

    def together():
        eager.imitate_stacked(stacked, of_stacked, shown, torch.randperm(n).split(batch))

    def in_own_orders():
        orders = torch.stack([torch.randperm(n) for _ in models]).split(batch, dim=1)
        eager.imitate_in_own_orders(own, of_own, shown, orders, teachers)

    named = {"noise, one model after another": one_by_one, "noise, models stacked": together}
    named["noise, own batches, teachers too"] = in_own_orders
    return work, engine(work, work.fit.batches.steps), named


if __name__ == "__main__":
    main()
