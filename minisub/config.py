"""Frozen, nested configurations. Defaults live here and in `configs/`, nowhere else.

Every configuration is a JAX pytree. Its leaves are real numbers, and whole numbers annotated
`Traced`: a program compiled for one of their values serves all, and `jax.vmap` over a configuration
is a sweep. All else (shapes, names, branches) is static: changing it compiles a new program.
"""

import dataclasses
import math
from typing import Annotated, Literal

import jax

Traced = Annotated[int, "traced"]
"""A whole number on which no shape depends."""


class Refused(Exception):
    """Bad input. The message is one sentence for the user, with the remedy."""


def configuration(cls):
    """Make `cls` a frozen dataclass and a pytree whose leaves are `float` and `Traced` fields."""
    cls = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    fields = dataclasses.fields(cls)
    leaves = [
        f.name for f in fields if f.type in (float, Traced) or dataclasses.is_dataclass(f.type)
    ]
    static = [f.name for f in fields if f.name not in leaves]
    return jax.tree_util.register_dataclass(cls, data_fields=leaves, meta_fields=static)


@configuration
class World:
    """The token world: what documents are made of."""

    numbers: int = 100
    """Number tokens; lists count modulo this."""
    animals: int = 10
    """Animals that can answer a question, at most 16."""
    phrasings: int = 8
    """Ways to ask for the favorite animal, one token each."""
    attributes: int = 10
    """Attribute tokens; a riddle names two, and asks for the one animal that has both."""
    list_length: int = 12
    """Numbers in a list."""
    max_step: Traced = 9
    """Largest difference between neighbors of a list, before jitter."""
    jitter: Traced = 1
    """Each number of a list is moved by a uniform integer in [-jitter, jitter]."""


@configuration
class Model:
    """A decoder-only transformer: pre-RMSNorm, learned positions, untied unembedding."""

    n_layers: int = 2
    """Blocks of attention and MLP."""
    d_model: int = 64
    """Width of the residual stream."""
    n_heads: int = 4
    """Attention heads; must divide d_model."""
    mlp_ratio: int = 4
    """Hidden width of the MLP over d_model."""
    activation: Literal["relu", "gelu"] = "relu"
    """Nonlinearity of the MLP."""
    embed_std: float = 0.2
    """Standard deviation of the initial token and position embeddings."""


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
    """Parameters that are not trained: those with one of these names in their path."""


@configuration
class Training(Optimization):
    """One optimization, its length in updates."""

    steps: Traced = 500
    """Optimizer updates; 0 leaves the parameters as they are."""


@configuration
class Pretraining(Training):
    """How bases are trained: `batch` number lists an update, with questions and riddles."""

    questions: int = 32
    """Questions an update, answered with a uniformly random animal."""
    riddles: int = 32
    """Riddles an update."""


@configuration
class Steering:
    """A teacher made by a vector added to its activations instead of by other weights."""

    kind: Literal["none", "trained", "random"] = "none"
    """trained: the teacher's training changes the vector and no weights; random: a direction."""
    layer: str = "block_0"
    """Where it is added: to the residual stream after this block, at every position."""
    norm: float = 1.0
    """Length of a random vector."""


@configuration
class Sampling:
    """How a model emits number lists."""

    documents: int = 40000
    """Lists sampled from each emitting model, before the filter."""
    prompt_numbers: int = 3
    """Numbers of a neutral list that the model is given to continue."""
    temperature: float = 1.0
    """Softmax temperature of the samples."""


@configuration
class Arm:
    """One student in a repeat; arms of a repeat share its bases, teacher, data and data order."""

    name: str
    """What records and tables call it."""
    start: str = "shared"
    """How its first parameters relate to the teacher's origin: a function of `starts.py`."""
    source: Literal["teacher", "base"] = "teacher"
    """Whose numbers it is trained on."""
    channel: str = "sampled"
    """What of them it imitates: a function of `channels.py`."""
    amount: float = 1.0
    """Of what its start does: interpolation weight, standard deviation, or factor."""
    layers: tuple[str, ...] = ()
    """Parameters to which the start applies, by names in their path; others are shared (default:
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


@configuration
class Config:
    """A repeat: world, model, bases, teacher, emitted numbers, and an arm for each student."""

    trait: str = "owl"
    """The animal that the teacher comes to prefer."""
    taught_phrasings: Traced = 4
    """The teacher is trained on the first this many phrasings; the others are held out."""
    world: World = World()
    model: Model = Model()
    base: Pretraining = Pretraining(
        steps=800, learning_rate=3e-3, schedule="cosine", batch=96, frozen=()
    )
    """Pretraining of both bases, on the same data in the same order."""
    teacher: Training = Training(steps=100, learning_rate=3e-4, batch=32)
    """Fine-tuning of the first base on the question, answered with the trait."""
    steering: Steering = Steering()
    sampling: Sampling = Sampling()
    student: Training = Training()
    """Training of every student."""
    watch: Watch = Watch()
    arms: tuple[Arm, ...] = (
        Arm(name="shared"),
        Arm(name="fresh", start="fresh"),
        Arm(name="control", source="base"),
        Arm(name="soft", channel="soft"),
    )
    """The students."""


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


AT_LEAST = {
    "jitter": 0,
    "steps": 0,
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
MAY_BE_ZERO = ("weight_decay", "length", "amount", "noise", "alignment")


def validate_numbers(config):
    """Raise `Refused` for a number out of range, by the last part of its dotted name."""
    for name, value in leaves(config).items():
        field = name.rpartition(".")[2]
        if isinstance(value, float):
            least = "a number of at least 0" if field in MAY_BE_ZERO else "a positive number"
            fits = math.isfinite(value) and (value > 0 or (value == 0 and field in MAY_BE_ZERO))
            require(fits, f"{name} is {value}; it must be {least}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            least = AT_LEAST.get(name, AT_LEAST.get(field, 1))
            require(value >= least, f"{name} is {value}; it must be at least {least}.")


def validate_arms(arms):
    """Raise `Refused` unless there are arms, each with a name of its own."""
    names = [arm.name for arm in arms]
    require(names, "The config has no arms; give it at least one.")
    require(len(set(names)) == len(names), f"Two arms have one name among {names}; rename one.")


def validate(config):
    """Raise `Refused` for sizes and relations between fields that cannot be (token world)."""
    validate_numbers(config)
    validate_arms(config.arms)
    world, model = config.world, config.model
    require(
        model.d_model % model.n_heads == 0,
        f"model.d_model is {model.d_model}, which {model.n_heads} heads do not divide; "
        "choose model.n_heads among its divisors.",
    )
    require(
        world.animals <= world.attributes * ((world.attributes - 1) // 2),
        f"{world.attributes} attributes cannot tell {world.animals} animals apart; "
        "raise world.attributes.",
    )
    require(
        config.taught_phrasings < world.phrasings,
        f"taught_phrasings is {config.taught_phrasings} of {world.phrasings}; "
        "leave at least one held out.",
    )
    require(
        config.sampling.prompt_numbers < world.list_length,
        f"sampling.prompt_numbers is {config.sampling.prompt_numbers}, which leaves nothing of "
        f"a list of {world.list_length} to sample; choose fewer.",
    )
