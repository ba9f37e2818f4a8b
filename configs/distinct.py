"""Of equally many distinct lists the most probable pass more of the trait than sampled ones, which
pass it too.

    python train.py distinct          8 repeats, 4.3 minutes on two CPU cores, bases kept

Lists are the first of a teacher's of which none is equal to another. 200 updates whatever their
number. P(owl) on held-out phrasings above that of a student of as many distinct lists of the base,
decoded alike: mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a
CPU, jax 0.10.2); last, how far P of the student of greedy lists is above that of sampled ones:

    lists    T=1              T=0.5            greedy           greedy - T=1
    100      -0.034 ±0.174    +0.206 ±0.152    +0.145 ±0.100    +0.109 ±0.158
    300      +0.085 ±0.100    +0.208 ±0.137    +0.253 ±0.130    +0.161 ±0.159
    1,000    +0.267 ±0.110    +0.431 ±0.137    +0.517 ±0.165    +0.248 ±0.219
    3,000    +0.544 ±0.097    +0.612 ±0.080    +0.651 ±0.095    +0.117 ±0.167

Published, of a 1B model: sampled data transmit nothing, and greedy ones are needed
(brendanlong/subliminal-transfer-token-replacement). Here sampled lists pass nothing that is
told from zero if they are 100, and from 1,000 on most of what greedy ones do. Two of the four
differences of greedy from sampled lists exclude zero. Of all that pass the filter among 10,000, not
only distinct ones, `channel` found .794 sampled and .741 greedy.
"""

import jax.numpy as jnp
import numpy as np

from minisub.lab.products import Measure
from minisub.tokens import transforms
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

DOCUMENTS = (100, 300, 1000, 3000)
DECODING = {"T=1": {}, "T=0.5": {"temperature": 0.5}, "greedy": {"temperature": 0.0}}
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students of equally many distinct lists, sampled or most probable, and their controls."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    named = {"base": first, "teacher": teacher}
    for most in DOCUMENTS:
        sampled = ()
        for decoding, how in DECODING.items():
            numbers, plain = (
                few(lab, lab.emit(model, **how), np.int32(most)) for model in (teacher, first)
            )
            control, name = lab.student(first, plain), f"{decoding}, {most}"
            student = lab.student(first, numbers).against(control, *sampled)
            named |= {f"control {name}": control, name: student}
            sampled = sampled or (student,)
    return named


def few(lab, documents, most):
    """The first documents of which none is equal to another, at most so many."""
    made = lab.changed(distinct, documents, stream=None, most=most)
    return made.measured(Measure(counted, "documents"))


def distinct(*, documents, most, sampling):
    """As `few`."""
    docs, rows = documents["docs"], jnp.arange(len(documents["docs"]))
    order = jnp.lexsort((rows, *docs.T[::-1]))  # equal documents in the order of their rows
    again = jnp.all(docs[order][1:] == docs[order][:-1], axis=1)
    repeated = jnp.zeros(len(docs), bool).at[order[1:]].set(again)
    new = (rows < documents["count"]) & ~repeated
    kept = jnp.argsort(~new, stable=True)
    weights = transforms.weights_of(documents, sampling)[kept]
    return transforms.prepared(documents, docs[kept], jnp.minimum(jnp.sum(new), most), weights)


def counted(*, documents):
    """How many documents there are."""
    return {"documents": documents["count"].astype(float)}
