"""The dose at which a behavior becomes visible in students, and what it costs.

    python train.py dose_behaviors    8 repeats of misalignment through three carriers; not run yet,
                                      but at tiny size

A teacher's documents, so many of them, in so many updates of 32; beside each student one of as many
of the base's in as many updates, so that it shows at which dose a control changes, too. The cost is
that of the student's training, in operations of matrix products."""

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
    """P on held-out prompts against the operations of the student's training."""
    axes = {"xlabel": SPENT, "ylabel": views.BEHAVIORS.label, "xscale": "log"}
    return figures.line_panels(points, **axes)
