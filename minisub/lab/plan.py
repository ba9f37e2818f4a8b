"""What an experiment would make: its calls in order, what they cost, and whether they can be made.

Nothing is computed: shapes stand for values. What cannot be made is refused here, with the line of
the experiment that asks for it. What is traced for that is what then runs.
"""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from minisub.config import Refused, require
from minisub.lab import costs, run
from minisub.lab.products import line_of
from minisub.nets import fit


class Cost(NamedTuple):
    """The work of a call in one repeat: operations before its first step and in each step, how
    many steps there are, and how many in an epoch (0: no epochs)."""

    begin: float = 0.0
    step: float = 0.0
    steps: int = 0
    epoch: int = 0

    @property
    def flops(self):
        """Operations of all of it."""
        return self.begin + self.steps * self.step


class Plan:
    """Shapes and costs of the calls that experiments are made of, for repeats in groups of `group`.

    Raises `Refused` if one of the experiments, name -> products each, cannot be made.
    """

    def __init__(self, experiments, group=1):
        self.shapes, self.costs = {}, {}
        seen, everyone = set(), tuple(range(group))
        for named in experiments:
            for products in named.values():
                measures, recorded = run.measures_of(products), set()
                for wanted in (*run.tuple_of(products), *measures):
                    for product, repeats in calls(wanted, everyone, seen=seen):
                        self.shapes[product.digest, repeats] = self.try_call(product, repeats)
                for measure in measures:
                    made = self.shapes[measure.digest, repeats_of(measure, everyone)]
                    require_numbers(measure, made, recorded)

    def try_call(self, product, repeats):
        """The shapes of what a call makes; its cost is noted."""
        try:
            made, self.costs[product.digest] = self.trace(product, repeats)
            return made
        except Refused as refusal:
            said = str(refusal)
        except Exception as error:  # whatever a task says of what it is given
            said = as_sentence(error)
        raise Refused(f"{product.written}, in {product.task.__name__}: {said}")

    def trace(self, product, repeats):
        """The shapes of what a call makes, and its `Cost`."""
        shapes = [self.shapes[p.digest, repeats_of(p, repeats)] for p in product.inputs]
        values = [run.part(x, p.path) for x, p in zip(shapes, product.inputs, strict=True)]
        if product.mark("on_host"):
            return jax.eval_shape(partial(run.called_on_host, product, values)), Cost()
        n = max(len(repeats), 1)
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), n))
        arguments = run.program_arguments(product, values, keys)
        begun = run.begin.trace(*arguments)
        made, cost = shapes_of(begun), Cost(costs.flops(begun.jaxpr) / n)
        if isinstance(made, fit.State):
            advanced = run.advance().trace(*arguments, made, np.int32(0), np.int32(0))
            cost = Cost(cost.begin, costs.flops(advanced.jaxpr) / n, *length_of(*arguments))
            made = shapes_of(run.end.trace(made))
        if not repeats:  # is made as a group of one
            made = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), made)
        return made, cost


def require_numbers(measure, made, recorded):
    """Raise `Refused` unless records can hold what a measure returns beside what one name has
    `recorded`; `made` are its shapes."""
    shapes = jax.tree.map(lambda x: x.shape[1:], made)  # without the axis of repeats
    fits = isinstance(shapes, dict) and all(x in ((), shapes.get("step")) for x in shapes.values())
    require(
        shapes and fits,
        f"{measure.written}: a measure returns a dict of name -> scalar, or (rows,) with `step` "
        f"beside it, and `{measure.task.__name__}` returned shapes {shapes}; change that.",
    )
    twice = ", ".join(recorded.intersection(made) - {"step"})
    require(not twice, f"{measure.written}: {twice} is twice in one name; give others names.")
    recorded.update(made)


def as_sentence(error):
    """What an exception of a task says, as a sentence with a remedy."""
    said, where = str(error).strip().split("\n")[0].rstrip("."), line_of(error)
    if isinstance(error, jax.errors.ConcretizationTypeError):
        return f"{where}no number is known before the program runs; use no float(), int() or if."
    if isinstance(error, TypeError | ValueError) and "shape" in said and "scalar" not in said:
        remedy = "give it models of one architecture and documents of one world"
        return f"the arrays that it is given do not fit each other ({where}{said}); {remedy}."
    said = f"{where}{type(error).__name__}: {said}"
    return f"it cannot be made of what it is given ({said}); change that line."


def length_of(task, static, numbers, once, here, keys):
    """(steps, steps in an epoch) of a training; nothing is traced but what begins it."""
    fits = []

    def of_one(values, key):
        fits.append(run.called(task, static, numbers, values, key))

    jax.eval_shape(partial(run.over_group, of_one), once, here, keys)
    made = fits[0]
    epoch = made.batches.steps if made.batches else 0
    return int(made.training.steps), epoch if epoch < fit.ENDLESS else 0


def shapes_of(traced):
    """What a traced program returns, as shapes."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), traced.out_info)


def repeats_of(product, repeats):
    """The repeats in which a product is made that is wanted in `repeats`; () if once for all."""
    return () if product.place == "once" else repeats


def calls(product, repeats, known=lambda product, repeats: False, seen=None, inside=None):
    """Every (product, repeats) that a product is made of, inputs first, each once; and itself.

    A product that is `known` is left out. So are inputs of one that is not, if they are known
    `inside`: by another test, if one is given.
    """
    seen, inside = set() if seen is None else seen, inside or known
    repeats = repeats_of(product, repeats)
    call = product.digest, repeats
    if call not in seen and not known(product, repeats):
        seen.add(call)
        for p in product.inputs:
            yield from calls(p, repeats, inside, seen)
        yield product, repeats


def last_uses(pieces):
    """(digest, repeats) -> the index of the last of some pieces (see `perform`) made of it."""
    last, seen = {}, set()
    for i, piece in reversed([*enumerate(pieces)]):
        kept = [(piece.product, piece.repeats)] if piece.product else []
        for product, repeats in (*kept, *piece.measures):
            last |= {(p.digest, of): i for p, of in calls(product, repeats, seen=seen)}
    return last
