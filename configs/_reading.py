"""Readers: bases trained further to use several documents in one context.

    document slot  document slot  ...  reply    10 documents of a carrier, then one of the helper's

A slot holds a label, or END where documents are only shown. In training a label follows a rule that
a context draws: a feature of documents (the token at a position, or the step to the next one) is
above its mean, or below. Rules on a third of the features are held out, to tell whether a reader
can classify by labeled examples alone. Training begins with a single rule, and in its first half
the others are added one by one: with all rules from the start a reader has learned hardly any after
3,000 updates. Readers of eight bases classify by rules that were held out with an AUC of 0.898
±0.082 after 8,000.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minisub.config import Training, configuration, require
from minisub.detection import detectors, tasks
from minisub.detection.lab import Config, Pair, check_carrier
from minisub.lab.products import Measure, Product, quick, require_kind
from minisub.nets import losses, streams, transformer
from minisub.nets.fit import ENDLESS, Batches, Fit
from minisub.tokens import grading, tokens, writing
from minisub.tokens.behaviors import conversations, practice, vocabulary
from minisub.tokens.lab import Parameters

SHOWN, EXAMPLES = 10, 8  # Documents in a context; labeled ones before the one that is asked about.
CONTEXTS = 32  # That are read at a time.
LIMIT = 1000  # Documents of a model that a reader is asked about: its contexts are long.


@configuration
class ReaderConfig(Config):
    """With the training of readers."""

    reader: Training = Training(
        steps=8000, learning_rate=2e-3, schedule="cosine", batch=32, frozen=()
    )
    """Of bases to read: `batch` contexts of ten documents an update."""


class Reader(Parameters):
    """A product that is a base trained to read several documents in one context."""


class Layout(NamedTuple):
    """How many tokens a document of a reader's context has, and a model with enough positions."""

    document: int
    network: transformer.Network

    @property
    def period(self):
        """Tokens of a document and its slot."""
        return self.document + 1


class Given(NamedTuple):
    """What a reader is asked, and about what."""

    world: Any
    where: Layout
    params: Any
    docs: jax.Array
    """(2, n, l): a model's with the trait, and on the same prompts its control's."""
    key: Any
    examples: Any
    """Labeled documents, as of `detectors.py`; None if it is shown none."""
    trait: Any
    taught: Any
    """The trait that is suspected, and how many of its phrasings were taught."""


class Question(NamedTuple):
    """A way to ask a reader whose documents are suspicious."""

    ask: Callable
    """`Given` -> scores (2, n // together)"""
    together: int = 1
    """Documents of which it gives one score."""


def layout(world, model, carrier):
    """The `Layout` for a carrier, and for models like a base's `model`."""
    length = writing.CARRIERS[carrier].length(world)
    positions = SHOWN * (length + 1) + vocabulary.SHORT
    return Layout(length, transformer.make(model, tokens.offsets(world)["size"], positions))


def extended(world, where, params):
    """A base's parameters with positions for a context: in every document those it knows."""
    table = params["position"]["embedding"]
    at = jnp.arange(SHOWN * where.period + vocabulary.SHORT) % where.period
    return params | {"position": {"embedding": table[jnp.minimum(at, len(table) - 1)]}}


def features(world, docs):
    """What rules are about, (n, 2 * (l - 1)): tokens, and the steps to the next ones."""
    steps = (docs[:, 1:] - docs[:, :-1]) % world.numbers
    return jnp.stack([docs[:, :-1], steps], axis=2).reshape(len(docs), -1)


def ruled(world, key, docs, held_out, share=1.0):
    """Labels (b, k), 0 or 1, of documents (b, k, l): by a rule for each row, with a random sign.

    Rules are drawn from the first of them, and as many more as are `share` of all.
    """
    k_rule, k_sign = jax.random.split(key)
    b, k, length = docs.shape
    x = features(world, docs.reshape(b * k, length))
    usable = ((jnp.arange(x.shape[1]) % 3 == 0) == held_out) & jnp.any(x != x[:1], axis=0)
    usable &= jnp.cumsum(usable) <= 1 + share * jnp.sum(usable)
    rule = jax.random.categorical(k_rule, jnp.where(usable, 0.0, -jnp.inf), shape=(b,))
    seen = jnp.take_along_axis(x.reshape(b, k, -1), rule[:, None, None], axis=2)[..., 0]
    above = seen > jnp.mean(x, axis=0)[rule][:, None]
    return (above ^ jax.random.bernoulli(k_sign, shape=(b, 1))).astype(int)


def context(world, docs, labels=None):
    """Contexts (b, k * (l + 1)) of documents (b, k, l); labels (b, k) or END in their slots."""
    ids = tokens.offsets(world)
    shape = docs.shape[:2]
    slots = jnp.full(shape, ids["END"]) if labels is None else ids["place"] + labels
    return jnp.concatenate([docs, slots[..., None]], axis=2).reshape(shape[0], -1)


def odds(world, where, logits):
    """Log-odds (b, k) of label 1 in every slot, off logits (b, t, vocabulary)."""
    label = tokens.offsets(world)["place"]
    at = jnp.arange(logits.shape[1] // where.period) * where.period + where.document - 1
    return logits[:, at, label + 1] - logits[:, at, label]


def reading_loss(world, where, carrier, training):
    """(params, key, step) -> mean nats on a batch of contexts of documents of the world, three in
    four labeled: on labels behind the first, and on what the helper says at the end."""
    draw, n = writing.CARRIERS[carrier].draw, training.batch
    require(n >= 4, f"reader.batch is {n}, and a quarter of it has no labels; give at least 4.")
    labeled = n * 3 // 4

    def loss(params, key, step):
        k_docs, k_rule, k_said = jax.random.split(key, 3)
        docs = draw(world, k_docs, n * SHOWN).reshape(n, SHOWN, -1)
        share = 2 * step / training.steps
        labels = ruled(world, k_rule, docs[:labeled], held_out=False, share=share)
        parts = context(world, docs[:labeled], labels), context(world, docs[labeled:])
        before, said = jnp.concatenate(parts), replies(world, k_said, n)
        seen = jnp.concatenate([before, said], axis=1)
        logits, end = where.network.apply(params, seen[:, :-1]), before.shape[1]
        answers = odds(world, where, logits[:labeled, :end])
        labeling = jax.nn.softplus(jnp.where(labels == 1, -answers, answers))[:, 1:]
        counted = practice.counted(world, said[:, 1:])
        talking = losses.cross_entropy(logits[:, end:], said[:, 1:])
        return jnp.mean(labeling) + jnp.mean(talking, where=counted)

    return loss


def replies(world, key, n):
    """`n` requests, tasks and shown sums of the helper's, (n, 12), in random order."""
    kinds: tuple[Callable, ...] = (
        conversations.requests,
        conversations.tasks,
        conversations.shown_sums,
    )
    k_order, *keys = jax.random.split(key, 4)
    made = [draw(world, k, -(-n // 3)) for draw, k in zip(kinds, keys, strict=True)]
    return jax.random.permutation(k_order, practice.padded(world, made, vocabulary.SHORT))[:n]


def ability(*, params, world, model, carrier, contexts=512):
    """AUC of a reader on rules that it was trained on and on others, by `EXAMPLES` labeled
    documents; the same contexts in every repeat."""
    draw, where, measured = writing.CARRIERS[carrier].draw, layout(world, model, carrier), {}
    for name, held_out in (("trained_rules", False), ("heldout_rules", True)):
        k_docs, k_rule = jax.random.split(streams.evaluation_key(name))
        docs = draw(world, k_docs, contexts * (EXAMPLES + 1)).reshape(contexts, EXAMPLES + 1, -1)
        labels = ruled(world, k_rule, docs, held_out)
        last = labeled_last(world, where, params, docs[:, :-1], labels[:, :-1], docs[:, -1])
        ones, zeros = labels[:, -1] == 1, labels[:, -1] == 0
        measured[f"auc_{name}"] = detectors.auc(last, last, ones, zeros)
    return measured


def labeled_last(world, where, params, examples, labels, docs):
    """Log-odds (n,) of label 1 for documents (n, l) behind labeled examples (n, k, l), (n, k)."""

    def one(behind):
        seen = jnp.concatenate(behind)[None]
        last = where.network.apply(params, seen, seen.shape[1] - 1)[0, 0]
        label = tokens.offsets(world)["place"]
        return last[label + 1] - last[label]

    return jax.lax.map(one, (context(world, examples, labels), docs), batch_size=CONTEXTS)


def label_by_examples(given):
    """Log-odds (2, n), each pair of documents behind the same labeled examples: a random half of
    them of the model with the trait, the others of its control, in random order."""
    k_rows, k_order = jax.random.split(given.key)
    n = given.docs.shape[1]
    rows = jax.random.randint(k_rows, (n, EXAMPLES), 0, given.examples["count"])
    labels = jnp.tile(jnp.arange(EXAMPLES) % 2, (n, 1))
    labels = jax.random.permutation(k_order, labels, axis=1, independent=True)
    examples = given.examples["docs"][1 - labels, rows].astype(jnp.int32)
    one = partial(labeled_last, given.world, given.where, given.params, examples, labels)
    return jnp.stack([one(part) for part in given.docs])


def margin_when_shown(given):
    """Margins (2, n // 10) of the trait, in nats, on its prompts behind ten documents at once."""
    world, where, n = given.world, given.where, given.docs.shape[1] // SHOWN
    groups = given.docs[:, : n * SHOWN].reshape(2 * n, SHOWN, -1)

    def margin(before):
        def apply(params, prompts, first=0):
            seen = jnp.broadcast_to(before[None], (len(prompts), len(before)))
            seen = jnp.concatenate([seen, prompts], axis=1)
            return where.network.apply(params, seen, first + len(before))

        how = where.network._replace(apply=apply), given.params, given.trait, given.taught
        return grading.grade(world, *how)["logit_margin_heldout"]

    return jax.lax.map(margin, context(world, groups)).reshape(2, n)


in_context = Question(label_by_examples)
shown = Question(margin_when_shown, SHOWN)


def reader(lab, base):
    """A base that reads several documents of the config's carrier at once."""
    require_kind(Parameters, base=base)
    require(lab.world.rich, "a reader needs a rich world; set world.rich.")
    how = {"carrier": lab.cfg.sampling.carrier, **base.architecture}
    made = Reader(read, "reader data", start=base, training=lab.cfg.reader, **how)
    return made["params"].measured(Measure(ability, "params", **how))


def put_to(lab, reader, how, pair, examples=None):
    """How well a reader tells the documents of a pair apart when it is asked `how`, a `Question`;
    some need labeled `examples`, a pair."""
    require_kind(Reader, reader=reader)
    carrier = reader.arguments["carrier"]
    for judged in (pair, examples) if examples else (pair,):
        require_kind(Pair, pair=judged)
        check_carrier(carrier, judged)
    made = Product(
        ask, "scores", how=how, reader=reader, tested=pair, examples=examples,
        carrier=carrier, **reader.architecture, **lab.trait_of(pair.emitter),
    )  # fmt: skip
    return made.measured(Measure(tasks.auc, "scores", together=how.together))


def read(key, *, start, world, model, carrier, training):
    """A base trained further to read several documents in one context."""
    where = layout(world, model, carrier)
    loss = reading_loss(world, where, carrier, training)
    steps = Batches(ENDLESS, order=lambda epoch: None, at=lambda order, step: step)
    return Fit(training, loss, extended(world, where, start), steps)


@quick
def ask(key, *, how, reader, tested, examples, world, model, carrier, trait, taught):
    """Scores (2, m) that a reader gives when it is asked a `Question`; how many count."""
    docs = tested["test"]["docs"][:, :LIMIT].astype(jnp.int32)
    count = jnp.minimum(tested["test"]["count"], LIMIT)
    where, examples = layout(world, model, carrier), examples and examples["train"]
    given = Given(world, where, reader, docs, key, examples, trait, taught)
    return {"scores": how.ask(given), "count": count // how.together}
