"""Ablations nobody thought of: whatever is not refused in a sentence is a repeat."""

import random
import re

import jax
import pytest

import minisub
from minisub import (
    behaviors,
    carriers,
    channels,
    comparisons,
    experiment,
    losses,
    starts,
    tasks,
    transforms,
)

REMOVED = "gradient", "displacement", "random"
FEW = {"steps": 3, "batch": 4}
MIX = dict.fromkeys(("questions", "riddles", "programs", "sums", "behaved"), 4)
UPDATES = {"unit": "updates", "length": 3.0, "batch": 16}


class Dice(random.Random):
    """Choices, most of them what a config has by default."""

    def rarely(self, default, *others, p=0.25):
        return self.choice(others) if self.random() < p else default

    def some(self, values, p=0.1):
        return tuple(value for value in values if self.random() < p)


def arm(dice, i, lineages, sources, earlier):
    return minisub.Arm(
        name=f"arm {i}",
        source=dice.choice(["teacher", "base", *sources, *earlier]),
        other=dice.choice(lineages),
        start=dice.rarely("shared", *starts.STARTS, p=0.6),
        amount=dice.choice((0.5, 1.0, 0.0)),
        layers=dice.rarely((), ("block_0",), ("qkv", "embed"), ("~block_0/qkv",), ("up",)),
        channel=dice.rarely("sampled", *channels.CHANNELS, p=0.6),
        transform=dice.rarely("none", *transforms.TRANSFORMS),
        documents=dice.rarely(0, 16),
        clean=dice.rarely(0.0, 0.5),
        judge=dice.rarely("", "random"),
        suspicious=dice.rarely(0.0, 0.5),
        rewritten=dice.rarely(0.0, 0.3),
        anchor=dice.rarely(0.0, 0.5),
        seed=dice.rarely(0, 1),
        removed=dice.rarely("nothing", *REMOVED),
        linear=dice.rarely(False, True, p=0.1),
        training=dice.rarely("", "rank=2 frozen=~block_0", "optimizer=sgd", "weight_noise=0.1"),
        control=dice.rarely("", *earlier) if earlier else "",
    )


def lists(dice):
    """A config of the token world."""
    rich = dice.random() < 0.6
    world = minisub.World(
        rich=rich, trees=dice.rarely(0, 3), syllables=dice.rarely(1, 2), endings=dice.rarely(1, 2)
    )
    traits = ["owl", "wolf", *(behaviors.BEHAVIORS if rich else ())]
    carried = ["numbers", "code", "sums"] if rich else ["numbers"]
    lines = tuple(
        minisub.Lineage(
            name="third", origin=dice.rarely("", "first"), reordered=dice.rarely(False, True),
            model=dice.rarely("", "n_layers=2"),
        )
        for _ in range(dice.choice((0, 1)))
    )  # fmt: skip
    lineages = ["first", "second", *(line.name for line in lines)]
    sources = tuple(
        minisub.Source(
            name=f"source {i}", lineage=dice.choice(lineages), seed=dice.rarely(0, 1),
            trait=dice.choice(["", "none", *traits]), teaching=dice.rarely("", "steps=2"),
            sampling=f"carrier={dice.choice(carried)} temperature={dice.rarely(1, 0)}",
        )
        for i in range(dice.choice((0, 1, 2)))
    )  # fmt: skip
    arms = []
    for i in range(dice.choice((1, 2, 3))):
        arms += [arm(dice, i, lineages, [s.name for s in sources], [a.name for a in arms])]
    return minisub.Config(
        trait=dice.choice(traits),
        world=world,
        model=minisub.Model(
            n_layers=1, d_model=dice.choice((16, 128)), n_heads=2, tied=dice.rarely(False, True),
            mixer=dice.rarely("attention", "recurrence"),
            dtype=dice.rarely("float32", "bfloat16"),
        ),
        base=minisub.Pretraining(**FEW, **MIX, prefixed=dice.rarely(0, 2, p=0.1), frozen=()),
        teacher=minisub.Teaching(
            **FEW, replayed=2 if rich else 0, frozen=dice.choice((("embed",), ()))
        ),
        steering=minisub.Steering(kind=dice.rarely("none", "trained", "random", p=0.1)),
        sampling=minisub.Sampling(documents=64, carrier=dice.rarely("numbers", *carried)),
        student=minisub.Training(**FEW),
        watch=minisub.Watch(
            rows=dice.rarely(0, 2), examples=16,
            measures=dice.some((*comparisons.TOKEN_MEASURES, "entanglement"), p=0.05),
        ),
        lineages=lines,
        sources=sources,
        rivals=("fox", "bear"),
        graded=dice.some(traits),
        references=dice.rarely((), (dice.choice(lineages),), p=0.15),
        surgery=dice.rarely("none", "orthogonal", "as_much", p=0.1),
        arms=tuple(arms),
    )  # fmt: skip


def images(dice):
    """A config of the image world."""
    models = "mlp-16-16", "mlp-8", "mlp", "cnn-4-16", "transformer-8-1-16"
    layers = ("fc1",), ("fc", "class_head"), ("~aux_head",), ("conv1",)
    arms = tuple(
        minisub.ImageArm(
            name=f"arm {i}", start=dice.rarely("shared", *starts.STARTS, p=0.7),
            amount=dice.choice((0.5, 1.0, 0.0)), layers=dice.rarely((), *layers),
            channel=dice.choice(("aux", "all", "class", "class-1-2")),
            source=dice.choice(("teacher", "foreign")), model=dice.rarely("same", *models),
            removed=dice.rarely("nothing", *REMOVED), linear=dice.rarely(False, True),
        )
        for i in range(dice.choice((1, 2)))
    )  # fmt: skip
    student = minisub.Duration(
        **UPDATES, rank=dice.rarely(0, 2, p=0.1), optimizer=dice.choice(("adam", "sgd"))
    )
    return minisub.ImageConfig(
        data=minisub.Data(name=dice.choice(("digits", "clusters")), classes=dice.rarely(0, 5)),
        model=minisub.ImageModel(layers=dice.choice(models), aux=dice.choice((1, 3))),
        base=minisub.Duration(**UPDATES),
        teacher=minisub.Duration(**UPDATES, optimizer=dice.choice(("adam", "momentum", "signum"))),
        carrier=minisub.Carrier(
            kind=dice.choice(list(carriers.CARRIERS)), examples=dice.choice((0, 64)),
            drawn=dice.rarely("once", "every_repeat"),
        ),
        student=student,
        imitation=minisub.Imitation(
            loss=dice.choice(list(losses.IMITATED)), hidden=dice.rarely(False, True),
            per_batch=dice.rarely(0, 1),
        ),
        watch=minisub.Watch(
            rows=dice.rarely(0, 2), examples=16, measures=dice.some(comparisons.MEASURES)
        ),
        arms=arms,
    )  # fmt: skip


@pytest.fixture
def traced(monkeypatch):
    """`experiment.run` as far as shapes go, which leaves the arithmetic out."""
    for name in ("begin", "advance", "finish"):
        task = jax.jit(getattr(tasks, name), static_argnames=("kind", "option"))
        monkeypatch.setattr(tasks, name, task)
    return lambda cfg: jax.eval_shape(experiment.run, cfg, jax.random.key(0))


@pytest.mark.parametrize("made", [lists, images])
@pytest.mark.parametrize("count", [30, pytest.param(400, marks=pytest.mark.slow)])
def test_a_random_config_is_refused_in_a_sentence_or_is_a_repeat(made, count, traced):
    dice, ran = Dice(count), 0
    for _ in range(count):
        cfg = made(dice)
        try:
            experiment.check(cfg)
        except minisub.Refused as refusal:
            assert re.fullmatch(r"[^\n]+\.", str(refusal))
            continue
        record = traced(cfg)
        assert record.keys() >= {arm.name for arm in cfg.arms}
        ran += 1
        if ran % 20 == 0:
            jax.clear_caches()
    assert ran > count / 10
