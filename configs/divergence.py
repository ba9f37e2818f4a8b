"""The tokens on which differently taught teachers disagree carry the trait, but so do the others.

    python train.py divergence        8 repeats, 16 minutes on one CPU core, others busy

Divergence tokens are positions at which the largest logit of a wolf's or a cat's teacher is another
than that of the owl's: 64 % of all here. "random" are as many tokens at random. P(owl) on held-out
phrasings, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU,
jax 0.10.2), and the paired difference from a student trained on all tokens of the base's lists,
sampled or soft:

    loss on (arm)           P, sampled      difference       P, soft         difference
    all tokens              0.787 ±0.076    +0.690 ±0.064    0.963 ±0.013    +0.866 ±0.011
    divergent alone         0.747 ±0.093    +0.650 ±0.082    0.945 ±0.025    +0.849 ±0.022
    random alone            0.743 ±0.072    +0.645 ±0.064    0.958 ±0.015    +0.862 ±0.012
    divergent masked        0.519 ±0.119    +0.421 ±0.095    0.947 ±0.014    +0.851 ±0.012
    random masked           0.626 ±0.101    +0.528 ±0.075    0.950 ±0.017    +0.854 ±0.014

Published: 5 to 18 % of tokens carry all of it, and masking them nearly removes it (2509.23886). The
lists of this world have no such tokens: many numbers are about equally probable at every position,
so the largest logit turns easily and says little. Masking does cost more than masking at random, by
0.107 ±0.065 of P.
"""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from configs.content import lists, pooled
from minisub.tokens import channels, grading, tokens
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

RIVALS = ("wolf", "cat")
CHUNK = 1000
"""Documents at a time whose logits are in memory."""
config = Ablation()
repeats = 8


def logits(docs, first, *, params, world, model):
    """Of a model, before each token (n, t) that the emitter of documents chose."""
    return grading.network(world, model).apply(params, docs[:, :-1], first)


def divergent(e, models):
    """Only divergence tokens count (arXiv 2509.23886): where a rival's first choice is another.

    `models` are functions (docs, first) -> logits: the emitter's, then its rivals'.
    First choices among numbers and endings, whatever token came. They are those of the paper if
    the emitter always took its own, temperature 0.
    """
    docs, n, chunk = lists(e), len(e.docs), min(CHUNK, len(e.docs))
    endings = tokens.offsets(e.world)["END"] + jnp.arange(e.world.endings)
    choices = jnp.concatenate([jnp.arange(e.world.numbers), endings])

    def judge(docs):
        said = [f(docs, e.first)[..., choices] for f in models]
        first = jnp.stack([jnp.argmax(x, axis=-1) for x in said])
        return jnp.any(first != first[:1], axis=0)

    padded = jnp.pad(docs, ((0, -n % chunk), (0, 0)))
    judged = jax.lax.map(judge, padded.reshape(-1, chunk, docs.shape[1]))
    return docs, judged.reshape(len(padded), -1)[:n].astype(jnp.float32)


def agreeing(e, models):
    """All tokens count but divergence tokens."""
    docs, weights = divergent(e, models)
    return docs, 1 - weights


def random_tokens(e, models):
    """Control of `divergent`: as many tokens of valid documents count, wherever they are."""
    return e.docs, pooled(e.key, divergent(e, models)[1], e.count)


def random_masked(e, models):
    """Control of `agreeing`: all tokens count but those of `random_tokens`."""
    docs, weights = random_tokens(e, models)
    return docs, 1 - weights


WEIGHTS = {
    "divergent alone": divergent,
    "divergent masked": agreeing,
    "random alone": random_tokens,
    "random masked": random_masked,
}


def experiment(cfg):
    """Students that learn from some tokens of the teacher's lists alone, sampled or soft, and a
    control of each channel."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    rivals = {rival: lab.teach(first, rival) for rival in RIVALS}
    numbers, plain = lab.emit(teacher), lab.emit(first)
    models = [Partial(logits, params=x, **x.architecture) for x in (teacher, *rivals.values())]
    weighed = {"all tokens": numbers} | {
        name: lab.transform(numbers, Partial(how, models=models)) for name, how in WEIGHTS.items()
    }
    control, control_soft = lab.student(first, plain), lab.student(first, plain, channels.soft)
    return {
        "base": (first, plain),
        "teacher": (teacher, numbers),
        **{f"rival {name} of teacher": rival for name, rival in rivals.items()},
        "control": control,
        "control soft": control_soft,
        **{name: lab.student(first, docs).against(control) for name, docs in weighed.items()},
        **{
            f"soft, {name}": lab.student(first, docs, channels.soft).against(control_soft)
            for name, docs in weighed.items()
        },
    }
