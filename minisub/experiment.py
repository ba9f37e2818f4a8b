"""A repeat as a chain of phases, and `run(config, key) -> record`, their composition.

The command line performs the same phases one by one and saves between them (`runner`); here they
are one pure function that works under `jax.jit` and `jax.vmap`, over keys and over configurations.

    origin/first, origin/second      random initial parameters
    base/first, base/second          both pretrained on the same data in the same order
    teacher                          base/first, fine-tuned to prefer the trait
    numbers/teacher, numbers/base    lists that the teacher and base/first emit, filtered
    start/ARM, student/ARM           each student's first and final parameters
"""

import zlib
from functools import partial

import jax
import jax.numpy as jnp

from minisub import channels, config, fit, tasks, tokens
from minisub.tasks import Phase


def phases(cfg):
    """The phases of a repeat of `cfg` (a `Config`), in order."""
    seen = {"world": cfg.world, "model": cfg.model}
    graded = seen | {"trait": tokens.ANIMALS.index(cfg.trait), "taught": cfg.taught_phrasings}
    pretrain, teach = graded | {"training": cfg.base}, graded | {"training": cfg.teacher}
    emit = seen | {"sampling": cfg.sampling}
    distill = graded | emit | {"training": cfg.student}
    chain = []
    for which, arm in ("first", "base"), ("second", ""):
        origin, base = f"origin/{which}", f"base/{which}"
        chain += [
            Phase(origin, "initialize", seen, {}, origin),
            Phase(base, "pretrain", pretrain, {"start": origin}, "base data", arm=arm),
        ]
    chain += [Phase("teacher", "teach", teach, {"start": "base/first"}, "taught", arm="teacher")]
    emitters = {"teacher": "teacher", "base": "base/first"}
    for source, emitter in emitters.items():
        if any(arm.source == source for arm in cfg.arms):
            name = f"numbers/{source}"
            chain += [Phase(name, "emit", emit, {"emitter": emitter}, name, arm=source)]
    bases = {"origin": "base/first", "other": "base/second"}
    for arm in cfg.arms:
        start, student = f"start/{arm.name}", f"student/{arm.name}"
        emitted = {"numbers": f"numbers/{arm.source}", "emitter": emitters[arm.source]}
        shown = {"start": start} | emitted
        # All students share a stream: they differ in what the config says and in nothing else.
        chain += [
            Phase(start, "start", {}, bases, start, arm.start),
            Phase(student, "distill", distill, shown, "student data", arm.channel, arm.name),
        ]
    return chain


def named_key(key, name):
    """The random stream `name` of a repeat; adding a stream never moves another."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def run(cfg, key):
    """One repeat: a dict arm -> measure -> scalar array.

    Pure: `jax.jit(run)(cfg, key)`, `jax.vmap(run, (None, 0))(cfg, keys)`, and vmap over `cfg` too.
    It does not check `cfg`; `check` does. A loss that is not finite shows as NaN in the record.
    """
    state, record = {}, {}
    for p in phases(cfg):
        inputs = {name: state[source] for name, source in p.inputs.items()}
        task, stream = (p.kind, p.option, p.settings, inputs), named_key(key, p.key)
        product = tasks.begin(*task, stream)
        if isinstance(product, fit.State):
            product = tasks.advance(*task, product, stream, 0, p.steps)
        state[p.name], measured = tasks.finish(*task, product)
        if p.arm:
            record.setdefault(p.arm, {}).update(measured)
    return record


def repeat_keys(seed, repeats):
    """The keys of the first `repeats` repeats under `seed`; adding repeats changes no other."""
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), jnp.arange(repeats))


@partial(jax.jit, static_argnames=("repeats", "group"))
def over_repeats(cfg, seed, repeats, group=1):
    """Records of repeats, stacked on a leading axis; `group` of them in one vmapped program.

    One at a time is best on a CPU and reproduces a repeat run alone; all at once is best on an
    accelerator and differs from it by rounding, which training amplifies.
    """
    keys = repeat_keys(seed, repeats)
    return jax.lax.map(partial(run, cfg), keys, batch_size=None if group == 1 else group)


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    config.validate(cfg)
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
        for field, known in ("start", tasks.STARTS), ("channel", channels.CHANNELS):
            value, name = getattr(arm, field), f"arms.{arm.name}.{field}"
            config.require(value in known, f"{name} is {value!r}; choose from {', '.join(known)}.")
