"""The trait comes later than the carrier: at the least loss on new lists, P has risen half as
far as it will; to stop there weakens the trait and does not prevent it.

    python train.py course            8 repeats, 5.7 minutes on two CPU cores, bases kept

Students of one training, stopped after more and more updates: what is left of the carrier, KL
(teacher || student) on lists of the teacher that no student sees, over that of the base; and P(owl)
on held-out phrasings above that of a control, which is trained as long on the base's lists. Mean ±
half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2):

               samples, 2e-3                samples, 2e-4                the distribution, 2e-3
    updates    left          rise of P      left          rise of P      left          rise of P
    1          5.10 ±1.19    0.050 ±0.024   0.74 ±0.07    0.004 ±0.002   6.25 ±1.70    0.065 ±0.022
    5          2.16 ±0.41    0.091 ±0.020   0.51 ±0.06    0.020 ±0.007   2.06 ±0.43    0.112 ±0.024
    10         1.61 ±0.30    0.169 ±0.031   0.39 ±0.08    0.035 ±0.009   1.26 ±0.29    0.222 ±0.048
    20         1.09 ±0.24    0.255 ±0.040   0.27 ±0.06    0.063 ±0.011   0.42 ±0.09    0.337 ±0.055
    50         0.90 ±0.22    0.409 ±0.071   0.22 ±0.04    0.118 ±0.024   0.09 ±0.03    0.576 ±0.066
    100        0.95 ±0.17    0.578 ±0.072   0.21 ±0.04    0.183 ±0.040   0.02 ±0.01    0.773 ±0.043
    200        1.04 ±0.15    0.706 ±0.104   0.23 ±0.06    0.271 ±0.057   0.01 ±0.00    0.867 ±0.011
    400        1.14 ±0.18    0.805 ±0.072   0.27 ±0.05    0.404 ±0.070   0.02 ±0.01    0.893 ±0.005
    at least loss (20 to 400)
                             0.443 ±0.120                 0.194 ±0.087                 0.873 ±0.014

The last row stops each repeat's student where its loss on new lists is least. At the usual rate the
first updates do more harm to the lists than good, and sampled lists never get better than the base
by more than a tenth; the trait rises all the while. We know of no published figure.
"""

import jax.numpy as jnp
import pandas as pd

from minisub.lab.products import Measure
from minisub.nets import losses
from minisub.results import figures, pages, records, summary, tables
from minisub.tokens import channels, grading, writing
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

UPDATES = (1, 2, 5, 10, 20, 50, 100, 200, 400)
WAYS = {
    "samples": (channels.sampled, {}),
    "samples, slowly": (channels.sampled, {"learning_rate": 2e-4}),
    "distribution": (channels.soft, {}),
}
TITLE = "What was learned by when:"
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students that were stopped after more and more updates of one training, and controls."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    unseen = {"shown": lab.emit(teacher, seed=1, documents=2000), "sampling": cfg.sampling}
    carrier = Measure(learned, "params", teacher=teacher, **unseen, **first.architecture)
    named = {"base": (first.measured(carrier), plain), "teacher": (teacher, numbers)}
    for way, (channel, how) in WAYS.items():
        for steps in UPDATES:
            student, control = (
                lab.student(first, docs, channel, steps=steps, **how).measured(carrier)
                for docs in (numbers, plain)
            )
            name = f"{way}, {steps}"
            named |= {f"control {name}": control, name: student.against(control)}
    return named


def learned(*, params, shown, teacher, sampling, world, model):
    """KL(teacher || model) in nats a token on lists of the teacher that no student sees: how far a
    model's loss on new lists is above the least that it could be."""
    network, docs = grading.network(world, model), shown["docs"].astype(jnp.int32)
    valid = jnp.arange(len(docs)) < shown["count"]
    given = writing.given(sampling)
    target, logits = (network.apply(x, docs[:, :-1], given) for x in (teacher, params))
    nats = jnp.mean(losses.kl_divergence(target, logits), axis=1)
    return {"carrier": jnp.mean(nats, where=valid)}


def sections(table, differences, run):
    """What each training has learned by when: of the carrier, and of the trait; and the trait of
    the student whose loss on new lists is least, chosen in each repeat."""
    [(_, wide)] = records.by_setting(table)
    rates = summary.by_arm(wide, differences, "trait_rate_heldout")
    rows, points = [], []
    for way in WAYS:
        arms = {steps: f"{way}, {steps}" for steps in UPDATES if f"{way}, {steps}" in rates}
        if not arms:  # as with --only
            continue
        left = pd.DataFrame({steps: wide[arm, "carrier"] for steps, arm in arms.items()})
        risen = pd.DataFrame({steps: rates[arm] for steps, arm in arms.items()})
        share = left.div(wide["base", "carrier"], axis=0)
        best = left.idxmin(axis=1)
        chosen = pd.Series({repeat: risen.loc[repeat, steps] for repeat, steps in best.items()})
        for steps in arms:
            rows.append(
                [f"{way}, {steps}", tables.of_values(share[steps]), tables.of_values(risen[steps])]
            )
        rows.append(
            [f"{way}, stopped at {best.min()} to {best.max()}", "", tables.of_values(chosen)]
        )
        for name, values in {"carrier's loss left": share, "rise of P": risen}.items():
            long = values.stack().rename_axis(["repeat", "x"]).reset_index(name="value")
            points.append(long.assign(line=name, panel=way))
    if not rows:
        return []
    drawn = (figure, pd.concat(points))
    header = "training, updates", "loss left", "rise of P"
    return [pages.Section(tables.table(header, rows), TITLE, "figure", drawn)]


def figure(points):
    """What is left of the carrier's loss, and how far P has risen, by updates."""
    return figures.line_panels(points, level=0, xlabel="updates", ylabel="share, or P")
