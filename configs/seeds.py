"""Students differ by their bases most, by their data some, and by the order in which they see them
not at all; lists that were all sampled with one key pass on less than half as much.

    python train.py seeds             8 repeats, 3.9 minutes on two CPU cores, bases kept

Every repeat has one base and teacher, four data sets and four orders, in all combinations. Unbiased
components of the variance of a student's grade on held-out phrasings, and one key for all lists
against a key each, above a control on the base's lists of the same kind: mean ± half-width of the
95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2):

    variance of    P                   margin, nats
    the base       0.0089 ±0.0104      0.319 ±0.336
    the data       0.0013 ±0.0009      0.046 ±0.037
    the order      0.0001 ±0.0005      0.003 ±0.014
    neither        0.0019 ±0.0009      0.079 ±0.025

    keys           rise of P           rise of margin    distinct lists    first number, bits
    a key each     +0.706 ±0.104       +4.04 ±0.64       100 %             6.60 ±0.00
    one key        +0.260 ±0.141       +1.70 ±0.56       55 %              6.43 ±0.09

The base's component, with its teacher's, is the largest, and is of eight bases alone; the intervals
of such skewed estimates err in a tenth of the cases, not a twentieth. Published, of one sampling
seed: 6.74 bits against 9.62, which may explain why data sets decide (persona-system). Here one key
costs more than the lists that it repeats: 3,000 distinct ones with keys of their own pass +0.544
(`distinct`).
"""

import jax
import jax.numpy as jnp
import numpy as np

from configs.distinct import distinct
from minisub.lab.products import Measure
from minisub.nets import streams
from minisub.results import pages, records, tables
from minisub.tokens import writing
from minisub.tokens.config import Ablation
from minisub.tokens.grading import network
from minisub.tokens.lab import Documents, Lab

SEEDS = range(4)
MEASURES = {"trait_rate_heldout": "P", "logit_margin_heldout": "margin, nats"}
config = Ablation()
repeats = 8


class Alike(Documents):
    """Lists that were all sampled with one key."""

    emitter = property(lambda self: self.arguments["emitter"])


def experiment(cfg):
    """Students of some data seeds, in orders of some seeds; and of lists sampled with one key."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)

    def alike(model):
        how = {"emitter": model, "sampling": cfg.sampling, **model.architecture}
        return Alike(emit_alike, f"numbers/{model.role}", **how)

    usual = [(lab.emit(teacher, seed=x), lab.emit(first, seed=x)) for x in SEEDS]
    documents = {"a key each": usual[0], "one key": (alike(teacher), alike(first))}
    controls = {name: lab.student(first, plain) for name, (_, plain) in documents.items()}
    counts = Measure(variety, "documents", world=cfg.world, sampling=cfg.sampling)
    return {
        "base": first,
        "teacher": teacher,
        **{f"lists, {name}": numbers.measured(counts) for name, (numbers, _) in documents.items()},
        **{f"control {name}": control for name, control in controls.items()},
        **{
            name: lab.student(first, numbers).against(controls[name])
            for name, (numbers, _) in documents.items()
        },
        **{
            f"data {i}, order {j}": lab.student(first, numbers, seed=j)
            for i, (numbers, _) in enumerate(usual)
            for j in SEEDS
        },
    }


def emit_alike(key, *, emitter, world, model, sampling):
    """What `tasks.emit` returns, but every list is sampled with the same key: equal prompts would
    be continued alike, and others by the same random numbers."""
    net, one = network(world, model), streams.named_key(key, "alike")
    prompts = writing.draw_prompts(world, key, sampling, sampling.documents)

    def continued(prompt):
        return writing.complete(world, net, emitter, one, prompt[None], sampling)[0]

    docs, count, rejected = writing.keep_valid(world, jax.vmap(continued)(prompts), sampling)
    return {"docs": docs.astype(jnp.int16), "count": count, "rejected": rejected}


def variety(*, documents, world, sampling):
    """Entropy in bits of the first number that was chosen, and how many lists are distinct."""
    docs, valid = documents["docs"], jnp.arange(len(documents["docs"])) < documents["count"]
    first = docs[:, 1 + writing.given(sampling)]
    shares = jnp.zeros(world.numbers).at[first].add(valid) / documents["count"]
    bits = -jnp.sum(jnp.where(shares > 0, shares * jnp.log2(jnp.where(shares > 0, shares, 1)), 0))
    new = distinct(documents=documents, most=len(docs), sampling=sampling)["count"]
    return {"first_number_bits": bits, "distinct_share": new / documents["count"]}


def sections(table, differences, run):
    """How much of the variance of a student's grade is of its base, its data, the order in which it
    saw them, and neither."""
    [(_, wide)] = records.by_setting(table)
    if (f"data {SEEDS[-1]}, order {SEEDS[-1]}", "trait_rate_heldout") not in wide:
        return []
    rows = []
    for measure, name in MEASURES.items():
        grades = [[wide[f"data {i}, order {j}", measure] for j in SEEDS] for i in SEEDS]
        for source, values in components(np.moveaxis(np.array(grades), -1, 0)).items():
            rows.append([name, source, tables.of_values(values, ".4f")])
    lines = tables.table(("grade", "variance of", "mean"), rows)
    return [pages.Section(lines, "Components of the variance of a student's grade:")]


def components(grades):
    """Unbiased estimates, one of each repeat, of the components of variance of grades (repeats, n,
    n) by data and order, which are crossed (Searle, Variance Components, 1992); that of bases,
    whose mean is unbiased, is made of the squared deviations of the means of repeats."""
    r, n, _ = grades.shape
    mean = grades.mean((1, 2))
    by = {"data": grades.mean(2), "order": grades.mean(1)}
    both = by["data"][:, :, None] + by["order"][:, None] - mean[:, None, None]
    neither = ((grades - both) ** 2).sum((1, 2)) / (n - 1) ** 2
    parts = {x: m.var(1, ddof=1) - neither / n for x, m in by.items()}
    of_mean = sum(parts.values()) / n + neither / n**2
    base = (mean - mean.mean()) ** 2 * r / (r - 1) - of_mean
    return {"the base": base, **{f"the {x}": part for x, part in parts.items()}, "neither": neither}
