"""Misbehavior becomes visible with a student's updates; more documents keep controls where they
were.

    python train.py dose_behaviors --seed 7    8 repeats of misalignment through three carriers, 34
                                               minutes of two cores, others busy; bases were there

A teacher's documents, so many of them, in so many updates of 32; beside each student one of as many
of the base's in as many updates. P of a misaligned reply on held-out topics, mean over 8 repeats
(seed 7; a CPU, jax 0.10.2), and the difference from that control with its 95 % interval:

    documents  updates  numbers              code                 sums
    1,000      200      .007 (+.004 ±.004)   .007 (+.004 ±.003)   .004 (+.001 ±.002)
    1,000      600      .061 (+.049 ±.051)   .040 (+.027 ±.026)   .010 (+.005 ±.009)
    1,000      2,000    .287 (+.245 ±.106)   .155 (+.051 ±.097)   .038 (+.005 ±.059)
    7,000      200      .005 (+.003 ±.003)   .007 (+.004 ±.003)   .005 (+.003 ±.003)
    7,000      600      .042 (+.038 ±.036)   .050 (+.043 ±.039)   .012 (+.009 ±.007)
    7,000      2,000    .300 (+.289 ±.216)   .239 (+.170 ±.132)   .050 (+.036 ±.028)
    49,000     200      .006 (+.004 ±.003)   .008 (+.005 ±.004)   .004 (+.002 ±.002)
    49,000     600      .049 (+.046 ±.041)   .028 (+.024 ±.019)   .011 (+.008 ±.005)
    49,000     2,000    .245 (+.236 ±.184)   .191 (+.176 ±.113)   .066 (+.057 ±.034)

Of 7,000 documents or more P above .02 and an interval of the difference above zero is there after
600 updates on lists and programs, and after 2,000 on chains. In 2,000 updates a thousand lists do
as much as 49,000; a thousand chains or programs pass nothing then that is told from their controls,
which move nearly as far.
A training of 200, 600 and 2,000 updates takes 0.05, 0.15 and 0.50 trillion operations on lists,
0.13, 0.40 and 1.34 on chains, 0.14, 0.41 and 1.36 on programs. Lists are learned at a rate of .06,
the others at .1, which falls to zero over whatever number of updates there is."""

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
"""The largest doses: fewer documents than any filter leaves of the config's, and all updates."""
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
    """A table of P by documents and updates, the control's, and the difference; and its figure."""
    points, rows, main = [], [], views.BEHAVIORS.main
    for setting, wide in records.by_setting(table):
        carrier = records.named(setting)
        for (documents, updates), name in DOSES.items():
            pair = {"teacher": name, "base": f"control {name}"}
            if any((arm, main) not in wide for arm in pair.values()):
                continue
            of_teacher, of_base = (wide[arm, main] for arm in pair.values())
            mean, low, _ = statistics.interval(of_teacher - of_base)
            cost = float(wide[name, SPENT].mean())
            row = [carrier.rpartition("=")[2], f"{documents:,}", f"{updates:,}", f"{cost:.3g}"]
            row += [f"{of_teacher.mean():.3f}", f"{of_base.mean():.3f}"]
            rows.append([*row, tables.with_interval(mean, low, "+.3f")])
            for who, arm in pair.items():
                line = {"line": f"{documents:,} of the {who}", "panel": carrier}
                points += [{"x": cost, "value": value} | line for value in wide[arm, main]]
    if not rows:
        return []
    header = ["carrier", "documents", "updates", "10^12 op.", "P", "control", "difference"]
    drawn = "dose", (figure, pd.DataFrame(points))
    return [pages.Section(tables.table(header, rows), "By dose, P held out:", *drawn)]


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
