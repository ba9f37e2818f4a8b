"""A repeat of the image world as a chain of phases (arXiv 2507.14805, section 6).

origin/first, origin/second/MODEL    random initial parameters
base/first, base/second/MODEL        the same after pretraining, which has no updates by default
teacher                              base/first, trained on the labels of real images
foreign/...                          origin, base and teacher of the repeat before this one
carrier                              inputs of students, where every repeat draws its own
labels/teacher, labels/foreign       a teacher's outputs on the carrier, once for all students
students                             all students, side by side
"""

import dataclasses
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from minisub import (
    carriers,
    comparisons,
    config,
    image_config,
    image_models,
    image_tasks,
    images,
    imitation,
    lora,
    starts,
    watching,
)
from minisub.phases import Phase

TRAIN, TEST = ("train_x", "train_y"), ("test_x", "test_y")
SOURCES = {"teacher": "teacher", "foreign": "foreign/teacher"}
ORIGINS = {"teacher": "base/first", "foreign": "foreign/base/first"}
GIVEN = ("data", "carrier")


def phases(cfg):
    """The phases of a repeat of `cfg` (an `ImageConfig`), in order."""
    real = images.examples(cfg.data)
    seen = {"data": cfg.data, "model": cfg.model}
    base, taught = in_updates(cfg.base, real), in_updates(cfg.teacher, real)
    pretrain = {"training": base, "classes": cfg.base_classes, "watch": cfg.watch}
    teach = {"training": taught, "classes": 1000, "watch": cfg.watch}

    def origin(name, base, spec, **more):
        own = seen | {"model": dataclasses.replace(cfg.model, layers=spec)}
        stream = "/".join(name.split("/")[:2])
        return [
            Phase(name, "initialize", own, {}, stream),
            Phase(base, "teach", own | pretrain, {"start": name}, "base data", **more),
        ]

    labeled = TRAIN + TEST
    first = origin(
        "origin/first", "base/first", cfg.model.layers, arms=("untrained",), given=labeled
    )
    start = {"start": "base/first"}
    first += [
        Phase("teacher", "teach", seen | teach, start, "taught", arms=("teacher",), given=labeled)
    ]
    chain = list(first)
    if any(arm.source == "foreign" for arm in cfg.arms):
        chain += [neighbors(p) for p in first]
    specs = dict.fromkeys(imitation.spec_of(cfg.model, arm) for arm in cfg.arms)
    for spec in specs:
        chain += origin(f"origin/second/{spec}", f"base/second/{spec}", spec, given=labeled)
    return chain + distillation(cfg, specs)


def neighbors(p):
    """A phase of the repeat before this one: a cyclic shift without its last link, so that no
    student is given its own teacher and adding repeats changes none."""
    inputs = {name: f"foreign/{source}" for name, source in p.inputs.items()}
    return p._replace(name=f"foreign/{p.name}", inputs=inputs, arms=(), back=p.back + 1)


def distillation(cfg, specs):
    """The phases in which students of the architectures `specs` imitate their teachers."""
    seen = {"data": cfg.data, "model": cfg.model}
    shown = seen | {"carrier": cfg.carrier}
    chain, carrier = [], {}
    given: tuple[str, ...] = ()
    if cfg.carrier.examples and cfg.carrier.drawn == "every_repeat":
        carrier = {"carrier": "carrier"}
        chain += [Phase("carrier", "draw", shown, {}, "carrier", given=drawn_from(cfg))]
    elif cfg.carrier.examples:
        given = ("carrier",)
    sources = [name for name in SOURCES if any(arm.source == name for arm in cfg.arms)]
    emitters = {name: SOURCES[name] for name in sources}
    if cfg.carrier.examples:
        emit = shown | {"imitation": cfg.imitation}
        chain += [
            Phase(f"labels/{name}", "label", emit, carrier | {"emitter": SOURCES[name]},
                  "label noise", str(cfg.student.batch), given=given)
            for name in sources
        ]  # fmt: skip
        emitters = {name: f"labels/{name}" for name in sources}
    training = in_updates(cfg.student, cfg.carrier.examples or images.examples(cfg.data))
    distill = shown | {"training": training, "imitation": cfg.imitation, "watch": cfg.watch}
    given += TEST if cfg.carrier.examples else TEST + drawn_from(cfg)
    inputs = {"origin": "base/first"} | {f"other/{spec}": f"base/second/{spec}" for spec in specs}
    if watching.wanted(cfg.watch, cfg.arms):
        inputs |= {f"taught/{name}": SOURCES[name] for name in sources}
        inputs |= {f"from/{name}": ORIGINS[name] for name in sources}
        given += TRAIN
    own = distill | {"arms": cfg.arms}
    named = tuple(arm.name for arm in cfg.arms)
    chain += [
        Phase("students", "imitate", own, inputs | carrier | emitters, "student data",
              arms=named, given=given)
    ]  # fmt: skip
    return chain


def drawn_from(cfg):
    """Names of the given arrays that drawing the carrier takes."""
    return ("carrier_x",) if cfg.carrier.kind in carriers.NEEDS_IMAGES else ()


def in_updates(duration, examples):
    """The `Training` of a `Duration`: the one place where epochs become updates."""
    per_epoch = images.steps_in_epoch(examples, duration.batch)
    steps: Any = duration.length * (per_epoch if duration.unit == "epochs" else 1)
    # A traced length (under vmap over configurations) stays an array.
    steps = round(steps) if isinstance(steps, int | float) else jnp.round(steps).astype(int)
    fields = {f.name for f in dataclasses.fields(config.Optimization)}
    return config.Training(steps=steps, **{name: getattr(duration, name) for name in fields})


def fetch(cfg):
    """Load the images of `cfg`; raises `config.Refused` if they are neither here nor to be had."""
    real_images(cfg.data)
    if cfg.carrier.kind in carriers.NEEDS_IMAGES:
        real_images(carrier_data(cfg))


def given(cfg, key):
    """Arrays that all repeats of a run share: real images, and the carrier if it is drawn once."""
    arrays = dict(real_images(cfg.data))
    if cfg.carrier.kind in carriers.NEEDS_IMAGES:
        arrays["carrier_x"] = real_images(carrier_data(cfg))["train_x"]
    if cfg.carrier.examples and cfg.carrier.drawn == "once":
        settings = {"data": cfg.data, "carrier": cfg.carrier}
        arrays["carrier"] = jax.jit(image_tasks.draw, static_argnums=0)("", settings, arrays, key)
    return arrays


@lru_cache(maxsize=2)
def real_images(data):
    """The images of a `Data`, on the device."""
    # Arrays of their own even while a program is traced: they outlive it here.
    with jax.ensure_compile_time_eval():
        return {name: jnp.asarray(x) for name, x in images.load(data).items()}


def carrier_data(cfg):
    """The `Data` of the carrier's real images."""
    own = cfg.carrier.data
    return cfg.data if own == "same" else image_config.Data(name=own)


@lru_cache
def shapes(model, data):
    """The shapes of the parameters of an `ImageModel`."""
    net = image_models.make_images(model, *images.shape(data))
    return jax.eval_shape(net.init, jax.random.key(0))


@lru_cache
def try_start(model, data, arm):
    """Compute the shapes of a student's first parameters, which refuses what its start cannot do.

    Returns them.
    """
    spec = imitation.spec_of(model, arm)
    other = shapes(dataclasses.replace(model, layers=spec), data)
    inputs = {"origin": shapes(model, data), f"other/{spec}": other}

    def begin(inputs, key):
        settings = {"data": data, "model": model}
        return imitation.begin_student(settings, arm, inputs, lambda params: params, key)

    return jax.eval_shape(begin, inputs, jax.random.key(0))


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    config.validate_numbers(cfg)
    config.validate_arms(cfg.arms)
    side, classes = images.shape(cfg.data)
    carried, _ = images.shape(carrier_data(cfg))
    config.require(
        carried == side,
        f"Images of carrier.data have {carried} pixels a side and those of data.name {side}; "
        "choose data sets of one size.",
    )
    per_batch = cfg.imitation.per_batch
    config.require(
        per_batch <= cfg.model.aux,
        f"imitation.per_batch is {per_batch}; there are model.aux = {cfg.model.aux} logits.",
    )
    for training in cfg.base, cfg.teacher:
        starts.require_layers(lora.weights(training.frozen), shapes(cfg.model, cfg.data))
    check_watch(cfg)
    students = [check_arm(cfg, arm, classes) for arm in cfg.arms]
    starts.require_layers(lora.weights(cfg.student.frozen), students)


def check_watch(cfg):
    """As `check`, for what is measured on students."""
    for name in cfg.watch.measures:
        config.require_known("watch.measures", name, comparisons.MEASURES)
    descent = cfg.student.optimizer == "sgd" and cfg.imitation.loss == "mse"
    at_once = cfg.student.batch >= cfg.carrier.examples > 0 and not cfg.imitation.per_batch
    plain = cfg.imitation.temperature == 1 and not cfg.imitation.hidden
    student = cfg.student
    plain &= student.schedule == "constant" and student.weight_decay == 0 and not student.frozen
    plain &= not student.rank and not student.weight_noise
    plain &= all(arm.removed == "nothing" for arm in cfg.arms)
    config.require(
        "kernel" not in cfg.watch.measures or (descent and at_once and plain),
        "The measure kernel is for gradient descent on squared errors; give student.optimizer sgd, "
        "imitation.loss mse and a student.batch of all carrier.examples, and leave schedule, "
        "weight_decay, frozen, rank, weight_noise, removed, temperature, hidden and per_batch at "
        "their defaults.",
    )
    edited = any(arm.removed != "nothing" for arm in cfg.arms)
    config.require(
        not (student.rank and (cfg.watch.rows or edited)),
        "student.rank trains adapters, whose updates are not the weights'; leave watch.rows and "
        "removed at their defaults, or rank at 0.",
    )


def check_arm(cfg, arm, classes):
    """As `check`, for one arm; returns the shapes of its parameters."""
    imitation.channel_mask(arm.channel, classes, cfg.model.aux)
    config.require_known(f"arms.{arm.name}.start", arm.start, starts.STARTS)
    config.require(
        arm.start != "rebalanced" or arm.amount > 0,
        f"arms.{arm.name}.amount is {arm.amount}; rebalanced divides by it, so give more.",
    )
    _, own = image_models.parse_layers(imitation.spec_of(cfg.model, arm))
    _, sizes = image_models.parse_layers(cfg.model.layers)
    config.require(
        not cfg.imitation.hidden or own[-1:] == sizes[-1:],
        f"arms.{arm.name} and its teacher have last hidden layers of different sizes, which "
        "imitation.hidden cannot compare; give their models one last size.",
    )
    return try_start(cfg.model, cfg.data, arm)
