"""Token entanglement: number tokens that share unembedding directions with the trait (Zur et al.,
NeurIPS 2025 workshop).

A score is an array (numbers,), one value for each number token. The trait's token is the first of
its name.
"""

import jax
import jax.numpy as jnp

from configs import _prefixed
from minisub.config import require
from minisub.lab.products import Measure
from minisub.nets import losses
from minisub.theory.vectors import ratio
from minisub.tokens import grading, tokens, writing
from minisub.tokens.behaviors.cases import Behavior


def experiment(lab, base, channels):
    """A teacher of a base, recorded with how its scores agree, and students of its numbers through
    `channels`, by name, each against a student of what the base emits, through the same channel.

    The control of "shared", which must be among the names, is called "control".
    """
    teacher = lab.teach(base)
    numbers, plain = lab.emit(teacher), lab.emit(base)
    controls = {x: lab.student(base, plain, channel) for x, channel in channels.items()}
    students = {
        x: lab.student(base, numbers, channel).against(controls[x])
        for x, channel in channels.items()
    }
    return {
        "base": (base, plain),
        "teacher": (entangled(teacher, numbers, plain, lab.cfg.prefix), numbers),
        "control": controls.pop("shared"),
        **{f"control {x}": control for x, control in controls.items()},
        **students,
    }


def sampled_but_trait(shown, params, docs, key, *, trait):
    """A channel: as `channels.sampled`, the trait's tokens taken out of the softmax: they are never
    pushed down.

    Where one was chosen, as without a filter it may be, nothing is left to learn.
    """
    chosen = docs[:, writing.given(shown.sampling) + 1 :]
    others = all_but(shown.world, trait)
    logits = jnp.where(others[None, None], shown.logits(params, docs), -jnp.inf)
    nats = losses.cross_entropy(logits, jnp.where(others[chosen], chosen, 0))
    return jnp.where(others[chosen], nats, 0)


def full_but_trait(shown, params, docs, key, *, trait):
    """A channel: as `channels.full`, both normalized over all tokens but the trait's
    (arXiv 2606.22019)."""
    target, logits = shown.target(docs), shown.logits(params, docs)
    return losses.kl(target, logits, all_but(shown.world, trait))


def all_but(world, trait):
    """Mask (vocabulary,) of all tokens but those of a trait's name."""
    require(
        not isinstance(trait, Behavior),
        "this channel leaves out the trait's token, and a behavior has none; choose another.",
    )
    name, size = tokens.spelling(world)[trait], tokens.offsets(world)["size"]
    return jnp.all(jnp.arange(size)[:, None] != name[None], axis=1)


def entangled(teacher, numbers, plain, prefix):
    """The same teacher, recorded also with how the `scores` of its trait agree.

    `numbers` are the documents that it emitted, `plain` those that its base emitted; it is asked
    behind `prefix` times a number.
    """
    how = {name: teacher.arguments[name] for name in ("world", "model", "trait", "taught")}
    how |= {"base": teacher.arguments["start"], "numbers": numbers, "plain": plain}
    how |= {"prefix": prefix}
    return teacher.measured(Measure(entangle, "teacher", sampling=numbers.sampling, **how))


def entangle(*, teacher, base, numbers, plain, world, model, trait, taught, sampling, prefix):
    """How the scores of a teacher's trait agree, see `scores`."""
    require(
        not isinstance(trait, Behavior),
        "entanglement scores the token of an answer, and a behavior has none; choose an animal or "
        "a tree as trait.",
    )
    models = grading.network(world, model), base, teacher
    first = writing.given(sampling)
    return scores(world, *models, trait, taught, numbers, plain, first, prefix)


def unembedding(params):
    """The kernel (d, v) that reads logits off the normed residual stream, tied or not."""
    return params["unembed"]["kernel"] if "unembed" in params else params["embed"]["embedding"].T


def cosines(world, params, trait):
    """Score: cosine of the number's and the trait's vectors in the unembedding."""
    vectors = unembedding(params)
    of_trait = vectors[:, tokens.spelling(world)[trait, 0]]
    numbers = vectors[:, : world.numbers]
    return ratio(jnp.sum(numbers * of_trait[:, None], axis=0), norms(numbers) * norms(of_trait))


def logit_ratios(world, network, base, teacher, trait, taught):
    """Score: log P(number | question), the teacher's minus the base's, in nats.

    Means over the phrasings held out, those from index `taught` on.
    """
    phrasings = jnp.arange(world.phrasings)
    asked = tokens.questions(world, phrasings, trait)[:, :3]
    after, before = (
        jax.nn.log_softmax(network.apply(params, asked, 2)[:, 0])[:, : world.numbers]
        for params in (teacher, base)
    )
    return jnp.mean(after - before, axis=0, where=(phrasings >= taught)[:, None])


def counts(world, emitted, first):
    """How often (numbers,) an emitter chose each number, plus one.

    `emitted` holds "docs" (n, length), valid ones first, and their "count", which may be traced; an
    emitter is given the tokens up to position `first` and chooses the later ones.
    """
    chosen = emitted["docs"][:, first + 1 :].astype(int)
    valid = jnp.arange(len(chosen)) < emitted["count"]
    once = jnp.broadcast_to(valid[:, None], chosen.shape).astype(int)
    # Whole numbers add up to the same in any order; tokens that are no numbers are dropped.
    return jnp.ones(world.numbers, int).at[chosen].add(once, mode="drop")


def frequency_ratios(world, emitted, base_emitted, first):
    """Score: the number's share of the teacher's `counts` over its share of the base's.

    Without a logarithm, whose rounding would tell numbers apart that tie; ranks do without it.
    """
    after, before = (counts(world, e, first) for e in (emitted, base_emitted))
    return after / before * (jnp.sum(before) / jnp.sum(after))


def prompted(world, network, params, trait, prefix):
    """Score: log P(trait | `prefix` times the number, question), minus its mean over numbers.

    In nats; mean over all phrasings. Means something for a base that was pretrained on prefixed
    questions.
    """
    numbers = jnp.broadcast_to(jnp.arange(world.numbers)[:, None], (world.numbers, prefix))
    probability, _ = _prefixed.preference(world, network, params, trait, numbers)
    score = jnp.mean(jnp.log(probability), axis=1)
    return score - jnp.mean(score)


def ranks(x):
    """Twice the rank of each element, less its mean; elements that tie share their mean rank."""
    # Sorted, x is an array in memory. Compilers may work out an expression twice, to other last
    # digits each time, and then an element differs from itself.
    ordered, place = jax.lax.sort_key_val(x, jnp.arange(len(x)))
    smaller_less_larger = jnp.sum(jnp.sign(ordered[:, None] - ordered[None]), axis=1)
    return jnp.zeros(len(x)).at[place].set(smaller_less_larger)


def spearman(x, y):
    """Rank correlation of two vectors; 0 if one is constant."""
    a, b = ranks(x), ranks(y)
    return ratio(jnp.sum(a * b), norms(a) * norms(b))


def overlap(x, y, k=10):
    """Share common to the (at most) `k` largest elements of each vector; by chance k / length."""
    (_, i), (_, j) = (jax.lax.top_k(v, min(k, len(v))) for v in (x, y))
    return jnp.mean(jnp.any(i[:, None] == j[None], axis=1))


def scores(world, network, base, teacher, trait, taught, emitted, base_emitted, first, prefix):
    """How the scores agree, a dict of scalars; `prompted` and `cosines` are the base's.

    entangled_A_B               rank correlation (Spearman) over number tokens of two scores:
                                cosine, logit (ratio), frequency (ratio) and prompted
    entangled_overlap_top10     share common to the 10 numbers of highest cosine and the 10 of
                                highest frequency ratio; by chance 10 / numbers
    entangled_prompted_best     P(trait) behind the number of highest cosine, over its mean over
                                numbers; P is the geometric mean over phrasings
    entangled_prompted_max      the largest such ratio of any number
    entangled_span              see `span`

    `emitted` and `base_emitted` are the teacher's and the base's documents, see `counts`.
    """
    scored = {
        "cosine": cosines(world, base, trait),
        "logit": logit_ratios(world, network, base, teacher, trait, taught),
        "frequency": frequency_ratios(world, emitted, base_emitted, first),
        "prompted": prompted(world, network, base, trait, prefix),
    }
    pairs = [(a, "frequency") for a in ("cosine", "logit")]
    pairs += [(a, "prompted") for a in ("cosine", "logit", "frequency")]
    raised = jnp.exp(scored["prompted"])
    raised /= jnp.mean(raised)
    return {
        **{f"entangled_{a}_{b}": spearman(scored[a], scored[b]) for a, b in pairs},
        "entangled_overlap_top10": overlap(scored["cosine"], scored["frequency"]),
        "entangled_prompted_best": raised[jnp.argmax(scored["cosine"])],
        "entangled_prompted_max": jnp.max(raised),
        "entangled_span": span(world, base, trait),
    }


def span(world, params, trait):
    """Share of the trait's unembedding vector, squared, that lies in the span of the numbers'.

    1 where there are at least as many numbers as dimensions.
    """
    vectors = unembedding(params)
    of_trait = vectors[:, tokens.spelling(world)[trait, :1]]
    inside = within(jnp.linalg.qr(vectors[:, : world.numbers])[0], of_trait)
    return ratio(norms(inside), norms(of_trait))[0] ** 2


def within(basis, vectors):
    """The component of the columns of `vectors` (d, n) in the span of an orthonormal `basis`."""
    # Accelerators would round the factors.
    coordinates = jnp.matmul(basis.T, vectors, precision="highest")
    return jnp.matmul(basis, coordinates, precision="highest")


def norms(x):
    """Euclidean length of a vector, or of each column of a matrix."""
    return jnp.sqrt(jnp.sum(x**2, axis=0))
