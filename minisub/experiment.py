"""A repeat as a chain of phases, and `run(config, key) -> record`, their composition.

The command line performs the same phases one by one and saves between them (`runner`); here they
are one pure function that works under `jax.jit` and `jax.vmap`, over keys and over configurations.
"""

import contextlib
import zlib
from functools import partial

import jax
import jax.numpy as jnp

from minisub import fit, tasks


def phases(cfg):
    """The phases of a repeat of `cfg` (a `Config`, `ImageConfig` or `TheoryConfig`), in order."""
    return tasks.WORLDS[type(cfg)].phases(cfg)


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    tasks.WORLDS[type(cfg)].check(cfg)


def fetch(cfg):
    """Load the images that `cfg` needs, from where they are; `config.Refused` if they are not."""
    tasks.WORLDS[type(cfg)].fetch(cfg)


def given(cfg, seed):
    """Arrays that all repeats under `seed` share: name -> array; empty in the token world.

    Raises `config.Refused` if images are neither here nor to be had.
    """
    return tasks.WORLDS[type(cfg)].given(cfg, named_key(jax.random.key(seed), "given"))


def precision(cfg):
    """A context in which JAX computes `cfg` in the precision of its world."""
    float64 = type(cfg) in tasks.FLOAT64
    return jax.enable_x64(True) if float64 else contextlib.nullcontext()


def what_is_given(cfg):
    """`cfg` with all that `given` does not read at its default."""
    fields = tasks.WORLDS[type(cfg)].GIVEN
    return type(cfg)(**{field: getattr(cfg, field) for field in fields})


def named_key(key, name):
    """The random stream `name` of a repeat; adding a stream never moves another."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def run(cfg, key, before=None, arrays=None):
    """One repeat: a dict arm -> measure -> scalar array, or (rows,) if it was logged.

    `before` is the key of the repeat whose teacher is the foreign one (default: made from `key`),
    `arrays` those of `given` (default: those of seed 0).
    Pure: `jax.jit(run)(cfg, key)`, `jax.vmap(run, (None, 0))(cfg, keys)`, and vmap over `cfg` too.
    It does not check `cfg`, as `check` does, nor set its `precision`. A loss that is not finite
    shows as NaN in the record.
    """
    arrays = given(cfg, 0) if arrays is None else arrays
    keys = key, named_key(key, "before") if before is None else before
    state, record = {}, {}
    for p in phases(cfg):
        inputs = {name: state[source] for name, source in p.inputs.items()}
        inputs |= {name: arrays[name] for name in p.given}
        task, stream = (p.kind, p.option, p.settings, inputs), named_key(keys[p.back], p.key)
        product = tasks.begin(*task, stream)
        if isinstance(product, fit.State):
            product = tasks.advance(*task, product, stream, 0, p.steps)
        state[p.name], measured = tasks.finish(*task, product, stream)
        for i, arm in enumerate(p.arms):
            own = {name: value[i] for name, value in measured.items()}
            record.setdefault(arm, {}).update(own)
    return record


def repeat_keys(seed, repeats, first=0):
    """The keys of `repeats` repeats from number `first` on; adding repeats changes no other."""
    # In 32 bits without a sign, so that the repeat before the first, number -1, has a key too.
    numbers = (jnp.arange(repeats) + first).astype(jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), numbers)


def over_repeats(cfg, seed, repeats, group=1):
    """Records of repeats, stacked on a leading axis; `group` of them in one vmapped program.

    One at a time is best on a CPU and reproduces a repeat run alone; all at once is best on an
    accelerator and differs from it by rounding, which training amplifies.
    """
    pairs = repeat_keys(seed, repeats), repeat_keys(seed, repeats, -1)
    with precision(cfg):
        return mapped(cfg, given(cfg, seed), pairs, group)


@partial(jax.jit, static_argnames="group")
def mapped(cfg, arrays, pairs, group):
    """`run` over pairs of keys."""
    batch = None if group == 1 else group
    return jax.lax.map(lambda pair: run(cfg, pair[0], pair[1], arrays), pairs, batch_size=batch)
