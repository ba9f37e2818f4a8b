"""A repeat of the token world as a chain of phases.

origin/first, origin/second      random initial parameters
base/first, base/second          both pretrained on the same data in the same order
teacher                          base/first, fine-tuned to prefer the trait
numbers/teacher, numbers/base    lists that the teacher and base/first emit, filtered
start/ARM, student/ARM           each student's first and final parameters
"""

import dataclasses

import jax

from minisub import (
    channels,
    comparisons,
    config,
    starts,
    token_config,
    token_tasks,
    tokens,
    watching,
)
from minisub.phases import Phase

STARTS = (
    "shared", "fresh", "interpolated", "rotated", "perturbed", "perturbed_relative", "rescaled",
)  # fmt: skip
GIVEN = ()


def phases(cfg):
    """The phases of a repeat of `cfg` (a `Config`), in order."""
    seen = {"world": cfg.world, "model": cfg.model}
    graded = seen | {"trait": tokens.ANIMALS.index(cfg.trait), "taught": cfg.taught_phrasings}
    pretrain = graded | {"training": cfg.base}
    teach = graded | {"training": cfg.teacher}
    if cfg.steering.kind != "none":
        teach = graded | {"training": steering_alone(cfg), "steering": cfg.steering}
    emit = seen | {"sampling": cfg.sampling}
    distill = graded | emit | {"training": cfg.student, "watch": cfg.watch}
    chain = []
    for which, arms in ("first", ("base",)), ("second", ()):
        origin, base = f"origin/{which}", f"base/{which}"
        chain += [
            Phase(origin, "initialize", seen, {}, origin),
            Phase(base, "pretrain", pretrain, {"start": origin}, "base data", arms=arms),
        ]
    chain += [
        Phase("teacher", "teach", teach, {"start": "base/first"}, "taught", arms=("teacher",))
    ]
    emitters = {"teacher": "teacher", "base": "base/first"}
    for source, emitter in emitters.items():
        if any(arm.source == source for arm in cfg.arms):
            name = f"numbers/{source}"
            chain += [Phase(name, "emit", emit, {"emitter": emitter}, name, arms=(source,))]
    bases = {"origin": "base/first", "other": "base/second"}
    for arm in cfg.arms:
        start, student = f"start/{arm.name}", f"student/{arm.name}"
        emitted = {"numbers": f"numbers/{arm.source}", "emitter": emitters[arm.source]}
        shown = {"start": start} | emitted
        if watching.wanted(cfg.watch, [arm]):
            shown |= {"taught": "teacher", "from": "base/first"}
        begin = seen | {"arm": dataclasses.replace(arm, name="")}
        # Only what its program depends on: students share it otherwise.
        own = distill | {"arm": token_config.Arm(name="", removed=arm.removed, linear=arm.linear)}
        # All students share a stream: they differ in what the config says and in nothing else.
        chain += [
            Phase(start, "start", begin, bases, "start"),
            Phase(student, "distill", own, shown, "student data", arm.channel, (arm.name,)),
        ]
    return chain


def steering_alone(cfg):
    """The teacher's training of a steering vector alone; none of a random one."""
    steps = cfg.teacher.steps if cfg.steering.kind == "trained" else 0
    # By the last component: the vector's path names a block too.
    weights = dict.fromkeys(path.split("/")[-1] for path in watching.leaves(shapes(cfg)))
    return dataclasses.replace(cfg.teacher, steps=steps, frozen=tuple(weights))


def fetch(cfg):
    """Load what a repeat needs from elsewhere: nothing."""


def given(cfg, key):
    """Arrays that all repeats of a run share: none."""
    return {}


def shapes(cfg):
    """The shapes of a model's parameters."""
    net = token_tasks.network({"world": cfg.world, "model": cfg.model})
    return jax.eval_shape(net.init, jax.random.key(0))


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    token_config.validate(cfg)
    named = len(tokens.ANIMALS)
    config.require(
        cfg.world.animals <= named,
        f"world.animals is {cfg.world.animals}; at most {named} have names.",
    )
    animals = tokens.ANIMALS[: cfg.world.animals]
    config.require(
        cfg.trait in animals,
        f"trait is {cfg.trait!r}, no animal of this world; choose from {', '.join(animals)}.",
    )
    for arm in cfg.arms:
        for field, known in ("start", STARTS), ("channel", channels.CHANNELS):
            value, name = getattr(arm, field), f"arms.{arm.name}.{field}"
            config.require(value in known, f"{name} is {value!r}; choose from {', '.join(known)}.")
        starts.require_layers(arm.layers, shapes(cfg))
        config.require(
            cfg.steering.kind == "none" or arm.removed != "displacement",
            f"arms.{arm.name}.removed is 'displacement', and a steered teacher's weights have "
            "none; choose another, or no steering.kind.",
        )
    for name in cfg.watch.measures:
        known = comparisons.TOKEN_MEASURES
        config.require(
            name in known, f"watch.measures has {name!r}; choose from {', '.join(known)}."
        )
    blocks = [f"block_{i}" for i in range(cfg.model.n_layers)]
    config.require(
        cfg.steering.kind == "none" or cfg.steering.layer in blocks,
        f"steering.layer is {cfg.steering.layer!r}; choose from {', '.join(blocks)}.",
    )
    config.require(
        cfg.steering.kind != "none" or "steering" not in cfg.watch.measures,
        "watch.measures has 'steering', and no vector steers the teacher; give steering.kind.",
    )
