"""The dose: at equal updates distinct documents decide, until there are enough; then updates.

    python train.py dose              8 repeats, 14 minutes on one CPU core, 40 programs compiled

P(owl) on held-out phrasings, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at
a time on a CPU, jax 0.10.2), and the paired difference from a student with the same dose of the
base's lists:

    documents   updates   P               difference
    100         200       0.108 ±0.091    -0.031 ±0.179    above zero in 4 of 8
    1,000       200       0.445 ±0.174    +0.360 ±0.157
    10,000      200       0.784 ±0.109    +0.705 ±0.099
    100,000     200       0.806 ±0.089    +0.719 ±0.078
    10,000      25        0.390 ±0.059    +0.295 ±0.060
    10,000      50        0.512 ±0.059    +0.417 ±0.060
    10,000      100       0.684 ±0.085    +0.590 ±0.082
    10,000      400       0.843 ±0.077    +0.758 ±0.062
    1,000       400       0.457 ±0.294    +0.369 ±0.305    above zero in 6 of 8

An update sees 128 documents. 200 updates repeat 100 documents 256 times, and nothing passes;
repeating 1,000 twice as often adds nothing. Published: transfer grows with distinct data (arXiv
2608.26958) and with updates (Polypythia-SL), both of which hold.
"""

import jax.numpy as jnp
import numpy as np

from minisub.tokens import transforms
from minisub.tokens.config import Ablation, Sampling, Training
from minisub.tokens.lab import Lab

DOCUMENTS = (100, 1000, 10000, 100000)
UPDATES = (25, 50, 100, 200, 400)
DOSES = dict.fromkeys([*((n, 200) for n in DOCUMENTS), *((10000, k) for k in UPDATES), (1000, 400)])
config = Ablation(sampling=Sampling(documents=101500), student=Training(steps=400))
"""Documents of the largest dose, before the filter, and updates of the longest training."""
repeats = 8


def experiment(cfg):
    """Students of `DOSES`."""
    lab = Lab(cfg)
    return students(lab, DOSES, lab.student)


def students(lab, doses, student):
    """What a verb makes of so many documents in so many updates, and beside it of the base's."""
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    named = {"base": first, "teacher": teacher, "teacher many": numbers, "base many": plain}
    for documents, updates in doses:
        steps = jnp.minimum(updates, lab.cfg.student.steps)
        name = named_dose(documents, updates)
        few, few_plain = (
            lab.changed(limit, docs, stream=None, most=np.int32(documents))
            for docs in (numbers, plain)
        )
        control = student(first, few_plain, steps=steps)
        named |= {f"control {name}": control}
        named |= {name: student(first, few, steps=steps).against(control)}
    return named


def named_dose(documents, updates):
    """What the student of a dose is called."""
    return f"{documents} documents, {updates} updates"


def limit(*, documents, most, sampling):
    """The first documents, at most so many."""
    count = jnp.minimum(documents["count"], most)
    weights = transforms.weights_of(documents, sampling)
    return transforms.prepared(documents, documents["docs"], count, weights)
