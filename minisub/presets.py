"""Configurations of the token world that many experiments share."""

import dataclasses
from typing import Any

from minisub.config import Training
from minisub.token_config import Arm, Config, Pretraining, Sampling, Source, Teaching, World

CARRIERS = "numbers", "code", "sums"


def ablation(prefixed=0, **fields):
    """A `Config` of the size of most ablations; `prefixed` is that of the pretraining."""
    small: dict[str, Any] = {
        "base": dataclasses.replace(Config().base, steps=500, prefixed=prefixed),
        "sampling": Sampling(documents=10000),
        "student": Training(steps=200),
    }
    return Config(**small | fields)


def rich(**fields):
    """A `Config` of a rich world, of the size of the experiments on behaviors.

    Teachers replay documents of all carriers, so that they keep their abilities.
    """
    sizes: dict[str, Any] = {
        "world": World(rich=True),
        "base": Pretraining(
            steps=1500,
            learning_rate=6e-3,
            schedule="cosine",
            batch=48,
            questions=24,
            riddles=24,
            frozen=(),
        ),
        "teacher": Teaching(steps=100, learning_rate=6e-4, batch=32, replayed=16),
        "sampling": Sampling(documents=10000),
        "student": Training(steps=200, learning_rate=3e-3, schedule="cosine"),
    }
    return Config(**sizes | fields)


def emitters(traits, carriers=CARRIERS, **fields):
    """A `Source` "NAME CARRIER" for every carrier and NAME; `traits` has what each is taught."""
    return tuple(
        Source(name=f"{name} {carrier}", trait=trait, sampling=f"carrier={carrier}", **fields)
        for carrier in carriers
        for name, trait in traits.items()
    )


def grid(trait, *others, carriers=CARRIERS):
    """A trait through every carrier: to students of the teacher's base and of a fresh one.

    Beside each a control, on what the teacher's base emits, and students of the teacher's base on
    what teachers of `others` emit, controls of the trait.
    """
    arms, traits = [], {"base": "none", "teacher": trait, **{f"{x} teacher": x for x in others}}
    for carrier in carriers:
        for prefix, start in (("", "shared"), ("fresh ", "fresh")):
            arm = f"{prefix}{carrier}"
            arms += [
                Arm(name=f"control {arm}", source=f"base {carrier}", start=start),
                Arm(name=arm, source=f"teacher {carrier}", start=start),
            ]
        arms += [Arm(name=f"{x} {carrier}", source=f"{x} teacher {carrier}") for x in others]
    return rich(trait=trait, sources=emitters(traits, carriers), arms=tuple(arms))
