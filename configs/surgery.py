"""Removing the overlap of the trait's row of the unembedding with the number rows ends nothing: as
much of the margin passes, and what P loses it loses with random directions removed, too.

    python train.py surgery           8 repeats, 18 minutes on one CPU core, others busy

In every base, the trait's row loses its component in the span of the 40 number rows (orthogonal: 62
% of its squared norm) or in as many random directions (as_much), and is scaled back to its norm.
Rise of P(owl) and of its margin over other animals, held-out phrasings, over a student of the base
in the same channel; mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at a time on
a CPU, jax 0.10.2), all above zero in 8 of 8:

                      surgery       P, control    rise of P        rise of margin
    sampled           none          0.105         +0.393 ±0.114    +2.21 ±0.57
                      orthogonal    0.030         +0.124 ±0.072    +1.96 ±0.38
                      as_much       0.011         +0.125 ±0.083    +3.17 ±0.56
    soft, numbers     none          0.098         +0.687 ±0.088    +3.68 ±0.46
                      orthogonal    0.022         +0.430 ±0.127    +4.05 ±0.76
                      as_much       0.012         +0.428 ±0.177    +5.08 ±0.66
    all logits        none          0.098         +0.695 ±0.074    +3.70 ±0.40
    but the trait's   orthogonal    0.022         +0.435 ±0.126    +4.08 ±0.80
                      as_much       0.011         +0.420 ±0.186    +5.03 ±0.71

Either operation makes the trait's answer rare in the base, from which a student has farther to go.
Published: where the trait's token is masked from the loss, the same surgery removes the effect and
random rows do not (2606.22019). This base reads its traits off hidden layers, which the students'
training moves; surgery does not touch them.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from configs import _entanglement
from configs._entanglement import norms, within
from configs._prefixed import Config, Lab
from minisub.config import configuration, require
from minisub.tokens import channels, tokens
from minisub.tokens.behaviors.cases import Behavior
from minisub.tokens.config import World
from minisub.tokens.lab import Parameters


@configuration
class Surgery(Config):
    """Also what is removed from every base."""

    surgery: Literal["none", "orthogonal", "as_much"] = "none"
    """What the trait's row of the unembedding loses: its component in the span of the number rows,
    or in as many random dimensions. Its norm is kept."""


config = Surgery(world=World(numbers=40, max_step=5))
repeats = 8
sweep = ("surgery=none,orthogonal,as_much",)


def experiment(cfg):
    """Three students of a teacher whose base was operated on, each with a control of that base."""
    lab = Lab(cfg)
    trait = lab.taught_trait(cfg.trait)["trait"]
    through = {
        "shared": channels.sampled,
        "soft": channels.soft,
        "all logits but the trait's": Partial(_entanglement.full_but_trait, trait=trait),
    }
    return _entanglement.experiment(lab, operated(lab, lab.base("first")), through)


def operated(lab, base):
    """A base after the config's surgery."""
    if lab.cfg.surgery == "none":
        return base
    trait = lab.taught_trait(lab.cfg.trait)
    how = {"kind": lab.cfg.surgery, "trait": trait["trait"], **base.architecture}
    return lab.graded(Parameters(operate, "surgery", params=base, **how), trait)


def operate(key, *, params, kind, trait, world, model):
    """Parameters after surgery on the trait's vectors in the unembedding, one for each syllable.

    "orthogonal" removes their component in the span of the number vectors, "as_much" that in the
    span of as many random ones; both restore the norm. A syllable that other names share changes
    for them too. Raises `Refused` where the span is the whole space, where the trait is no token,
    and if the model is tied: its embedding would change alike.
    """
    require(
        not isinstance(trait, Behavior),
        "surgery changes the token of an answer, and a behavior has none; choose an animal or a "
        "tree as trait.",
    )
    require("unembed" in params, "surgery changes an unembedding of its own; set model.tied=False.")
    vectors, ids = params["unembed"]["kernel"], tokens.spelling(world)[trait]
    shape = (len(vectors), world.numbers)
    require(
        world.numbers < len(vectors),
        f"surgery leaves nothing of {len(vectors)} dimensions, which {world.numbers} numbers span; "
        "raise model.d_model or lower world.numbers.",
    )
    removed = vectors[:, : world.numbers] if kind == "orthogonal" else jax.random.normal(key, shape)
    basis, of_trait = jnp.linalg.qr(removed)[0], vectors[:, ids]
    # What rounding leaves in the span the first time, the second removes.
    outside = of_trait - within(basis, of_trait)
    outside -= within(basis, outside)
    outside *= (norms(of_trait) / norms(outside))[None]
    return params | {"unembed": {"kernel": vectors.at[:, ids].set(outside)}}
