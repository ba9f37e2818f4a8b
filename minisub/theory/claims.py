"""The world of theory: claims about a student's first updates, each on many small networks.

Lemma 1 and Theorem 1 of arXiv 2507.14805, what they leave out, and two models whose whole training
is known. An arm is a claim, or the same with an assumption broken, which must violate it. All arms
see the same draws, in float64 (`experiment.precision`).

data               inputs, labels, outputs and weights of every draw
networks/LAYERS    parameters and directions of every draw
claim/NAME         in how many draws it is violated, and the worst of them
"""

import dataclasses
import typing
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from minisub import config
from minisub.nets import classifiers
from minisub.phases import Phase
from minisub.theory import checks

ARCHITECTURES = {"mlp": "mlp-8-8", "cnn": "cnn-3-8", "transformer": "transformer-8-1-8"}
Loss = Literal["squares", "softmax"]
LOSSES: tuple[Loss, ...] = typing.get_args(Loss)


@config.configuration
class Claim:
    """A claim, or the same with an assumption broken."""

    name: str
    """What records and tables call it."""
    test: Literal[
        "product", "slope", "loss_falls", "foreign_start", "degenerate", "linear_model",
        "deep_linear", "tangent_kernel",
    ] = "product"  # fmt: skip
    """What is claimed: a function of `checks.py`."""
    layers: str = ARCHITECTURES["mlp"]
    """Kind and sizes of the networks, as `model.layers` in the image world."""
    loss: Loss = "squares"
    """What the student minimizes: squared errors, with random weights of at least 0, or the
    cross-entropy of softmaxes."""
    broken: Literal["nothing", "start", "weights", "outputs", "model"] = "nothing"
    """The assumption that fails: that the student starts where the claim says, that weights are at
    least 0, that those outputs are compared of which the claim is, or that the theory is about the
    model that is trained."""


def standard():
    """All claims, for each architecture and loss where these play a part, and broken ones."""
    return (
        *(
            Claim(
                name=f"{test.replace('_', ' ')} {kind} {loss}", test=test, layers=sizes, loss=loss
            )
            for test in ("product", "slope", "loss_falls", "foreign_start", "degenerate")
            for kind, sizes in ARCHITECTURES.items()
            for loss in LOSSES
        ),
        *(
            Claim(name=f"linear model {loss}", test="linear_model", layers="mlp", loss=loss)
            for loss in LOSSES
        ),
        Claim(name="deep linear", test="deep_linear"),
        *(
            Claim(name=f"tangent kernel {kind}", test="tangent_kernel", layers=sizes)
            for kind, sizes in list(ARCHITECTURES.items())[:2]
        ),
        Claim(name="broken product, foreign start", broken="start"),
        Claim(name="broken product, signed weights", broken="weights"),
        Claim(name="broken product, permuted outputs", broken="outputs"),
        Claim(name="broken slope, foreign start", test="slope", broken="start"),
        Claim(name="broken loss falls, foreign start", test="loss_falls", broken="start"),
        Claim(name="broken foreign start, shared start", test="foreign_start", broken="start"),
        Claim(name="broken degenerate, all outputs", test="degenerate", broken="outputs"),
        Claim(name="broken linear model, hidden layers", test="linear_model"),
        Claim(name="broken deep linear, another head", test="deep_linear", broken="model"),
        Claim(name="broken tangent kernel, true network", test="tangent_kernel", broken="model"),
    )


@config.configuration
class TheoryConfig:
    """A repeat: draws, and the claims that are checked on each."""

    draws: int = 1000
    """Networks, inputs and displacements on which each claim is checked."""
    chunk: int = 100
    """Draws in one vmapped program; best a divisor of `draws`, or the rest are compiled again."""
    arms: tuple[Claim, ...] = standard()
    """The claims."""


class Test(NamedTuple):
    """How the check of a claim is judged."""

    look: Callable
    """The function of `checks.py`."""
    score: Callable
    """What it returns for all draws -> one number a draw."""
    holds: Callable
    """The number -> whether the claim holds."""
    worst: Callable
    """All numbers -> that which is nearest to a violation, or the worst violation."""
    passes: int
    """About how many forward passes of a batch it takes."""
    breaks: tuple
    """What can be broken."""
    curve: str = ""
    """What is recorded of every epsilon: the median of that quantity; "" for none."""


def off_slope(looked):
    """Distance from 1 of the slope of log y against log epsilon, y (draws, e): (draws,)."""
    x = jnp.log(jnp.array(checks.EPSILONS))
    x -= jnp.mean(x)
    logs = jnp.log(jnp.maximum(looked, jnp.finfo(looked.dtype).tiny))
    return jnp.abs(jnp.sum(logs * x[None], axis=-1) / jnp.sum(x * x) - 1)


def exact(score):
    """Whether it is zero."""
    return score == 0


def rounded(score):
    """Whether a deviation in units of a change is one of rounding.

    Rounding is 1e-16 in units of what changes; the bound leaves room for changes of 1e-4 of it and
    for sums of a hundred terms, and is out of reach for a wrong formula.
    """
    return score <= 1e-10


def proportional(score):
    """Whether a slope is 1 to a hundredth (see `checks.EPSILONS`)."""
    return score <= 0.01


def itself(score):
    """What the check returns."""
    return score


TESTS = {
    "product": Test(
        checks.product, lambda cosines: jnp.min(cosines, axis=-1), lambda least: least >= 0,
        jnp.min, 16, ("start", "weights", "outputs"),
    ),
    "slope": Test(checks.slope, off_slope, proportional, jnp.max, 16, ("start",), "product"),
    "loss_falls": Test(
        checks.loss_falls, itself, lambda change: change < 0, jnp.max, 12, ("start",)
    ),
    "foreign_start": Test(
        checks.foreign_start, off_slope, proportional, jnp.max, 20, ("start",), "share"
    ),
    "degenerate": Test(checks.degenerate, itself, exact, jnp.max, 7, ("outputs",)),
    "linear_model": Test(checks.linear_model, itself, exact, jnp.max, 63, ()),
    "deep_linear": Test(checks.deep_linear, itself, rounded, jnp.max, 60, ("model",)),
    "tangent_kernel": Test(checks.tangent_kernel, itself, rounded, jnp.max, 90, ("model",)),
}  # fmt: skip
ONE_LOSS = ("deep_linear", "tangent_kernel")
"""Tests of squared errors."""


def phases(cfg):
    """The phases of a repeat of `cfg` (a `TheoryConfig`), in order."""
    size = {"claims": dataclasses.replace(cfg, arms=())}
    chain = [Phase("data", "draw_data", size, {}, "data")]
    for layers in dict.fromkeys(arm.layers for arm in cfg.arms):
        name = f"networks/{layers}"
        chain += [Phase(name, "draw_networks", size, {}, "networks", layers)]
    for arm in cfg.arms:
        # Traced, so that a program serves a claim with either loss, broken or not.
        flags = {f: arm.broken == f for f in ("start", "weights", "outputs", "model")}
        own = size | {"case": flags | {"softmax": arm.loss == "softmax"}}
        drawn = {"data": "data", "networks": f"networks/{arm.layers}"}
        option = f"{arm.test} {arm.layers}"
        chain += [Phase(f"claim/{arm.name}", "claim", own, drawn, "claim", option, (arm.name,))]
    return chain


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    config.validate_numbers(cfg)
    config.validate_arms(cfg.arms)
    for arm in cfg.arms:
        checks.network(arm.layers)
        breaks = ("nothing", *TESTS[arm.test].breaks)
        config.require(
            arm.broken in breaks,
            f"arms.{arm.name}.broken is {arm.broken!r}; for the test {arm.test} choose from "
            f"{', '.join(breaks)}.",
        )
        kind, sizes = classifiers.parse_layers(arm.layers)
        config.require(
            arm.test != "deep_linear" or (kind == "mlp" and len(set(sizes)) == 1),
            f"arms.{arm.name}.layers is {arm.layers!r}; deep_linear takes the first layer and a "
            "head of an mlp with hidden layers of one size.",
        )
        one = arm.broken == "weights" or arm.test in ONE_LOSS
        config.require(
            arm.loss == "squares" or not one,
            f"arms.{arm.name}.loss is {arm.loss!r}; only squares has a part in this claim.",
        )


def fetch(cfg):
    """Nothing is needed from elsewhere."""


def given(cfg, key):
    """Repeats share no arrays."""
    return {}


GIVEN = ()


def keys_of(settings, key):
    """A key for each draw; more draws change none."""
    config.require(
        jnp.result_type(float) == jnp.float64,
        "Claims are checked in float64; run them within `minisub.experiment.precision(config)`.",
    )
    numbers = jnp.arange(settings["claims"].draws, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)


def draw_data(option, settings, inputs, key):
    """`checks.draw_data` of every draw."""
    return jax.vmap(checks.draw_data)(keys_of(settings, key))


def draw_networks(option, settings, inputs, key):
    """`checks.draw_networks` of every draw; `option` are the layers."""
    return jax.vmap(lambda key: checks.draw_networks(option, key))(keys_of(settings, key))


def claim(option, settings, inputs, key):
    """One claim on every draw: how often it is violated, and how badly; `option` names it."""
    name, layers = option.split()
    test, case = TESTS[name], checks.Case(layers, **settings["case"])

    def look(drawn):
        return test.look(case, checks.Draw(**drawn))

    drawn = inputs["data"] | inputs["networks"]
    looked = jax.lax.map(look, drawn, batch_size=settings["claims"].chunk)
    score = test.score(looked)
    measured = {
        "draws": jnp.float64(len(score)),
        "violations": jnp.sum(~test.holds(score)),
        "worst": test.worst(score),
    }
    if test.curve:
        for epsilon, median in zip(checks.EPSILONS, jnp.median(looked, axis=0), strict=True):
            measured[f"{test.curve} at {epsilon:.0e}"] = median
    return measured


TASKS = {f.__name__: f for f in (draw_data, draw_networks, claim)}
VOLATILE = ("draw_data", "draw_networks")


def finish(kind, option, settings, inputs, state, key):
    """The phase's product, and the measures of a claim, (1,) each."""
    return state, {n: x[None] for n, x in state.items()} if kind == "claim" else {}


def epoch(phase):
    """There are no epochs."""
    return 0


def cost(phase):
    """Work of a phase in one repeat: (operations of matrix products, about; draws), and none."""
    if phase.kind != "claim":
        return (0, 0), (0, 0)
    name, layers = phase.option.split()
    draws, shape = phase.settings["claims"].draws, (checks.SIDE, checks.CLASSES, checks.BATCH)
    forward = classifiers.image_flops(checks.model(layers), *shape)
    return (draws * TESTS[name].passes * forward, draws), (0, 0)
