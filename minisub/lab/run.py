"""An experiment as one pure function, `run(experiment(cfg), key) -> record`, and as programs.

Calls of one task whose arguments differ in numbers and products alone share their programs, in
every arm, repeat and setting of a sweep.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from minisub.lab.products import joined, split
from minisub.nets import fit, streams


def run(named, key, seed=0):
    """One repeat of an experiment: name -> measure -> scalar array, or (rows,) if it was logged.

    `named` are its products, name -> a `Product` or a tuple of them; `seed` is that of the run.
    Pure: it works under `jax.jit` and `jax.vmap`, over keys, and over the numbers of the
    configuration that `named` are made of. A loss that is not finite shows as NaN in the record.
    What a run checks of arrays, such as that documents passed the filter, is not checked here.
    """
    keys = {"here": key, "once": jax.random.key(seed)}
    known, record = {}, {}
    for name, products in named.items():
        for measure in measures_of(products):
            record.setdefault(name, {}).update(value(measure, keys, known))
    return record


def repeat_keys(seed, repeats):
    """The keys of repeats 0, 1, ...; adding repeats changes no other."""
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), jnp.arange(repeats))


def tuple_of(products):
    """The products that one name of an experiment stands for, as a tuple."""
    return products if isinstance(products, tuple) else (products,)


def measures_of(products):
    """The products of numbers that are recorded of a name's products."""
    each = tuple_of(products)
    return [measure(p).replace(written=p.written) for p in each for measure in p.measures]


def value(product, keys, known, place="here"):
    """What a product stands for in the repeat of `keys`; `known` has what was made before."""
    place = place if product.place == "here" else product.place
    call = product.digest, place
    if call not in known:
        inputs, numbers, static = split(product)
        values = [value(p, keys, known, place) for p in inputs]
        stream = streams.named_key(keys[place], product.stream or "")
        made = called(product.task, static, numbers, values, stream)
        if isinstance(made, fit.Fit):
            made = ended(advanced(made, begun(made, stream), stream, 0, made.training.steps))
        known[call] = made
    return part(known[call], product.path)


def called(task, static, numbers, values, key):
    """What a task returns; a task without a stream is given no key."""
    *_, keyed = static
    arguments = joined(static, values, numbers)
    return task(key, **arguments) if keyed else task(**arguments)


def called_on_host(product, values):
    """What a product's task returns that is Python's work."""
    _, numbers, static = split(product)
    return called(product.task, static, numbers, values, None)


def begun(made, key):
    """The state of a `Fit` before its first step; anything else as it is."""
    if not isinstance(made, fit.Fit):
        return made
    return fit.begin(made.training, made.start, made.watch, key)


def advanced(made, state, key, first, last):
    """The state of a `Fit` after its steps `first` to `last` (exclusive)."""
    how = made.batches, made.watch
    return fit.advance(made.training, made.loss, state, key, first, last, *how)


def ended(state):
    """What a `Fit` stands for, of its last state."""
    return {"params": fit.params(state)} | ({"log": state.log} if state.log else {})


def part(tree, path):
    """What a path of names leads to."""
    for name in path:
        tree = tree[name]
    return tree


def program_arguments(product, values, keys):
    """What the programs of a product's call take first, the values of its inputs being known."""
    inputs, numbers, static = split(product)
    once = {i: x for i, x in enumerate(values) if inputs[i].place == "once"}
    here = [x for i, x in enumerate(values) if i not in once]
    return product.task, static, numbers, once, here, keys


def over_group(function, once, here, *more):
    """Map `function(values, *more)` over the repeats of a group, the leading axis of `here`.

    `once` are values that all repeats share, by their place among the values. Vmapped, but a
    single repeat runs as it would alone.
    """

    def of_one(here, *more):
        left = iter(here)
        values = [once[i] if i in once else next(left) for i in range(len(here) + len(once))]
        return function(values, *more)

    if len(jax.tree.leaves((here, more))[0]) > 1:
        return jax.vmap(of_one)(here, *more)
    alone = of_one(*jax.tree.map(lambda x: x[0], (here, *more)))
    return jax.tree.map(lambda x: jnp.asarray(x)[None], alone)


@partial(jax.jit, static_argnames=("task", "static"))
def begin(task, static, numbers, once, here, keys):
    """The program of all that a task makes, or of its training's state before the first step."""

    def of_one(values, key):
        return begun(called(task, static, numbers, values, key), key)

    return over_group(of_one, once, here, keys)


@cache
def advance():
    """The program of steps `first` to `last` (exclusive) of a training; it donates the state. It is
    made when first asked for, because its options depend on the backend."""

    def advance(task, static, numbers, once, here, keys, state, first, last):
        def of_one(values, key, state):
            made = called(task, static, numbers, values, key)
            return advanced(made, state, key, first, last)

        return over_group(of_one, once, here, keys, state)

    # Small matrix products on a CPU lose more to being split over threads than they gain.
    options = {"xla_cpu_multi_thread_eigen": False} if jax.default_backend() == "cpu" else None
    how: Any = {"static_argnames": ("task", "static"), "donate_argnames": "state"}
    return jax.jit(advance, compiler_options=options, **how)


@jax.jit
def end(state):
    """The program of what a training stands for, of its last state."""
    return over_group(lambda values: ended(*values), {}, [state])
