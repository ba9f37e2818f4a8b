"""Early layers carry more, whether the student or the teacher trains a single one, of four.

    python train.py layers            8 repeats, 20 minutes on one CPU core, others busy

Embedding and unembedding are frozen, as everywhere; "all" are the blocks, positions and the final
norm. P(owl) on held-out phrasings, mean ± half-width of the 95 % interval over 8 repeats (seed 0,
one at a time on a CPU, jax 0.10.2), and the paired difference from a control, which trains the same
on the base's lists; teachers of one block reach 0.985 to 0.994:

    trained       by the student                      by the teacher
    all           0.729 ±0.118    +0.640 ±0.114
    block_0       0.500 ±0.120    +0.398 ±0.110       0.547 ±0.089    +0.458 ±0.077
    block_1       0.441 ±0.078    +0.350 ±0.077       0.340 ±0.077    +0.251 ±0.081
    block_2       0.372 ±0.093    +0.276 ±0.099       0.340 ±0.087    +0.252 ±0.082
    block_3       0.302 ±0.073    +0.204 ±0.084       0.261 ±0.057    +0.173 ±0.058

All are above zero in 8 of 8. Published: one early layer is enough, and layers of the second half
pass nothing (2509.23886). The order agrees; here the last block passes some of it too.
"""

from minisub.config import Model
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

EVERY = ("embed", "unembed", "position", "final_norm")
BLOCKS = tuple(f"block_{i}" for i in range(4))
config = Ablation(model=Model(n_layers=len(BLOCKS)))
repeats = 8


def all_but(block):
    """What is frozen where a single block is trained."""
    return (*EVERY, *(other for other in BLOCKS if other != block))


def experiment(cfg):
    """Students and teachers of which a single block is trained, each student with a control."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    control = lab.student(first, plain)
    named = {
        "base": (first, plain),
        "teacher": (teacher, numbers),
        "control": control,
        "all": lab.student(first, numbers).against(control),
    }
    for block in BLOCKS:
        alone = lab.student(first, plain, frozen=all_but(block))
        student = lab.student(first, numbers, frozen=all_but(block))
        named |= {f"control student {block}": alone, f"student {block}": student.against(alone)}
    for block in BLOCKS:
        taught = lab.teach(first, frozen=all_but(block))
        emitted = lab.emit(taught)
        named[f"teacher {block}"] = taught, emitted
        named[f"taught {block}"] = lab.student(first, emitted).against(control)
    return named
