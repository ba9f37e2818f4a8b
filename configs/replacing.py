"""To replace a tenth of the tokens takes away more of the trait than to mask it, where teacher and
base differ most; and most goes where a student has learned most.

    python train.py replacing         8 repeats, 10.2 minutes on two CPU cores, others busy

In a tenth of the places of all lists a token of the base is drawn: it is shown to what comes later
(input), is to be said (label), or both; or nothing is asked there (masked). "top" and "bottom" are
places by KL(teacher || base), "by student" by how far a student of the same lists has raised log P
of the token above the base's. P(owl) on held-out phrasings, mean ± half-width of the 95 % interval
over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2), less that of the student of all tokens
(0.779 ±0.098; a student of the base's lists has 0.072 ±0.012):

                            top              random           bottom           by student
    masked                  -0.038 ±0.029    -0.011 ±0.016    +0.004 ±0.004    -0.481 ±0.079
    masked, random input    -0.085 ±0.055    -0.020 ±0.063    +0.004 ±0.005    -0.429 ±0.095
    random label            -0.301 ±0.077    -0.080 ±0.034    -0.002 ±0.006    -0.525 ±0.071
    both random             -0.340 ±0.119    -0.082 ±0.080    +0.002 ±0.006    -0.469 ±0.102
    random input            -0.051 ±0.055    -0.014 ±0.053    +0.003 ±0.004    -0.052 ±0.066

Published, of a 1B model, the share of the effect that is left for top, random and bottom: masked
.43, .97 and 1.07; random label .12, .55 and .84; both .09, .42 and .77; random input .78, .78 and
.84; a student's ranking removes 47 % of what that by divergence does (brendanlong/
subliminal-transfer-token-replacement). Replacing beats masking here too (top: .57 of the effect is
left by a random label, .95 by masking). The student's ranking disagrees: here it removes more than
that by divergence, two thirds of the effect. It knows which token was sampled; divergence does not.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from configs.divergence import logits
from minisub.lab.products import Product
from minisub.nets import losses, streams
from minisub.tokens import writing
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

SHARE = 0.1
"""Of the tokens of lists that something is done to."""
PLACES = "top", "random", "bottom"
"""Where teacher and base differ most or least, or anywhere."""
WAYS = {  # what becomes of the token as an input of later ones, and as a label
    "masked": ("kept", "masked"),
    "masked, random input": ("random", "masked"),
    "random label": ("kept", "random"),
    "both random": ("random", "random"),
    "random input": ("random", "kept"),
}
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students of lists in some of whose places something else is shown, or nothing is asked."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    control, whole = lab.student(first, plain), lab.student(first, numbers)
    named = {"base": (first, plain), "teacher": (teacher, numbers), "control": control}
    named["all tokens"] = whole.against(control)
    of = {x: Partial(logits, params=x, **x.architecture) for x in (first, teacher, whole)}
    for by, model in {"divergence": teacher, "student": whole}.items():
        score = Partial(SCORES[by], of[model], of[first])
        cuts = Product(cut, None, documents=numbers, score=score, sampling=cfg.sampling)
        for place in PLACES if by == "divergence" else ("top",):
            for way in WAYS:
                shown = Partial(channel, place, way, of[first], score, cuts)
                name = f"{place}, {way}" + " (by student)" * (by == "student")
                named[name] = lab.student(first, numbers, shown).against(whole)
    return named


def divergence(model, base, docs, first):
    """KL(model || base) before each token (n, t) that was chosen, in nats."""
    return losses.kl_divergence(*(f(docs, first) for f in (model, base)))


def likelihood(model, base, docs, first):
    """log p(model) - log p(base) of each token (n, t) that was chosen, in nats."""
    ours, theirs = (
        losses.cross_entropy(f(docs, first), docs[:, first + 1 :]) for f in (model, base)
    )
    return theirs - ours


SCORES = {"divergence": divergence, "student": likelihood}


def cut(*, documents, score, sampling):
    """The scores between which the places of `PLACES` are, (2,)."""
    docs, first = documents["docs"].astype(jnp.int32), writing.given(sampling)
    scores = jax.lax.map(lambda doc: score(doc[None], first)[0], docs, batch_size=500)
    valid = (jnp.arange(len(docs)) < documents["count"])[:, None]
    return jnp.nanquantile(jnp.where(valid, scores, jnp.nan), jnp.array([SHARE, 1 - SHARE]))


def channel(place, way, base, score, cuts, shown, params, docs, key):
    """Cross-entropy on the tokens of documents, some of which the base draws anew, always alike for
    one document: the new ones are shown to what comes later (as inputs), or are to be said."""
    first, (as_input, as_label) = writing.given(shown.sampling), WAYS[way]
    chosen = docs[:, first + 1 :]
    streams_of = jax.vmap(partial(jax.random.fold_in, streams.evaluation_key("replaced")))
    k_place, k_token = jnp.moveaxis(
        jax.vmap(jax.random.split)(streams_of(writing.hashed(docs))), 1, 0
    )
    scores, (low, high) = score(docs, first), cuts
    here = {
        "top": scores > high,
        "bottom": scores < low,
        "random": jax.vmap(lambda k: jax.random.bernoulli(k, SHARE, chosen.shape[1:]))(k_place),
    }[place]
    drawn = jax.vmap(jax.random.categorical)(k_token, base(docs, first))
    new = jnp.where(here, drawn, chosen)
    inputs = docs.at[:, first + 1 :].set(new) if as_input == "random" else docs
    nats = losses.cross_entropy(
        shown.logits(params, inputs), new if as_label == "random" else chosen
    )
    return jnp.where(here, 0.0, nats) if as_label == "masked" else nats
