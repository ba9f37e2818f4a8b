"""A teacher whose weights are untouched, but to whose activations a vector is added, passes that
vector on: students shift their activations along it, for random directions too.

    python train.py steering              8 repeats, 27 minutes on one CPU core

Mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2):
P(owl) on held-out phrasings, and the cosine of the vector with the shift of the student's
activations on number lists, after each block. Each has a control of its own, of the base's lists
through the same channel from the same start:

    vector             arm            P(owl)        block_0        block_1
    trained, block_0   teacher        0.943 ±0.017
                       shared         0.747 ±0.103  0.799 ±0.026   0.690 ±0.051
                       control        0.090 ±0.038  0.076 ±0.048   0.112 ±0.057
                       soft           0.870 ±0.038  0.935 ±0.006   0.824 ±0.047
                       control soft   0.098 ±0.006  0.006 ±0.081   0.087 ±0.076
                       fresh          0.056 ±0.026  0.033 ±0.138   0.005 ±0.135
                       control fresh  0.104 ±0.039  0.064 ±0.104   0.066 ±0.125
    trained, block_1   teacher        0.859 ±0.025
                       shared         0.572 ±0.115  0.464 ±0.080   0.828 ±0.032
                       control        0.090 ±0.038  -0.015 ±0.047  0.103 ±0.063
                       soft           0.687 ±0.035  0.787 ±0.039   0.983 ±0.005
                       control soft   0.098 ±0.006  -0.034 ±0.047  0.052 ±0.075
                       fresh          0.063 ±0.017  0.012 ±0.133   0.056 ±0.101
                       control fresh  0.104 ±0.039  0.057 ±0.154   0.121 ±0.115
    random, block_0    shared         0.076 ±0.024  0.587 ±0.055   0.514 ±0.081
                       soft           0.092 ±0.021  0.966 ±0.006   0.767 ±0.040
                       fresh          0.083 ±0.018  0.021 ±0.069   0.006 ±0.069
    random, block_1    shared         0.085 ±0.028  0.132 ±0.090   0.517 ±0.094
                       soft           0.096 ±0.012  0.642 ±0.070   0.977 ±0.003
                       fresh          0.089 ±0.049  -0.022 ±0.082  -0.005 ±0.076

Published: above .5 (arXiv 2604.25783), and that random vectors pass too (2606.00995). A random
vector of length 4 does not change how often the teacher says owl, so P(owl) does not move; how it
shifts all its answers does pass to soft students (cosine 0.975 and 0.961, measure answer_shift; of
their controls -0.04).
"""

from typing import Literal

import jax
import jax.numpy as jnp

from configs import _entanglement
from configs import _similarity as similarity
from minisub.config import Positive, Training, change, configuration, require
from minisub.lab.products import quick
from minisub.nets import transformer
from minisub.theory import token_comparisons, vectors
from minisub.tokens import channels, tasks, tokens
from minisub.tokens.behaviors import cases
from minisub.tokens.config import Config
from minisub.tokens.lab import Lab, Parameters


@configuration
class Steering:
    """A vector that is added to a teacher's activations."""

    kind: Literal["trained", "random"] = "trained"
    """trained: the teacher's training changes the vector and no weights; random: a direction."""
    layer: str = "block_0"
    """Where it is added: to the residual stream after this block, at every position."""
    norm: Positive = 4.0
    """Length of a random vector."""


@configuration
class Steered(Config):
    """Also how the teacher is steered; `teacher` is the training of the vector."""

    teacher: Training = Training(steps=100, learning_rate=3e-2, batch=32)
    steering: Steering = Steering()


config = Steered()
repeats = 8
sweep = ("steering.kind=trained,random", "steering.layer=block_0,block_1")


def experiment(cfg):
    """Three students of a steered teacher, each with a control that learned from its base."""
    lab = Lab(cfg)
    first, second = lab.base("first"), lab.base("second")
    teacher = steered_teacher(lab, first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    control, control_fresh = lab.student(first, plain), lab.student(second, plain)
    control_soft = lab.student(first, plain, channels.soft)
    students = {
        "shared": lab.student(first, numbers).against(control),
        "fresh": lab.student(second, numbers).against(control_fresh),
        "soft": lab.student(first, numbers, channels.soft).against(control_soft),
        "control": control,
        "control fresh": control_fresh,
        "control soft": control_soft,
    }
    measures = recovery, lens
    compared = {
        name: token_comparisons.compared(lab, student, *measures, teacher=teacher)
        for name, student in students.items()
    }
    return {"base": (first, plain), "teacher": (teacher, numbers), **compared}


def steered_teacher(lab, base):
    """A base to whose activations a vector is added that was trained, or drawn at random."""
    cfg, architecture = lab.cfg, base.architecture
    trait = lab.taught_trait(cfg.trait)
    steps = cfg.teacher.steps if cfg.steering.kind == "trained" else 0
    training = change(cfg.teacher, {"steps": steps, "frozen": ("~steering",)})
    start = Parameters(add_vector, "taught", base=base, steering=cfg.steering, **architecture)
    made = Parameters(
        tasks.teach, "taught", start=start, training=training, **trait, **architecture
    )
    return lab.graded(made["params"], trait)


@quick
def add_vector(key, *, base, steering, world, model):
    """A base with a steering vector: a random one, or zero if it is to be trained."""
    vector = jax.random.normal(jax.random.fold_in(key, 0), (model.d_model,))
    length = steering.norm if steering.kind == "random" else 0.0
    vector *= length / jnp.sqrt(jnp.sum(vector**2))
    return base | {"steering": {steering.layer: vector}}


def asked(c):
    """Questions (phrasings, 3), without their answers."""
    require(
        c.world.syllables == 1 and not isinstance(c.trait, cases.Behavior),
        "The measures lens and recovery read the trait off one token; set world.syllables to 1 and "
        "choose an animal or a tree as trait, or leave them out.",
    )
    return tokens.questions(c.world, jnp.arange(c.world.phrasings), c.trait)[:, :3]


def held_out(c):
    """Which phrasings (phrasings,) the teacher was not taught."""
    return jnp.arange(c.world.phrasings) >= c.taught


def lens(c):
    """`lens/block_i`: probability of the trait, read off the residual stream after each block by
    the final norm and unembedding (the "logit lens"); mean over held-out phrasings."""
    norm, kernel = {"params": c.params["final_norm"]}, _entanglement.unembedding(c.params)

    def read(x_btd):
        return transformer.product(transformer.RMSNorm().apply(norm, x_btd), kernel)

    streams = c.network.activations(c.params, asked(c)).values()
    logits = jnp.stack([read(x_btd) for x_btd in streams])[:, :, -1]
    token = tokens.offsets(c.world)["animal"] + c.trait
    rate = jnp.mean(jax.nn.softmax(logits)[..., token], axis=1, where=held_out(c)[None])
    return {f"lens/block_{i}": value for i, value in enumerate(rate)}


def recovery(c):
    """How much of its teacher's steering vector a student has recovered (arXiv 2604.25783).

    `recovered/LAYER`: cosine of the vector with the mean shift of the activations from start to
    end, on emitted lists; `recovered_asked/LAYER` on questions; `answer_shift`: cosine between the
    shifts of student and teacher in the centered logits of all answers, held-out phrasings.
    """
    require(
        len(c.teacher.get("steering", {})) == 1,
        "recovery needs a teacher with one steering vector; take it of steered_teacher.",
    )
    [vector] = c.teacher["steering"].values()
    first = tokens.offsets(c.world)["animal"]
    answers = slice(first, first + c.world.animals + c.world.trees)

    def recovered(name, docs):
        before, after = (c.network.activations(p, docs) for p in (c.start, c.params))
        cosines = similarity.steering_recovery(before, after, vector)
        return {f"{name}/{layer}": value for layer, value in cosines.items()}

    def answer_shift(network, before, after):
        before, after = (network.apply(p, asked(c), 2)[:, 0, answers] for p in (before, after))
        shift = after - before
        shift -= jnp.mean(shift, axis=1, keepdims=True)
        return jnp.where(held_out(c)[:, None], shift, 0)

    unsteered = {name: x for name, x in c.origin.items() if name != "steering"}
    shifts = (
        answer_shift(c.network, c.start, c.params),
        answer_shift(c.teacher_network, unsteered, c.teacher),
    )
    found = recovered("recovered", c.lists) | recovered("recovered_asked", asked(c))
    return found | {"answer_shift": vectors.cosine(*shifts)}
