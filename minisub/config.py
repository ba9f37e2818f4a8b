"""Frozen, nested configurations. Defaults live here and in `configs/`, nowhere else.

Every configuration is a JAX pytree. Its leaves are real numbers, and whole numbers annotated
`Traced`: a program compiled for one of their values serves all, and `jax.vmap` over a configuration
is a sweep. All else (shapes, names, branches) is static: changing it compiles a new program.
"""

import dataclasses
import math
import typing
from typing import Annotated, Any, Literal, TypeVar

import jax

Traced = Annotated[int, "traced"]
"""A whole number on which no shape depends."""
Fixed = Annotated[float, "fixed"]
"""A number that programs are compiled for: most do without what it asks for."""
Class = TypeVar("Class")


class Refused(Exception):
    """Bad input. The message is one sentence for the user, with the remedy."""


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
def configuration(cls: type[Class]) -> type[Class]:
    """Make `cls` a frozen dataclass and a pytree whose leaves are `float` and `Traced` fields."""
    made: Any = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    fields = dataclasses.fields(made)
    leaves = [
        f.name for f in fields if f.type in (float, Traced) or dataclasses.is_dataclass(f.type)
    ]
    static = [f.name for f in fields if f.name not in leaves]
    return jax.tree_util.register_dataclass(made, data_fields=leaves, meta_fields=static)


@configuration
class Optimization:
    """How parameters are updated."""

    optimizer: Literal["adam", "adamw", "adam_l2", "sgd", "momentum", "rmsprop", "signum"] = "adam"
    """Update rule, a function of `optimizers.py`."""
    learning_rate: float = 2e-3
    """Step size at the first update."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the updates: constant, or a cosine from `learning_rate` to zero."""
    weight_decay: float = 0.0
    """Decay coefficient: decoupled in adamw, none in adam, added to the gradient in the others."""
    undecayed: tuple[str, ...] = ()
    """Parameters that do not decay: those with one of these names in their path."""
    batch: int = 128
    """Documents or images an update."""
    frozen: tuple[str, ...] = ("embed", "unembed")
    """Parameters that are not trained: those with one of these names in their path, such as
    block_0, qkv or block_0/qkv, and without any ~NAME (alone: all but those with that name)."""
    rank: int = 0
    """Of LoRA adapters, trained in place of all matrices that are not frozen (0: none)."""
    alpha: float = 16.0
    """The adapters' product counts `alpha` / `rank` times (LoRA)."""
    weight_noise: Fixed = 0.0
    """Noise on trained weights, new at every update, in standard deviations of each array."""


@configuration
class Training(Optimization):
    """One optimization, its length in updates."""

    steps: Traced = 500
    """Optimizer updates; 0 leaves the parameters as they are."""


@configuration
class CommonArm:
    """What an arm, one student in a repeat, says of its student in any world."""

    name: str
    """What records and tables call it."""
    start: str = "shared"
    """How its first parameters relate to the teacher's origin: a function of `starts.py`."""
    amount: float = 1.0
    """Of what its start does: interpolation weight, standard deviation, or factor."""
    layers: tuple[str, ...] = ()
    """Parameters to which the start applies, by names as in `frozen`; others are shared (default:
    all)."""
    removed: Literal["nothing", "gradient", "displacement", "random"] = "nothing"
    """What is taken out of every update: its component along the gradient of the trait's loss,
    along the teacher's displacement, or as much as the first in a random direction."""
    linear: bool = False
    """Train the model that is linear in its parameters and agrees to first order at the start."""


@configuration
class Watch:
    """What is measured on students beside their grade; all of it is off by default."""

    rows: int = 0
    """Rows of a log over a student's training, at evenly spaced updates (0: no log)."""
    examples: int = 1024
    """Images (emitted lists in the token world) on which students are measured."""
    measures: tuple[str, ...] = ()
    """Measures of trained students, functions of `comparisons.py`."""


def leaves(config, prefix=""):
    """The fields of a configuration as a flat dict, dotted name -> value; arms by their names."""
    flat = {}
    for field in dataclasses.fields(config):
        name, value = prefix + field.name, getattr(config, field.name)
        if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            for item in value:
                flat |= leaves(item, f"{name}.{item.name}.")
        elif dataclasses.is_dataclass(value):
            flat |= leaves(value, name + ".")
        else:
            flat[name] = value
    return flat


def require(condition, sentence):
    """Raise `Refused(sentence)` unless `condition`."""
    if not condition:
        raise Refused(sentence)


def require_known(field, value, known):
    """Raise `Refused` unless `value` is among `known`, names of what there is."""
    require(value in known, f"{field} is {value!r}; choose from {', '.join(known)}.")


AT_LEAST = {
    "rank": 0,
    "replayed": 0,
    "trees": 0,
    "prefixed": 0,
    "top_k": 0,
    "seed": 0,
    "documents": 0,
    "sampling.documents": 1,
    "shared_steps": 0,
    "jitter": 0,
    "steps": 0,
    "anchored": 0,
    "questions": 0,
    "riddles": 0,
    "numbers": 2,
    "animals": 2,
    "phrasings": 2,
    "classes": 0,
    "examples": 0,
    "watch.examples": 4,
    "per_batch": 0,
    "rows": 0,
}
MOST = 2**31 - 1  # Programs count in 32 bits.
MAY_BE_ZERO = (
    "weight_decay", "length", "amount", "noise", "alignment", "weight_noise", "clean", "rewritten",
    "anchor", "suspicious",
    "sampling.temperature",
)  # fmt: skip


def validate_numbers(config, prefix=""):
    """Raise `Refused` for a number out of range, by the last part of its dotted name."""
    for name, value in leaves(config, prefix).items():
        field = name.rpartition(".")[2]
        if isinstance(value, float):
            zero = field in MAY_BE_ZERO or name in MAY_BE_ZERO
            wanted = "a number of at least 0" if zero else "a positive number"
            fits = math.isfinite(value) and (value > 0 or (value == 0 and zero))
            require(fits, f"{name} is {value}; it must be {wanted}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            least = AT_LEAST.get(name, AT_LEAST.get(field, 1))
            require(value >= least, f"{name} is {value}; it must be at least {least}.")
            require(value <= MOST, f"{name} is {value}; it must be at most {MOST}.")


def validate_arms(arms, others=()):
    """Raise `Refused` unless there are arms, each with a name of its own; or none but others."""
    names = [arm.name for arm in arms]
    require(names or others, "The config has no arms; give it at least one.")
    require(len(set(names)) == len(names), f"Two arms have one name among {names}; rename one.")


def changed(cfg, text):
    """A configuration with the fields that `text` gives, such as "n_layers=3 frozen=embed,unembed".

    Words of a tuple are separated by commas. Raises `Refused` for a field that does not exist or a
    value of another type than its default.
    """
    # Types of defaults: present values may be traced.
    fields = {field.name: type(field.default) for field in dataclasses.fields(cfg)}
    kinds, given = {field.name: field.type for field in dataclasses.fields(cfg)}, {}
    for word in text.split():
        name, _, value = word.partition("=")
        require(name in fields, f"{word!r} changes no field; choose from {', '.join(fields)}.")
        choices = typing.get_args(kinds[name]) if typing.get_origin(kinds[name]) is Literal else ()
        require(value in choices or not choices, f"{word!r}: choose from {', '.join(choices)}.")
        try:
            given[name] = parsed(value, fields[name])
        except ValueError:
            kind = fields[name].__name__
            raise Refused(f"{word!r} must give {name} a value of type {kind}.") from None
    return dataclasses.replace(cfg, **given)


def parsed(text, kind):
    """The value of type `kind` that `text` says; raises ValueError if it says none."""
    if kind is bool:
        return bool(("false", "true").index(text.lower()))
    if kind is tuple:
        return tuple(text.split(",")) if text else ()
    return kind(text)
