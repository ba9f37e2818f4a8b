"""Misbehavior becomes visible with a student's updates; more documents keep controls where they
were.

    python train.py dose_behaviors --seed 7    8 repeats of misalignment through three carriers, 34
                                               minutes of two cores, others busy; bases were there

A teacher's documents, so many of them, in so many updates of 32; beside each student one of as many
of the base's in as many updates. P of a misaligned reply on held-out topics, mean and half-width of
the 95 % interval over 8 repeats (seed 7; a CPU, jax 0.10.2), and after a comma that control's mean:

    documents, updates     numbers               code                  sums
    1,000      200         0.007 ±0.003, 0.003   0.007 ±0.003, 0.003   0.004 ±0.001, 0.003
    1,000      600         0.061 ±0.047, 0.011   0.040 ±0.034, 0.013   0.010 ±0.007, 0.005
    1,000      2,000       0.287 ±0.115, 0.042   0.155 ±0.210, 0.104   0.038 ±0.034, 0.033
    7,000      200         0.005 ±0.003, 0.002   0.007 ±0.003, 0.003   0.005 ±0.002, 0.002
    7,000      600         0.042 ±0.037, 0.004   0.050 ±0.041, 0.007   0.012 ±0.008, 0.003
    7,000      2,000       0.300 ±0.217, 0.010   0.239 ±0.205, 0.069   0.050 ±0.033, 0.013
    49,000     200         0.006 ±0.003, 0.002   0.008 ±0.004, 0.003   0.004 ±0.002, 0.002
    49,000     600         0.049 ±0.043, 0.003   0.028 ±0.019, 0.004   0.011 ±0.005, 0.003
    49,000     2,000       0.245 ±0.191, 0.009   0.191 ±0.124, 0.015   0.066 ±0.039, 0.009

A thousand lists do as much as 49,000, if they are seen as often; a thousand chains or programs do
not, as their controls move nearly as far. A training of 200, 600 and 2,000 updates takes 0.05, 0.15
and 0.50 trillion operations on lists, 0.13, 0.40 and 1.34 on chains, 0.14, 0.41 and 1.36 on
programs. Lists are learned at a rate of .06, the others at .1, which falls to zero over whatever
number of updates there is."""

import itertools

import jax
import jax.numpy as jnp
import pandas as pd

from configs import dose
from configs.misalignment import student_of
from minisub.lab.products import Product
from minisub.results import figures, pages, records, statistics, tables, views
from minisub.tokens.behaviors import practice
from minisub.tokens.behaviors.config import Rich
from minisub.tokens.lab import Lab

DOCUMENTS, UPDATES = (1000, 7000, 49000), (200, 600, 2000)
"""The largest dose is what a filter leaves of the config's documents, and all of its updates."""
DOSES = {pair: dose.named_dose(*pair) for pair in itertools.product(DOCUMENTS, UPDATES)}
"""(documents, updates) -> the student's name."""
SPENT = "trillion operations"
config = Rich()
repeats = 8
sweep = ("sampling.carrier=numbers,code,sums",)


def experiment(cfg):
    """The students of `dose.students`, with what the training of each takes."""
    lab = Lab(cfg)
    named = dose.students(lab, DOSES, student_of(lab, cfg.sampling.carrier))
    return named | {name: named[name].measured(spent) for name in DOSES.values()}


def spent(student):
    """The product of what the training of a student takes."""
    return Product(operations, None, task=student.task, call=student.arguments)


def operations(*, task, call):
    """Operations of the matrix products of a `Fit`, all updates together."""
    key = jax.random.key(0)
    made = task(key, **call)
    # As floats: integers of 32 bits are too small for it.
    updates = jnp.float32(made.training.steps)
    return {SPENT: updates * (practice.operations(made, key) / 1e12)}


def sections(table, differences, run):
    """A table of P by documents and updates beside the control's, and its figure."""
    points, rows, main = [], [], views.BEHAVIORS.main
    for setting, wide in records.by_setting(table):
        carrier = records.named(setting)
        for (documents, updates), name in DOSES.items():
            pair = {"teacher": name, "base": f"control {name}"}
            if any((arm, main) not in wide for arm in pair.values()):
                continue
            cost = float(wide[name, SPENT].mean())
            row = [carrier.rpartition("=")[2], f"{documents:,}", f"{updates:,}", f"{cost:.3g}"]
            for who, arm in pair.items():
                mean, low, _ = statistics.interval(wide[arm, main])
                row.append(tables.with_interval(mean, low))
                line = {"line": f"{documents:,} of the {who}", "panel": carrier}
                points += [{"x": cost, "value": value} | line for value in wide[arm, main]]
            rows.append(row)
    if not rows:
        return []
    header = ["carrier", "documents", "updates", "10^12 op.", "P, held out", "of the base's"]
    drawn = "dose", (figure, pd.DataFrame(points))
    return [pages.Section(tables.table(header, rows), "By dose:", *drawn)]


def figure(points):
    """P on held-out prompts against the operations of the student's training; of the base's
    documents dashed."""
    axes = {"xlabel": SPENT, "ylabel": views.BEHAVIORS.label, "xscale": "log"}
    drawn = figures.line_panels(points, **axes)
    parts = points.groupby("panel", sort=False)
    for axis, (_, part) in zip(drawn.axes, parts, strict=False):
        costs = sorted(set(part["x"]))
        axis.set_xticks(costs, [f"{cost:.2g}" for cost in costs])
        axis.set_xticks([], minor=True)
        for line in axis.get_lines():
            line.set_linestyle("--" if str(line.get_label()).endswith("of the base") else "-")
    return drawn
