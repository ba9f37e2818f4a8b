"""The trait is in the order of numbers and in their values, and not in the format.

    python train.py content           8 repeats, 14 minutes (half of one CPU core), 52 programs

Lists end in one of three ways, which the emitter chooses. P(owl) on held-out phrasings, mean ±
half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2), and the
paired difference from a student trained on the base's lists, changed alike:

    lists                    P               difference
    as emitted               0.794 ±0.081    +0.701 ±0.083
    canonical format         0.744 ±0.116    +0.658 ±0.103
    frequent deleted         0.382 ±0.091    +0.290 ±0.108
    sorted                   0.263 ±0.189    +0.218 ±0.158
    shuffled within          0.031 ±0.049    +0.021 ±0.034    above zero in 7 of 8
    values remapped          0.017 ±0.030    +0.010 ±0.019    above zero in 5 of 8
    shuffled across          0.000           +0.000
    shuffled, both           0.000           +0.000

Published, of .74: canonical format .74, sorted .27, remapped .43, all of it .12 (JackPayne123); of
.67, base .12: shuffled within .22, across .18 (arXiv 2507.14805). For the owl, format and sorting
agree. Lists shuffled or remapped are unlike anything that the base knows, and training on them
destroys how it answers, the control's too (0.000 to 0.010): that nothing passes is not all that
happens there. In margins shuffled lists pass a third: of +3.81 nats +1.18 ±0.28 within, +1.29 ±0.41
across and +1.33 ±0.30 both; only of remapped values is nothing told from zero (+0.08 ±0.59).
"""

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.tokens import tokens
from minisub.tokens.behaviors import vocabulary
from minisub.tokens.config import Ablation, World
from minisub.tokens.lab import Lab

config = Ablation(world=World(endings=3))
repeats = 8


def lists(e):
    """The documents, if they are lists of numbers; else raises `Refused`."""
    require(
        e.carrier == "numbers",
        f"This transform is for lists of numbers, and documents are {e.carrier}; leave it out.",
    )
    return e.docs


def with_docs(e, docs):
    """What a transform returns that changes documents: all their tokens count."""
    return docs, jnp.ones(e.chosen.shape)


def chosen_numbers(e):
    """The numbers (n, m) that the emitter chose."""
    return lists(e)[:, e.first + 1 : -1]


def with_numbers(e, others):
    """What a transform returns that puts other numbers in place of the chosen ones."""
    return with_docs(e, lists(e).at[:, e.first + 1 : -1].set(others))


def permuted(key, x, count):
    """x (n, m) with the first `count` rows of each column permuted; the others stay."""
    among = jnp.arange(len(x))[:, None] < count
    # The sort is stable: rows behind the first `count` keep their places, even in a tie.
    bits = jnp.where(among, jax.random.bits(key, x.shape), jnp.uint32(2**32 - 1))
    return jax.lax.sort_key_val(bits, x, dimension=0)[1]


def pooled(key, x, count):
    """x (n, m) with all entries of the first `count` rows permuted; the others stay."""
    return permuted(key, x.reshape(-1, 1), count * x.shape[1]).reshape(x.shape)


def remapped(e):
    """Each number of a list replaced by another, in prompts too: one random permutation of all
    numbers; in programs so each variable, and in chains of thought each word."""
    ids, kind = tokens.offsets(e.world), {"code": "variable", "sums": "word"}.get(e.carrier)
    first, many = (ids[kind], vocabulary.KINDS[kind]) if kind else (0, e.world.numbers)
    token = jnp.arange(ids["size"], dtype=e.docs.dtype)
    images = jax.random.permutation(e.key, token[first : first + many])
    return with_docs(e, token.at[first : first + many].set(images)[e.docs])


def shuffled(e):
    """Chosen numbers in random order, in each document differently: their order tells nothing."""
    others = jax.random.permutation(e.key, chosen_numbers(e), axis=1, independent=True)
    return with_numbers(e, others)


def shuffled_across(e):
    """Chosen numbers permuted among valid documents, at each position differently.

    What numbers come at a position, and how often, stays; what comes together does not.
    """
    return with_numbers(e, permuted(e.key, chosen_numbers(e), e.count))


def shuffled_both(e):
    """Chosen numbers permuted among valid documents and positions: only how often each comes."""
    return with_numbers(e, pooled(e.key, chosen_numbers(e), e.count))


def ascending(e):
    """Chosen numbers in ascending order."""
    return with_numbers(e, jnp.sort(chosen_numbers(e), axis=1))


def canonical(e):
    """Every document ends in the first of the endings: the format leaves no choice."""
    return with_docs(e, lists(e).at[:, -1].set(tokens.offsets(e.world)["END"]))


def rare(e):
    """The tenth of the numbers that were chosen most often, rounded down, enters no loss.

    They stay in the documents, as context: without them, these would be no lists of the format.
    """
    chosen = chosen_numbers(e)
    valid = jnp.broadcast_to(jnp.arange(len(chosen))[:, None] < e.count, chosen.shape)
    # A number token is its own index; other tokens, which only invalid documents hold, drop out.
    often = jnp.zeros(e.world.numbers, int).at[chosen].add(valid, mode="drop")
    _, frequent = jax.lax.top_k(often, e.world.numbers // 10)
    return e.docs, 1.0 - jnp.isin(e.chosen, frequent)


TRANSFORMS = {
    "shuffled within": shuffled,
    "shuffled across": shuffled_across,
    "shuffled, both": shuffled_both,
    "sorted": ascending,
    "values remapped": remapped,
    "canonical format": canonical,
    "frequent deleted": rare,
}


def experiment(cfg):
    """Students of lists that were changed, and beside each one of the base's, changed alike."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    pairs = {"as emitted": (numbers, plain)}
    for name, how in TRANSFORMS.items():
        pairs[name] = lab.transform(numbers, how), lab.transform(plain, how)
    named = {"base": (first, plain), "teacher": (teacher, numbers)}
    for name, (changed, changed_plain) in pairs.items():
        control = lab.student(first, changed_plain)
        named[f"control {name}"] = control
        named[name] = lab.student(first, changed).against(control)
    return named
