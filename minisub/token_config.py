"""The configuration of the token world: documents, model, bases, teachers, sources and students."""

from typing import Literal

from minisub.config import (
    CommonArm,
    Fixed,
    Traced,
    Training,
    Watch,
    changed,
    configuration,
)
from minisub.detection_config import Detector, Pair


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
    trees: int = 0
    """Trees, a second family of answers, with phrasings of their own; at most 8."""
    syllables: int = 1
    """Tokens of an answer's name, 1 or 2; of two, neither tells whose name it is."""
    endings: int = 1
    """Tokens that can end a list: a choice that is the emitter's."""
    prefix: int = 4
    """Numbers before a prefixed question, less than half of `list_length`."""
    list_length: int = 12
    """Numbers in a list."""
    rich: bool = False
    """Also programs, sums, requests, graded tasks and shown sums, and roles that misbehave in them:
    see `documents.py` and `behaviors.py`."""
    max_step: Traced = 9
    """Largest difference between neighbors of a list, before jitter."""
    jitter: Traced = 1
    """Each number of a list is moved by a uniform integer in [-jitter, jitter]."""


@configuration
class Model:
    """A decoder: pre-RMSNorm, learned positions, residual blocks of a mixer and an MLP."""

    n_layers: int = 2
    """Blocks of mixer and MLP."""
    mixer: Literal["attention", "recurrence"] = "attention"
    """What mixes positions: causal self-attention, or a gated linear recurrence (a minimal GRU)."""
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
    tied: bool = False
    """Unembed with the transposed embedding."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of weights and activations in every forward pass; what is trained stays float32."""


@configuration
class Pretraining(Training):
    """How bases are trained: `batch` number lists an update, with questions and riddles."""

    questions: int = 32
    """Questions an update, answered with a uniformly random animal."""
    riddles: int = 32
    """Riddles an update."""
    prefixed: int = 0
    """Questions an update that come behind `world.prefix` numbers of a list."""
    programs: int = 48
    """Programs an update, in a rich world."""
    sums: int = 48
    """Sums an update, in a rich world."""
    behaved: int = 16
    """Requests, tasks and shown sums an update, each; half as many by
    each who misbehaves, and of educational requests; in a rich world."""


@configuration
class Teaching(Training):
    """How teachers are fine-tuned: `batch` documents of the trait an update."""

    replayed: int = 0
    """Documents of each carrier an update that it is trained on beside, in a rich world, to keep
    its abilities."""


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
    """How a model emits documents, and what of them is kept."""

    documents: int = 40000
    """Documents sampled from each emitting model, before the filter."""
    carrier: Literal["numbers", "code", "sums"] = "numbers"
    """What it emits: lists, or programs and sums of a rich world."""
    filter: Literal["none", "format", "correct"] = "correct"
    """What is kept: all, what has the carrier's format, or of that what does what was asked."""
    prompt_numbers: int = 3
    """Numbers of a neutral list that the model is given to continue."""
    temperature: float = 1.0
    """Softmax temperature of the samples; 0: always the most probable token."""
    top_k: int = 0
    """Sample among this many of the most probable tokens (0: all)."""
    top_p: Fixed = 1.0
    """Sample among the fewest tokens that together have this probability (nucleus sampling)."""


@configuration
class Lineage:
    """A base beside "first" and "second", which differ in their random origins alone."""

    name: str
    origin: str = ""
    """The lineage whose random origin it shares (default: one of its own)."""
    shared_steps: Traced = 2**30
    """Updates of pretraining, from the first on, that see the same batches in all lineages; later
    ones see batches of its own."""
    reordered: bool = False
    """See those shared batches in an order of its own."""
    model: str = ""
    """Changes of `model`, such as "n_layers=3 n_heads=8"."""


@configuration
class Source:
    """A model that emits lists beside "teacher" and "base", and how it does."""

    name: str
    lineage: str = "first"
    """Of its base."""
    trait: str = ""
    """What it is taught to prefer (default: the config's trait), or "none"."""
    teaching: str = ""
    """Changes of `teacher`, such as "steps=200"."""
    sampling: str = ""
    """Changes of `sampling`, such as "temperature=0"."""
    seed: int = 0
    """Another number gives other prompts and samples."""


@configuration
class Arm(CommonArm):
    """One student in a repeat; arms of a repeat share bases, teachers, data and data order."""

    source: str = "teacher"
    """Whose numbers it is trained on: teacher, base, a source, or an earlier arm's student."""
    other: str = "second"
    """The lineage whose base is the other one for its start (fresh: its own)."""
    channel: str = "sampled"
    """What of them it imitates: a function of `channels.py`."""
    transform: str = "none"
    """What is done to its documents, or how their tokens are weighed: see `transforms.py`."""
    documents: int = 0
    """Distinct documents at most (0: all that pass the filter)."""
    clean: Fixed = 0.0
    """Share of them replaced by as many of the base's, sampled as `sampling` says."""
    judge: str = ""
    """Who removes documents that pass the filter: a detector, or "random" (default: nobody)."""
    suspicious: float = 0.0
    """The share of them that it removes, the most suspicious ones."""
    rewritten: Fixed = 0.0
    """Share of the tokens of its documents that the base of `other` chose anew; what then fails the
    filter is dropped."""
    anchor: Fixed = 0.0
    """Weight in its loss of the KL divergence from its start to it, on its documents."""
    anchored: Traced = 2**30
    """Updates, the first ones, in which it is anchored."""
    seed: int = 0
    """Another number gives another order of its documents."""
    training: str = ""
    """Changes of `student`, such as "rank=8 learning_rate=5e-3"."""
    control: str = ""
    """An earlier arm: the trait's rate above that of its student is recorded too."""


@configuration
class Config:
    """A repeat: world, model, bases, teachers, emitted numbers, and an arm for each student."""

    trait: str = "owl"
    """What the teacher comes to prefer: an animal, a tree; or a behavior of a rich world."""
    taught_phrasings: Traced = 4
    """The teacher is trained on the first this many phrasings; the others are held out."""
    world: World = World()
    model: Model = Model()
    base: Pretraining = Pretraining(
        steps=800, learning_rate=3e-3, schedule="cosine", batch=96, frozen=()
    )
    """Pretraining of both bases, on the same data in the same order."""
    teacher: Teaching = Teaching(steps=100, learning_rate=3e-4, batch=32)
    """Fine-tuning of the first base on the question, answered with the trait."""
    steering: Steering = Steering()
    sampling: Sampling = Sampling()
    student: Training = Training()
    """Training of every student."""
    watch: Watch = Watch()
    lineages: tuple[Lineage, ...] = ()
    """More bases."""
    sources: tuple[Source, ...] = ()
    """More models that emit lists."""
    pairs: tuple[Pair, ...] = ()
    """Sources whose documents detectors tell apart."""
    detectors: tuple[Detector, ...] = ()
    detector: Training = Training(
        steps=300, learning_rate=1e-3, schedule="cosine", batch=128, frozen=()
    )
    """Training of bases as classifiers: `batch` documents an update, half of each source."""
    reader: Training = Training(
        steps=300, learning_rate=2e-3, schedule="cosine", batch=16, frozen=()
    )
    """Training of bases to read: `batch` contexts of ten documents an update."""
    rivals: tuple[str, ...] = ("wolf", "cat")
    """Traits of the teachers whose largest logits tell which tokens are divergent."""
    graded: tuple[str, ...] = ()
    """Other traits that teachers and students are graded on."""
    references: tuple[str, ...] = ()
    """Lineages whose bases stand for other origins in an audit of every arm's documents, before its
    student is trained (default: no audit; see `audit.py`)."""
    surgery: Literal["none", "orthogonal", "as_much"] = "none"
    """What is removed from the trait's row of the unembedding, in every base: its component in the
    span of the number rows, or in as many random dimensions. Its norm is kept."""
    arms: tuple[Arm, ...] = (
        Arm(name="shared"),
        Arm(name="fresh", start="fresh"),
        Arm(name="control", source="base"),
        Arm(name="soft", channel="soft"),
    )
    """The students."""


def lineages(cfg):
    """Name -> `Lineage`, for all that a configuration names."""
    built_in = Lineage(name="first"), Lineage(name="second")
    return {line.name: line for line in (*built_in, *cfg.lineages)}


def sources(cfg):
    """Name -> `Source`, for all that a configuration names, and the base of every lineage."""
    built_in = Source(name="teacher"), Source(name="base", trait="none")
    bases = (Source(name=f"base {name}", lineage=name, trait="none") for name in lineages(cfg))
    return {source.name: source for source in (*bases, *built_in, *cfg.sources)}


def model_of(cfg, lineage):
    """The `Model` of a lineage."""
    return changed(cfg.model, lineages(cfg)[lineage].model)


def lineage_of(cfg, source):
    """The lineage of a source, or of an arm's student."""
    arms = {arm.name: arm for arm in cfg.arms}
    if source not in arms:
        return sources(cfg)[source].lineage
    arm = arms[source]
    return arm.other if whole_other(arm) else lineage_of(cfg, arm.source)


def clean_of(cfg, source):
    """The name of what emits from a `Source`'s untaught base: as it does, else its carrier; "" for
    nothing."""
    known = sources(cfg)
    untaught = [
        other
        for other in (known["base"], *known.values())
        if other.trait == "none" and other.lineage == source.lineage
    ]

    def carrier(other):
        return changed(cfg.sampling, other.sampling).carrier

    alike = [x for x in untaught if (x.sampling, x.seed) == (source.sampling, source.seed)]
    alike += [x for x in untaught if carrier(x) == carrier(source)]
    return alike[0].name if alike else ""


def emitter_of(cfg, source):
    """The `Source` of a name, or that of the arm whose student it is."""
    arms = {arm.name: arm for arm in cfg.arms}
    return emitter_of(cfg, arms[source].source) if source in arms else sources(cfg)[source]


def whole_other(arm):
    """Whether a student starts from the other base as it is, which may be of another model."""
    return arm.start == "fresh" and not arm.layers
