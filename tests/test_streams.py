"""No random key is used for two things, in any task of any experiment."""

from pathlib import Path

import jax
import pytest
import streams

from minisub import arguments, experiments
from minisub.lab import plan, run


def test_the_walk_finds_keys_that_are_used_twice_and_no_others():
    def drawn(key):
        return jax.random.bits(key)

    def folded_and_split(key):
        one, *_ = jax.random.split(key, 3)
        return jax.random.bits(one) + jax.random.bits(jax.random.fold_in(key, 2))

    def in_a_loop(key):
        return jax.lax.fori_loop(0, 3, lambda i, x: x + jax.random.bits(key), jax.numpy.uint32(0))

    good = [
        drawn,
        lambda key: jax.random.normal(key) + jax.random.normal(jax.random.fold_in(key, 2**30)),
        lambda key: sum(map(drawn, jax.random.split(key, 3))),
        lambda key: jax.lax.map(lambda i: drawn(jax.random.fold_in(key, i)), jax.numpy.arange(4)),
        lambda key: jax.vmap(drawn)(jax.random.split(key, 4)),
    ]
    bad = [
        lambda key: drawn(key) + drawn(key),
        lambda key: drawn(key) + drawn(jax.random.fold_in(key, 1)),
        lambda key: drawn(key) + sum(map(drawn, jax.random.split(key))),
        lambda key: sum(map(drawn, (*jax.random.split(key), *jax.random.split(key, 3)))),
        folded_and_split,
        in_a_loop,
    ]
    key = jax.random.key(0)
    assert [list(streams.uses_of(f, key).faults()) for f in good] == [[]] * len(good)
    assert all(list(streams.uses_of(f, key).faults()) for f in bad)


FEW = "numbers", "digits", "detection"
CONFIGS = sorted(path.stem for path in (Path(__file__).parent.parent / "configs").glob("[!_]*.py"))


@pytest.mark.parametrize(
    "name", [*FEW, *(pytest.param(x, marks=pytest.mark.slow) for x in CONFIGS if x not in FEW)]
)
def test_no_task_uses_a_key_twice(name):
    module = arguments.load(name)
    with experiments.precision(module):
        check_keys(module.experiment(module.config))


def check_keys(named):
    """That no task of an experiment uses a key twice."""
    planned, seen, faults, tasks = plan.Plan([named]), set(), {}, set()
    wanted = [
        p for ps in named.values() for x in run.tuple_of(ps) for p in (x, *run.measures_of(x))
    ]
    for product, _ in (call for p in wanted for call in plan.calls(p, (0,), seen=seen)):
        inputs, numbers, static = run.split(product)
        if product.mark("on_host") or (product.task, static) in tasks:
            continue
        tasks.add((product.task, static))
        shapes = [
            run.part(planned.shapes[p.digest, plan.repeats_of(p, (0,))], p.path) for p in inputs
        ]
        values = [
            x if p.place == "once" else jax.tree.map(lambda s: s.update(shape=s.shape[1:]), x)
            for p, x in zip(inputs, shapes, strict=True)
        ]

        def once(key, values, numbers, product=product, static=static):
            made = run.called(product.task, static, numbers, values, key)
            if not isinstance(made, run.fit.Fit):
                return made
            state = run.begun(made, key)
            return run.ended(run.advanced(made, state, key, 0, made.training.steps))

        key = jax.eval_shape(lambda: jax.random.key(0))
        found = list(streams.uses_of(once, key, values, numbers).faults())
        if found:
            faults[str(product)] = found
    assert not faults
