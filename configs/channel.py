"""The channel, degraded step by step: the trait passes through hard labels and greedy decoding, and
temperatures above 1 weaken it.

    python train.py channel           8 repeats, 20 minutes on one CPU core, 60 programs compiled

P(owl) on held-out phrasings, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at
a time on a CPU, jax 0.10.2), and the paired difference from a student that imitates the base
through the same channel; all above zero in 8 of 8:

    channel          P               difference
    all logits       0.963 ±0.017    +0.868 ±0.015
    number logits    0.963 ±0.014    +0.868 ±0.015
    top 20 logits    0.969 ±0.016    +0.878 ±0.020
    top 5 logits     0.947 ±0.020    +0.843 ±0.026
    top 2 logits     0.922 ±0.040    +0.828 ±0.054
    hard labels      0.915 ±0.044    +0.812 ±0.029    the largest logit, on sampled lists
    greedy           0.741 ±0.172    +0.633 ±0.142    the largest logit, on lists made of them
    T=0.5            0.811 ±0.080    +0.704 ±0.070
    T=1              0.794 ±0.086    +0.706 ±0.071
    T=1.5            0.533 ±0.225    +0.485 ±0.206
    T=2              0.277 ±0.159    +0.252 ±0.148
    nucleus .9       0.700 ±0.065    +0.609 ±0.063
    nucleus .5       0.812 ±0.060    +0.705 ±0.057

A temperature divides what the teacher's logits add to the base's as it divides all of them, so that
hot lists say less about the teacher; at T = 2 the filter also drops 47 % of the lists, and of what
is left the student's control falls to 0.025.

Published: greedily decoded data still transfer (arXiv 2509.23886), which holds. Soft labels pass
more than samples, which holds. Threshold sampling weakens it (Zur et al., 2025): so does the wider
nucleus here, and the narrower does not.
"""

from functools import partial

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.tokens import channels
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab


def top(k, shown, params, docs, key):
    """KL from the emitter's `k` most probable number tokens, normalized, to the student's numbers.

    For k = 1, cross-entropy on the hard label: what the emitter would say at temperature zero.
    """
    carrier = shown.sampling.carrier
    require(
        carrier == "numbers",
        f"this channel is among numbers, and documents are {carrier}; choose another.",
    )
    target, logits = (
        x[..., : shown.world.numbers] for x in (shown.target(docs), shown.logits(params, docs))
    )
    kept = target >= jax.lax.top_k(target, min(k, target.shape[-1]))[0][..., -1:]
    log_p = jnp.where(kept, jax.nn.log_softmax(jnp.where(kept, target, -jnp.inf)), 0)
    return jnp.sum(kept * jnp.exp(log_p) * (log_p - jax.nn.log_softmax(logits)), axis=-1)


CHANNELS = {
    "all logits": channels.full,
    "number logits": channels.soft,
    **{f"top {k} logits": partial(top, k) for k in (20, 5, 2)},
    "hard labels": partial(top, 1),
    "T=1": channels.sampled,
}
DECODING = {
    "T=0.5": {"temperature": 0.5},
    "T=1.5": {"temperature": 1.5},
    "T=2": {"temperature": 2.0},
    "nucleus .9": {"top_p": 0.9},
    "nucleus .5": {"top_p": 0.5},
    "greedy": {"temperature": 0.0},
}
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students that see more or less of the teacher, and beside each one of the base."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    named = {"base": (first, plain), "teacher": (teacher, numbers)}

    def add(name, numbers, plain, channel=channels.sampled):
        """Name a student and its control."""
        named[f"control {name}"] = control = lab.student(first, plain, channel)
        named[name] = lab.student(first, numbers, channel).against(control)

    for name, channel in CHANNELS.items():
        add(name, numbers, plain, channel)
    for name, sampling in DECODING.items():
        others = lab.emit(teacher, **sampling), lab.emit(first, **sampling)
        named[f"teacher {name}"], named[f"base {name}"] = others
        add(name, *others)
    return named
