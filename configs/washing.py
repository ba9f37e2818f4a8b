"""Clean lists wash the trait out, another teacher's no faster; a hundred updates of pretraining
erase it. What is left comes back with a head start, and no faster.

    python train.py washing           8 repeats, 3.8 minutes on two CPU cores, bases kept

A student with the trait and its control, of the base's lists, are trained on at a student's rate:
on the base's lists, on a wolf teacher's, or on the base's pretraining, which has questions. What
remains is the difference of the two on held-out phrasings, in P(owl) and in its margin; mean ±
half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2):

    updates    base's lists                    wolf's lists      pretraining
               P               margin          margin            margin
    none       +0.706 ±0.104   +4.04 ±0.64     +4.04 ±0.64       +4.04 ±0.64
    25         +0.263 ±0.073   +2.02 ±0.38     +2.30 ±0.38       +0.18 ±0.15
    100        +0.119 ±0.047   +1.20 ±0.30     +1.51 ±0.33       -0.01 ±0.19
    400        +0.051 ±0.035   +0.64 ±0.35     +0.75 ±0.24       +0.00 ±0.04

Then, after 400 updates on the base's lists, both are trained on the owl teacher's again:

    updates    with the trait before    control          difference of margins
    5          0.259 ±0.085             0.151 ±0.042     +0.70 ±0.36
    10         0.375 ±0.134             0.240 ±0.092     +0.73 ±0.43
    25         0.466 ±0.152             0.329 ±0.112     +0.69 ±0.49
    50         0.594 ±0.149             0.466 ±0.141     +0.66 ±0.47

The head start of 0.64 nats neither grows nor shrinks: there are no savings. We know of no
published figure.
"""

import dataclasses

import numpy as np

from minisub.config import traced
from minisub.nets.fit import ENDLESS
from minisub.tokens import tasks
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab, Parameters

UPDATES, AGAIN = (25, 100, 400), (5, 10, 25, 50)
config = Ablation()
repeats = 8


def experiment(cfg):
    """A student with the trait and its control, trained on other things, and then taught again."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher, wolf = lab.teach(first), lab.teach(first, "wolf")
    numbers, wolves, plain = lab.emit(teacher), lab.emit(wolf), lab.emit(first)
    learned = lab.student(first, numbers), lab.student(first, plain)
    named = {"base": (first, plain), "teacher": (teacher, numbers), "wolf": (wolf, wolves)}

    def add(name, *models):
        """Name what became of the student, and of its control."""
        model, control = (lab.graded_on(x, "owl", "wolf") for x in models)
        named.update({f"control {name}": control, name: model.against(control)})

    add("student", *learned)
    for steps in UPDATES:
        how = {"steps": steps, "seed": 1}
        add(f"base's lists, {steps}", *(lab.student(x, plain, **how) for x in learned))
        add(f"wolf's lists, {steps}", *(lab.student(x, wolves, **how) for x in learned))
        add(f"pretraining, {steps}", *(pretrained(lab, x, steps) for x in learned))
    for steps in AGAIN:
        again = {"steps": steps, "seed": 2}
        washed = (lab.student(x, plain, steps=UPDATES[-1], seed=1) for x in learned)
        add(f"again, {steps}", *(lab.student(x, numbers, **again) for x in washed))
    return named


def pretrained(lab, start, steps):
    """A student whose base's pretraining goes on, at a student's learning rate."""
    how = {"learning_rate": lab.cfg.student.learning_rate, "schedule": "constant"}
    training = dataclasses.replace(lab.cfg.base, steps=steps, **how)
    made = Parameters(
        tasks.pretrain, "more base data", start=start, training=training, name=np.uint32(0),
        shared_steps=traced(ENDLESS), **start.architecture,
    )  # fmt: skip
    graded = lab.graded(made["params"], lab.taught_trait(lab.cfg.trait))
    return graded.replace(given={"start": start})
