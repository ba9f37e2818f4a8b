"""The world of theory: claims about a student's first updates, each on many small networks.

Lemma 1 and Theorem 1 of arXiv 2507.14805, what they leave out, and two models whose whole training
is known. A claim is a function of `look`, which performs a check of `_first_updates.py` on every
draw; it returns measures: in how many draws it is violated, and the worst of them. All claims see
the same draws, in float64.
"""

import jax
import jax.numpy as jnp
import numpy as np

from configs import _first_updates as checks
from minisub.config import Count, configuration, require
from minisub.config import check as check_bounds
from minisub.lab.products import Measure, Product, quick


@configuration
class Config:
    """Sizes of an experiment in the world of theory."""

    draws: Count = 1000
    """Networks, inputs and displacements on which each claim is checked."""
    chunk: Count = 100
    """Draws in one vmapped program; best a divisor of `draws`, or the rest are compiled again."""


def claimed(cfg, claim, layers="mlp-8-8", *, softmax=False, **broken):
    """Networks of `layers`, recorded with how often a `claim` about their students is violated.

    Students minimize squared errors, or the cross-entropy of softmaxes. What is `broken` is named
    as in `checks.Case`: the claim then lacks that assumption.
    """
    check_bounds(cfg)
    data = Product(draw_data, "data", draws=cfg.draws)
    networks = Product(draw_networks, "networks", layers=layers, draws=cfg.draws)
    case = checks.Case(layers, np.bool_(softmax), **{x: np.bool_(y) for x, y in broken.items()})
    how = {"claim": claim, "case": case, "data": data, "chunk": cfg.chunk}
    return networks.measured(Measure(judge, "networks", **how))


def keys_of(key, draws):
    """A key for each draw; more draws change none."""
    require(
        jnp.result_type(float) == jnp.float64,
        "claims are checked in float64; write `float64 = True` in the config's file, or run them "
        "within `jax.enable_x64(True)`.",
    )
    numbers = jnp.arange(draws, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)


@quick
def draw_data(key, *, draws):
    """`checks.draw_data` of every draw."""
    return jax.vmap(checks.draw_data)(keys_of(key, draws))


@quick
def draw_networks(key, *, layers, draws):
    """`checks.draw_networks` of every draw."""
    return jax.vmap(lambda key: checks.draw_networks(layers, key))(keys_of(key, draws))


def judge(*, networks, data, claim, case, chunk):
    """What a claim measures on all draws, `chunk` of them at once."""

    def look(check):
        def one(drawn):
            return check(case, checks.Draw(**drawn))

        return jax.lax.map(one, data | networks, batch_size=chunk)

    return claim(look)


def judged(scores, hold, worst):
    """Measures of `scores` (draws,), of which those that `hold` (draws,) do not violate a claim.

    `worst` is a function of the scores: that nearest to a violation, or the worst violation.
    """
    return {
        "draws": jnp.float64(len(scores)),
        "violations": jnp.sum(~hold),
        "worst": worst(scores),
    }


def product(look):
    """Lemma 1: whatever a teacher's displacement is, the student's update does not go against it.

    The worst is the smallest cosine between them.
    """
    least = jnp.min(look(checks.product), axis=-1)
    return judged(least, least >= 0, jnp.min)


def slope(look):
    """Lemma 1: the product of update and displacement is proportional to its size epsilon.

    The worst is the largest distance of its slope in logarithms from 1.
    """
    return proportional(look(checks.slope), "product")


def loss_falls(look):
    """Theorem 1: a step of the student lowers the loss that its teacher's step lowered.

    The worst is the largest change, in units of the size of its linear term.
    """
    change = look(checks.loss_falls)
    return judged(change, change < 0, jnp.max)


def foreign_start(look):
    """Of the update of a student that starts elsewhere a share is due to the displacement that is
    proportional to its size epsilon. The worst is as in `slope`."""
    return proportional(look(checks.foreign_start), "share")


def degenerate(look):
    """A teacher whose class head alone was taught moves no student through auxiliary logits.

    The worst is the largest cosine of update and displacement.
    """
    return zero(look(checks.degenerate))


def linear_model(look):
    """A linear student learns nothing of the trait through auxiliary logits.

    The worst is the largest change of the trait's loss.
    """
    return zero(look(checks.linear_model))


def deep_linear(look):
    """`_closed_forms.deep_linear` is what training arrives at.

    The worst is the largest deviation.
    """
    return rounded(look(checks.deep_linear))


def tangent_kernel(look):
    """`_closed_forms.kernel_descent` is what the training of a linearized network arrives at.

    The worst is the largest deviation.
    """
    return rounded(look(checks.tangent_kernel))


def zero(scores):
    """Measures of scores that are claimed to be exactly zero."""
    return judged(scores, scores == 0, jnp.max)


def rounded(scores):
    """Measures of deviations, in units of a change, that are claimed to be those of rounding.

    Rounding is 1e-16 in units of what changes; the bound leaves room for changes of 1e-4 of it and
    for sums of a hundred terms, and is out of reach for a wrong formula.
    """
    return judged(scores, scores <= 1e-10, jnp.max)


def proportional(sizes, name):
    """Measures of `sizes` (draws, e) that are claimed to be proportional to epsilon: to have a
    slope of 1 in logarithms, to a hundredth (see `checks.EPSILONS`).

    Their medians at each epsilon are measures too, by this `name`.
    """
    x = jnp.log(jnp.array(checks.EPSILONS))
    x -= jnp.mean(x)
    logs = jnp.log(jnp.maximum(sizes, jnp.finfo(sizes.dtype).tiny))
    off = jnp.abs(jnp.sum(logs * x[None], axis=-1) / jnp.sum(x * x) - 1)
    pairs = zip(checks.EPSILONS, jnp.median(sizes, axis=0), strict=True)
    medians = {f"{name} at {epsilon:.0e}": median for epsilon, median in pairs}
    return judged(off, off <= 0.01, jnp.max) | medians
