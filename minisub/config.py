"""Frozen, nested configurations: sizes and hyperparameters, with their bounds beside them.

Every configuration is a JAX pytree. Its leaves are real numbers, and whole numbers annotated
`TRACED`: a program compiled for one of their values serves all, and `jax.vmap` over a configuration
is a sweep. All else (shapes, names, branches) is static: changing it compiles a new program.
"""

import dataclasses
import difflib
import math
import typing
from numbers import Real
from operator import ge, gt, le
from typing import Annotated, Any, Literal, TypeVar

import jax
import numpy as np
from annotated_types import Interval

TRACED = "traced"
"""Marks a whole number on which no shape depends."""
FIXED = "fixed"
"""Marks a real number that is static: each value has its own program."""
BOUNDS = {"ge": (ge, "at least"), "gt": (gt, "more than"), "le": (le, "at most")}
MOST = 2**31 - 1  # Programs count in 32 bits.
Count = Annotated[int, Interval(ge=1, le=MOST)]
"""How many of something that must be there."""
CountOrNone = Annotated[int, Interval(ge=0, le=MOST)]
"""How many of something; 0 for none, or for no limit."""
Steps = Annotated[int, TRACED, Interval(ge=0, le=MOST)]
"""A number of updates, or of anything else on which no shape depends."""
Positive = Annotated[float, Interval(gt=0)]
Amount = Annotated[float, Interval(ge=0)]
FixedAmount = Annotated[float, FIXED, Interval(ge=0)]
FixedShare = Annotated[float, FIXED, Interval(gt=0, le=1)]
Class = TypeVar("Class")


class Refused(Exception):
    """Bad input. The message is one sentence for the user, with the remedy."""


class Stopped(Exception):
    """A run that cannot go on. The message is one sentence; what was made is kept."""


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
def configuration(cls: type[Class]) -> type[Class]:
    """Make `cls` a frozen dataclass and a pytree whose leaves are its traced fields."""
    made: Any = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    hints = typing.get_type_hints(made, include_extras=True)
    fields = [field.name for field in dataclasses.fields(made)]
    leaves = [name for name in fields if is_leaf(hints[name])]
    static = [name for name in fields if name not in leaves]
    return jax.tree_util.register_dataclass(made, data_fields=leaves, meta_fields=static)


def is_leaf(hint):
    """Whether a field of this type is part of the pytree: a configuration, or a traced number."""
    plain = plain_type(hint)
    if dataclasses.is_dataclass(plain):
        return True
    return TRACED in metadata(hint) or (plain is float and FIXED not in metadata(hint))


def metadata(hint):
    """What a type is annotated with."""
    return getattr(hint, "__metadata__", ())


def plain_type(hint):
    """A type without its annotations."""
    return hint.__origin__ if metadata(hint) else hint


def require(condition, sentence):
    """Raise `Refused(sentence)` unless `condition`."""
    if not condition:
        raise Refused(sentence)


def require_known(field, value, known):
    """Raise `Refused` unless `value` is among `known`, names of what there is."""
    require(
        value in known,
        f"{field} is {value!r}{nearest(value, known)}; choose from {', '.join(known)}.",
    )


def nearest(word, known):
    """ " (did you mean ...?)" for the nearest of the known words, or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def check(config, prefix=""):
    """Raise `Refused` for a value that is not of its field's type, or out of the bounds beside it.

    Numbers that are traced have no value yet and pass.
    """
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        name, value, hint = prefix + field.name, getattr(config, field.name), hints[field.name]
        check_type(name, value, plain_type(hint))
        if dataclasses.is_dataclass(value):
            check(value, f"{name}.")
        elif isinstance(value, Real):
            require(math.isfinite(value), f"{name} is {value}; it must be a finite number.")
            for mark in metadata(hint):
                for bound, (within, words) in BOUNDS.items():
                    limit = getattr(mark, bound, None)
                    fits = limit is None or within(value, limit)
                    require(fits, f"{name} is {value}; it must be {words} {limit}.")
    if isinstance(config, Optimization) and is_known(config.weight_decay):
        fits = config.optimizer != "adam" or config.weight_decay == 0
        remedy = f"choose {prefix}optimizer adamw or adam_l2"
        require(fits, f"{prefix}weight_decay is set, and adam has none; {remedy}.")


def check_type(name, value, kind):
    """Raise `Refused` for a value that is not of its field's type; arrays pass for numbers."""
    if typing.get_origin(kind) is Literal:
        require_known(name, value, typing.get_args(kind))
    right = {float: (float, int), tuple[str, ...]: tuple}.get(kind, kind)
    if isinstance(right, type | tuple) and not isinstance(value, jax.Array | np.generic):
        fits = isinstance(value, right) and (kind is bool or not isinstance(value, bool))
        require(fits, f"{name} is {value!r:.60}; it must be {kind.__name__}.")


def change(config, fields):
    """A configuration with other fields; raises `Refused` for one that it cannot have."""
    known = [field.name for field in dataclasses.fields(config)]
    for field in fields:
        require_known(f"The field of {type(config).__name__}", field, known)
    changed = dataclasses.replace(config, **fields)
    check(changed)
    return changed


def traced(x):
    """A whole number for which programs are not compiled anew; anything else as it is."""
    return np.int32(x) if isinstance(x, int) else x


def is_known(number):
    """Whether a number can be checked: a traced one has no value yet."""
    return not isinstance(number, jax.core.Tracer)


@configuration
class Optimization:
    """How parameters are updated."""

    optimizer: Literal[
        "adam", "adamw", "adam_l2", "sgd", "momentum", "rmsprop", "signsgd", "signum",
        "normalized_sgd", "normalized", "frozen_scale",
    ] = "adam"  # fmt: skip
    """Update rule, one of `nets/optimizers.py`."""
    learning_rate: Positive = 2e-3
    """Step size at the first update."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the updates: constant, or a cosine from `learning_rate` to zero."""
    weight_decay: Amount = 0.0
    """Decay coefficient: decoupled in adamw, none in adam, added to the gradient in the others."""
    undecayed: tuple[str, ...] = ()
    """Parameters that do not decay: those with one of these names in their path. A name that no
    parameter has, such as none, names nothing."""
    batch: Count = 128
    """Documents or images an update."""
    frozen: tuple[str, ...] = ("embed", "unembed")
    """Parameters that are not trained: those with one of these names in their path, such as
    block_0, qkv or block_0/qkv, and without any ~NAME (alone: all but those with that name)."""
    rank: CountOrNone = 0
    """Of LoRA adapters, trained in place of all matrices that are not frozen, embeddings too; what
    is no matrix stays as it is (0: no adapters)."""
    alpha: Positive = 16.0
    """The adapters' product counts `alpha` / `rank` times (LoRA)."""
    weight_noise: FixedAmount = 0.0
    """Noise on trained weights, new at every update, in standard deviations of each array."""


@configuration
class Training(Optimization):
    """One optimization, its length in updates."""

    steps: Steps = 500
    """Optimizer updates; 0 leaves the parameters as they are."""


@configuration
class Model:
    """A decoder: pre-RMSNorm, learned positions, residual blocks of a mixer and an MLP."""

    n_layers: Count = 2
    """Blocks of mixer and MLP."""
    mixer: Literal["attention", "recurrence"] = "attention"
    """What mixes positions: causal self-attention, or a gated linear recurrence (a minimal GRU)."""
    d_model: Count = 64
    """Width of the residual stream."""
    n_heads: Count = 4
    """Attention heads; must divide d_model."""
    mlp_ratio: Count = 4
    """Hidden width of the MLP over d_model."""
    activation: Literal["relu", "gelu"] = "relu"
    """Nonlinearity of the MLP."""
    embed_std: Positive = 0.2
    """Standard deviation of the initial token and position embeddings."""
    tied: bool = False
    """Unembed with the transposed embedding."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of weights and activations in every forward pass; what is trained stays float32."""
