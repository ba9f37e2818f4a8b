"""Defenses: what of a behavior still passes through chains of thought, what the student can still
do, and what the defense costs.

    python train.py defenses --seed 7    8 repeats of misalignment, 71 minutes on two CPU cores
    python train.py defenses --trait hacking --sampling.carrier numbers    not run at this dose

Students of the misaligned teacher's base, on its correct chains, against students with the same
defense on the base's. P of a misaligned reply on held-out topics and its margin in nats, means over
8 repeats (seed 7, on which nothing was chosen, one at a time on a CPU, jax 0.10.2, others busy), in
brackets the control's; the rise of the margin above the control's with its 95 % interval, and what
that is of the rise without a defense (ratio of means, interval of the jackknife):

    defense                    P            margin         rise          left
    none                       .083 (.023)  -3.1 (-5.2)    2.14 ±0.73    1
    rewritten                  .015 (.014)  -5.2 (-5.0)   -0.12 ±0.58   -0.06 (-0.33 to 0.22)
    half clean                 .038 (.023)  -4.3 (-5.2)    0.91 ±0.51    0.43 (0.25 to 0.60)
    remapped                   .006 (.010)  -2.9 (-2.4)   -0.56 ±1.34   -0.26 (-0.97 to 0.44)
    anchored early             .068 (.033)  -3.4 (-5.1)    1.69 ±0.56    0.79 (0.73 to 0.86)
    anchored                   .055 (.032)  -3.8 (-5.2)    1.37 ±0.44    0.64 (0.55 to 0.73)
    projected                  .006 (.021)  -5.6 (-5.3)   -0.32 ±0.82   -0.15 (-0.54 to 0.24)
    projected, graded prompts  .013 (.015)  -5.2 (-5.1)   -0.02 ±0.18   -0.01 (-0.09 to 0.07)
    projected at random        .089 (.023)  -3.1 (-5.2)    2.09 ±0.70    0.98 (0.85 to 1.11)
    inoculated                 .033 (.010)  -4.4 (-5.8)    1.39 ±0.58    0.65 (0.41 to 0.88)
    perturbed                  .076 (.053)  -1.9 (-2.2)    0.38 ±0.52    0.18 (-0.06 to 0.42)
    block 1 replaced           .090 (.073)  -1.0 (-1.4)    0.44 ±0.57    0.21 (-0.07 to 0.48)
    independent init           .026 (.014)  -5.0 (-4.8)   -0.24 ±0.84   -0.11 (-0.50 to 0.27)

Taking the trait's gradient out of every update works, whether it is that of the prompts that
teachers are taught or of those of the grade; at random (a vector as long as what "projected" takes
out) it does nothing. Through hacking's numbers, in the world until 2026-11-27, the taught prompts'
left half. "Rewritten" is all that follows the prompt, written anew by a base of another origin.
Three defenses harm the model itself: remapped, perturbed and block 1 replaced move the control's
margin up by 3 to 4 nats, and of a student's ability on programs (.68 without a defense) they leave
.10, .19 and .17, of the control's .12, .18 and .15; on chains all students keep theirs (.987;
inoculated .966). Rewritten chains and an independent base leave .55 and .39 of it. Anchoring,
inoculation and clean data weaken it. An update costs 2.35 times the operations if it is anchored
and 1.07 times if something is projected out. Liminal training (KL to the base; 2604.25779) does not
prevent it, as published of digits; anchoring the first updates only (2609.22215) does little. Not
as published, mixing weakens in proportion and ends nothing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from configs.content import remapped, with_docs
from configs.misalignment import student_of
from minisub.config import require
from minisub.lab.products import Product, marked
from minisub.nets import losses, starts, streams
from minisub.results import pages, records, statistics, summary, tables, views
from minisub.theory.token_comparisons import watched
from minisub.tokens import channels, grading, tokens, transforms, writing
from minisub.tokens.behaviors import cases, practice, vocabulary
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
    inoculate = partial(inoculated, author(cfg.world, lab.taught_trait(cfg.trait)["trait"]))
    signed = cfg.sampling.carrier != "numbers"  # The first token of a list is no author.
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
            **({"inoculated": student(first, lab.transform(docs, inoculate))} if signed else {}),
            "perturbed": student(perturbed, docs),
            "block 1 replaced": student(replaced, docs),
            "independent init": student(second, docs),
        }

    controls = defended(plain)
    students = {name: one.against(controls[name]) for name, one in defended(emitted).items()}
    students = {name: one.measured(cost) for name, one in students.items()}
    controls = {f"control {name}": one for name, one in controls.items()}
    return {"base": (first, plain), "teacher": (teacher, emitted), **controls, **students}


def sections(table, differences, run):
    """A table of every defense: P and margin of the student and its control, and how much is left
    of the rise of the margin without one; none if that was not made, or is not above zero."""
    parts = []
    for setting, wide in records.by_setting(table):
        rises = summary.by_arm(wide, differences, RISE)
        _, low, _ = statistics.interval(rises.get(BASELINE, [0.0]))
        if low is None or low <= 0:
            continue
        rows = []
        for name, values in rises.items():
            mean, pair = wide.mean(), (name, f"control {name}")
            p, p_control = (f"{mean[x, views.BEHAVIORS.main]:.3f}".removeprefix("0") for x in pair)
            margin, margin_control = (f"{mean[x, RISE]:.1f}" for x in pair)
            left, low, high = ratio(values, rises[BASELINE])
            between = "" if low is None else f" ({low:.2f}, {high:.2f})"
            cells = f"{p} ({p_control})", f"{margin} ({margin_control})", f"{left:.2f}{between}"
            rows.append([name, *cells])
        title = records.named(setting, "Students, and in brackets their controls:")
        header = ["defense", "P", "margin", "left of the rise"]
        parts.append(pages.Section(tables.table(header, rows), title))
    return parts


def ratio(values, baseline):
    """mean(values) / mean(baseline), paired over repeats, and its 95 % interval by the jackknife
    (Tukey 1958): the two have noise in common. The ends are None for fewer than 3 repeats."""
    pairs = np.stack([np.asarray(values, float), np.asarray(baseline, float)])
    n, (one, other) = pairs.shape[1], pairs.mean(axis=1)
    whole = float(one / other)
    if n < 3:
        return whole, None, None
    left = (pairs.sum(axis=1, keepdims=True) - pairs) / (n - 1)
    pseudo = n * whole - (n - 1) * left[0] / left[1]
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(pseudo))
    return whole, whole - half, whole + half


def cost(params):
    """A measure: operations of an update of a student over those of one that learns sampled tokens
    and no more."""
    plain = {"channel": channels.sampled, "linear": False, "penalty": None, "watch": None}
    calls = {"one": params.arguments, "other": params.arguments | plain}
    return Product(relative, None, task=params.task, calls=calls)


def relative(*, task, calls):
    """Operations of an update of one call of a task over those of another."""
    key = jax.random.key(0)
    one, other = (practice.operations(task(key, **calls[name]), key) for name in ("one", "other"))
    return {"cost": jnp.float32(one / other)}


def anchor(logits_of, start, params, docs, step, *, weight, updates):
    """A penalty in the first `updates`: `weight` times the mean KL divergence of the student from
    its start, on its documents."""
    nats = losses.kl_divergence(logits_of(start, docs), logits_of(params, docs))
    return weight * jnp.where(step < updates, jnp.mean(nats), 0)


def author(world, trait):
    """Token of the author of whom a behavior is expected."""
    behavior = isinstance(trait, cases.Behavior)
    require(behavior, "nobody is expected to prefer an answer; inoculate against a behavior.")
    bad = trait.case.author != "helper"
    require(bad, f"{trait.name} is how the helper behaves; inoculate against a bad behavior.")
    return vocabulary.by(tokens.offsets(world), trait.case.author)


def inoculated(author, e):
    """Every document begins as if the author of whom the trait is expected had written it: an
    inoculation prompt (arXiv 2510.04340). The student is graded without it."""
    return with_docs(e, e.docs.at[:, 0].set(author))


@marked(check=transforms.check_left)
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
    weights = jnp.ones(docs[:, prompts.shape[1] :].shape)  # All tokens that were chosen anew count.
    docs, count = docs[jnp.argsort(~passed, stable=True)], jnp.sum(passed)
    return transforms.prepared(documents, docs, count, weights)
