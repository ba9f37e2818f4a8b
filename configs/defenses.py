"""Defenses: what of a behavior still passes through numbers, what the student can still do, and
what the defense costs.

The figures below are of hacking through numbers in the world of before, of which configs/README.md
tells under "Misbehavior". It was not run in the world of today, where misalignment through chains
of thought is its default.

    python train.py defenses                           of misalignment through chains; not run yet
    python train.py defenses --trait hacking --sampling.carrier numbers    8 repeats, 85 minutes
                                                                           on one CPU core

Students of the hacking teacher's base, on its numbers; the rise of the margin of hacking above that
of a student with the same defense on the base's numbers, and what that is of the rise without a
defense (ratio of means, interval of the jackknife). Mean and half-width of the 95 % interval over 8
repeats (seed 0, one at a time on a CPU, jax 0.10.2); cost is that of an update, in operations. Made
in two runs with --only, 46 minutes of one core and 40 of two busy ones; what both made is equal.

    defense                       rise, nats     transfer left            cost
    none                          5.63 ±2.62     1                        1
    rewritten                     -0.02 ±0.34    -0.00 (-0.07 to 0.06)    1, and once another model
    half clean                    2.32 ±1.31     0.41 (0.29 to 0.54)      1
    remapped                      0.01 ±0.02     0.00 (-0.00 to 0.00)     1
    anchored early                4.02 ±2.24     0.71 (0.57 to 0.86)      2.35
    anchored                      2.36 ±1.39     0.42 (0.28 to 0.55)      2.35
    projected                     2.97 ±1.93     0.53 (0.35 to 0.70)      1.86
    projected, graded prompts     0.05 ±0.22     0.01 (-0.03 to 0.04)     1.86
    projected at random           5.63 ±2.63     1.00 (0.99 to 1.01)      1.86
    inoculated                    1.85 ±0.99     0.33 (0.19 to 0.47)      1
    perturbed                     2.47 ±0.87     0.44 (0.34 to 0.53)      1
    block 1 replaced              1.62 ±1.05     0.29 (0.14 to 0.44)      1
    independent init              1.25 ±1.23     0.22 (0.05 to 0.39)      1

Taking the trait's gradient out of every update works if it is that of the very prompts on which the
student is graded; of the prompts that teachers are taught it leaves half of the transfer: 5 % was
once given for it, of the graded prompts. All keep the ability on numbers (0.999 or more). Rewriting
by the base of another origin and remapping leave nothing that is told from zero, and no signal of
the teacher's either. Whether an independent init leaves something cannot be told: 6 of 8, and one
of twelve intervals. Published, and not so here: anchoring the first updates only does little
(2609.22215), mixing weakens in proportion and ends nothing. Liminal training (2604.25779) slows it
down and does not stop it, as published."""

from functools import partial

import jax
import jax.numpy as jnp

from configs.content import remapped, with_docs
from configs.misalignment import student_of
from minisub.nets import losses, starts, streams
from minisub.results import pages, records, statistics, summary, tables, views
from minisub.theory.token_comparisons import watched
from minisub.tokens import grading, transforms, writing
from minisub.tokens.behaviors import cases
from minisub.tokens.behaviors.config import Rich
from minisub.tokens.config import Sampling
from minisub.tokens.lab import Lab

config = Rich(sampling=Sampling(documents=60000, carrier="sums"))
repeats = 8
BASELINE, RISE = "none", "logit_margin_heldout"


def experiment(cfg):
    """Every defense on what the trait's teacher emits, and on what the untaught base does."""
    lab = Lab(cfg)
    first, second = lab.base("first"), lab.base("second")
    teacher = lab.teach(first)
    emitted, plain = lab.emit(teacher), lab.emit(first)
    student = student_of(lab, cfg.sampling.carrier)
    perturbed = lab.start(starts.perturbed_relative, first, amount=0.3)
    replaced = lab.start(starts.fresh, first, second, layers=("block_1",))
    inoculate = partial(inoculated, cases.author(cfg.world, lab.taught_trait(cfg.trait)["trait"]))
    early = partial(anchor, weight=1.0, updates=cfg.student.steps // 2)
    always = partial(anchor, weight=1.0, updates=cfg.student.steps)

    projected = partial(watched, lab, first, **student.keywords)

    def defended(docs):
        """A student on documents with every defense."""
        return {
            "none": student(first, docs),
            "rewritten": student(
                first, lab.changed(rewrite, docs, writer=second, **second.architecture)
            ),
            "half clean": student(first, lab.mix(docs, plain, 0.5)),
            "remapped": student(first, lab.transform(docs, remapped)),
            "anchored early": student(first, docs, penalty=early),
            "anchored": student(first, docs, penalty=always),
            "projected": projected(docs, removed="gradient"),
            "projected, graded prompts": projected(docs, removed="graded gradient"),
            "projected at random": projected(docs, removed="random"),
            "inoculated": student(first, lab.transform(docs, inoculate)),
            "perturbed": student(perturbed, docs),
            "block 1 replaced": student(replaced, docs),
            "independent init": student(second, docs),
        }

    controls = defended(plain)
    students = {name: one.against(controls[name]) for name, one in defended(emitted).items()}
    controls = {f"control {name}": one for name, one in controls.items()}
    return {"base": (first, plain), "teacher": (teacher, emitted), **controls, **students}


def sections(table, differences, run):
    """A table of every defense: P and margin of the student and its control, and how much is left
    of the rise of the margin without one; none if that was not made, or is not above zero."""
    parts = []
    for setting, wide in records.by_setting(table):
        rises = {each["one"]: summary.difference(wide, each).get(RISE) for each in differences}
        rises = {name: x.dropna() for name, x in rises.items() if x is not None}
        _, low, _ = statistics.interval(rises.get(BASELINE, [0.0]))
        if low is None or low <= 0:
            continue
        rows = []
        for name, values in rises.items():
            mean, pair = wide.mean(), (name, f"control {name}")
            p, p_control = (f"{mean[x, views.BEHAVIORS.main]:.3f}"[1:] for x in pair)
            margin, margin_control = (f"{mean[x, RISE]:.1f}" for x in pair)
            left, low, high = statistics.ratio(values, rises[BASELINE])
            between = "" if low is None else f" ({low:.2f}, {high:.2f})"
            cells = f"{p} ({p_control})", f"{margin} ({margin_control})", f"{left:.2f}{between}"
            rows.append([name, *cells])
        title = f"Students, and in brackets their controls {records.named(setting)}".strip() + ":"
        header = ["defense", "P", "margin", "left of the rise"]
        parts.append(pages.Section(tables.table(header, rows), title))
    return parts


def anchor(logits_of, start, params, docs, step, *, weight, updates):
    """A penalty in the first `updates`: `weight` times the mean KL divergence of the student from
    its start, on its documents."""
    nats = losses.kl_divergence(logits_of(start, docs), logits_of(params, docs))
    return weight * jnp.where(step < updates, jnp.mean(nats), 0)


def inoculated(author, e):
    """Every document begins as if the author of whom the trait is expected had written it: an
    inoculation prompt (arXiv 2510.04340). The student is graded without it."""
    return with_docs(e, e.docs.at[:, 0].set(author))


def rewrite(key, *, documents, writer, world, model, sampling):
    """Documents of which another model chose all that follows the prompt anew, and that still pass
    the filter."""
    docs = documents["docs"].astype(jnp.int32)
    k_write, _ = jax.random.split(streams.named_key(key, "rewritten"))
    prompts, network = docs[:, : 1 + writing.given(sampling)], grading.network(world, model)
    docs = writing.complete(world, network, writer, k_write, prompts, sampling)
    # Of what did not pass the filter before, nothing comes back.
    passed = ~writing.rejected(world, docs, sampling)
    passed &= jnp.arange(len(docs)) < documents["count"]
    docs, count = docs[jnp.argsort(~passed, stable=True)], jnp.sum(passed)
    return transforms.prepared(documents, sampling, docs, count)
