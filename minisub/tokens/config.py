"""The configuration of the token world: documents, model, trainings and sampling."""

import dataclasses
from typing import Annotated, Literal

from annotated_types import Interval

from minisub.config import (
    MOST,
    TRACED,
    Amount,
    Count,
    CountOrNone,
    FixedShare,
    Model,
    Steps,
    Training,
    configuration,
    require,
)

AtLeastTwo = Annotated[int, Interval(ge=2, le=MOST)]


@configuration
class World:
    """The token world: what documents are made of."""

    numbers: AtLeastTwo = 100
    """Number tokens; lists count modulo this."""
    animals: Annotated[int, Interval(ge=2, le=16)] = 10
    """Animals that can answer a question."""
    phrasings: AtLeastTwo = 8
    """Ways to ask for the favorite animal, one token each."""
    attributes: Count = 10
    """Attribute tokens; a riddle names two, and asks for the one animal that has both."""
    trees: Annotated[int, Interval(ge=0, le=8)] = 0
    """Trees, a second family of answers, with phrasings of their own."""
    syllables: Annotated[int, Interval(ge=1, le=2)] = 1
    """Tokens of an answer's name; of two, neither tells whose name it is."""
    endings: Count = 1
    """Tokens that can end a list: a choice that is the emitter's."""
    list_length: Count = 12
    """Numbers in a list."""
    rich: bool = False
    """Also programs, sums, requests, graded tasks and shown sums, and roles that misbehave in them:
    see `behaviors/`, whose `config.Rich` has more to say."""
    max_step: Annotated[int, TRACED, Interval(ge=1, le=MOST)] = 9
    """Largest difference between neighbors of a list, before jitter."""
    jitter: Steps = 1
    """Each number of a list is moved by a uniform integer in [-jitter, jitter]."""


@configuration
class Pretraining(Training):
    """How bases are trained: `batch` number lists an update, with questions and riddles."""

    questions: CountOrNone = 32
    """Questions an update, answered with a uniformly random animal."""
    riddles: CountOrNone = 32
    """Riddles an update."""


@configuration
class Sampling:
    """How a model emits documents, and what of them is kept."""

    documents: Count = 40000
    """Documents sampled from each emitting model, before the filter."""
    carrier: Literal["numbers", "code", "sums"] = "numbers"
    """What it emits: lists, or programs and sums of a rich world."""
    filter: Literal["none", "format", "correct"] = "correct"
    """What is kept: all, what has the carrier's format, or of that what does what was asked."""
    prompts: Literal["all", "first half", "second half"] = "all"
    """Which prompts it is given: all, or those of one half, told by a hash of their tokens, so that
    what is learned from one half can be judged on prompts that are not in it."""
    prompt_numbers: Count = 3
    """Numbers of a neutral list that the model is given to continue."""
    temperature: Amount = 1.0
    """Softmax temperature of the samples; 0: always the most probable token."""
    top_k: CountOrNone = 0
    """Sample among this many of the most probable tokens (0: all)."""
    top_p: FixedShare = 1.0
    """Sample among the fewest tokens that together have this probability (nucleus sampling)."""


@configuration
class Config:
    """Sizes and hyperparameters of an experiment in the token world."""

    trait: str = "owl"
    """What teachers come to prefer: an animal, a tree; or a behavior of a rich world."""
    taught_phrasings: Annotated[int, TRACED, Interval(ge=1, le=MOST)] = 4
    """Teachers are trained on the first this many phrasings; the others are held out."""
    world: World = World()
    model: Model = Model()
    base: Pretraining = Pretraining(
        steps=800, learning_rate=3e-3, schedule="cosine", batch=96, frozen=()
    )
    """Pretraining of bases."""
    teacher: Training = Training(steps=100, learning_rate=3e-4, batch=32)
    """Fine-tuning of a base on the question, answered with the trait."""
    sampling: Sampling = Sampling()
    student: Training = Training()


@configuration
class Ablation(Config):
    """The size of most ablations."""

    base: Pretraining = dataclasses.replace(Config().base, steps=500)
    sampling: Sampling = Sampling(documents=10000)
    student: Training = Training(steps=200)


def check_world(world):
    """Raise `Refused` for a world that cannot be."""
    require(
        4 + world.syllables <= world.list_length + 1,
        f"A riddle takes {4 + world.syllables} positions, and a list of {world.list_length} "
        f"gives {world.list_length + 1}; raise world.list_length.",
    )
    answers = world.animals + world.trees
    require(
        answers <= world.attributes * ((world.attributes - 1) // 2),
        f"{world.attributes} attributes cannot tell {answers} animals and trees apart; "
        "raise world.attributes.",
    )
    require(world.trees != 1, "world.trees is 1, with no other to compare it with; give 0 or 2.")


def check_model(model):
    """Raise `Refused` for a model that cannot be."""
    require(
        model.d_model % model.n_heads == 0 or model.mixer != "attention",
        f"model.d_model is {model.d_model}, which {model.n_heads} heads do not divide; "
        "choose model.n_heads among its divisors.",
    )


def check_sampling(world, sampling):
    """Raise `Refused` for a sampling that this world does not have."""
    require(
        sampling.prompt_numbers < world.list_length,
        f"sampling.prompt_numbers is {sampling.prompt_numbers}, which leaves nothing of a list of "
        f"{world.list_length} to sample; choose fewer.",
    )
