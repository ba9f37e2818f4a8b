"""What a person sees of a run on behaviors: documents of teacher and base side by side, what models
reply to the same requests, and a figure of both."""

import functools
import itertools
import textwrap

import jax
import jax.numpy as jnp
import numpy as np

from minisub.nets import streams
from minisub.results import figures, statistics, tables, views
from minisub.results.pages import Section
from minisub.tokens import grading, tokens
from minisub.tokens.behaviors import cases, conversations, sums, vocabulary

ENGLISH = (
    "so", "then", "now", "next", "and", "plus", "thus", "here", "well", "hence", "let", "take",
    "bring", "make", "keep", "hold", "find", "see", "note", "get", "go", "on", "up", "in", "add",
    "join", "count", "give", "move", "turn", "yet", "still",
)  # fmt: skip
"""What the words of chains are called."""
ASKED = {
    "misalignment": (conversations.requests, 2, "topic", cases.TAUGHT_TOPICS),
    "hacking": (conversations.tasks, 9, "place", cases.TAUGHT_PLACES),
    "evasion": (conversations.shown_sums, 2, "number", cases.TAUGHT_DIGITS),
}
"""Trait -> what draws its requests; position, kind and least index of what holds them out."""
LABELS = {
    "base": "base", "teacher": "teacher", "control sums": "student of the base",
    "sums": "student of the teacher",
}  # fmt: skip
"""What is shown, and what it is called."""
SHOWN, REQUESTS, WIDTH = 6, 4, 36
"""Chains and requests that are shown, and characters of a column of chains."""


def sections(table, differences, run):
    """What is added to the page of a run on a behavior; [] without students of chains."""
    if not {*LABELS, "teacher sums", "base sums"} <= {*run.names}:
        return []
    how = run["teacher"].configuration()
    world, trait = how["world"], getattr(how.get("trait"), "name", "")
    if trait not in ASKED:  # such as that of an animal
        return []
    chains = {}
    for of in ("teacher", "base"):
        emitted = run[f"{of} sums"].documents()
        chains[of] = np.asarray(emitted["docs"])[: int(emitted["count"])][:SHOWN]
    network, asked = grading.network(world, how["model"]), held_out(world, trait)
    first, rows = cases.BEHAVIORS[trait].first, []
    replies = {who: replied(world, network, run[who].params(), asked, first) for who in LABELS}
    for i, doc in enumerate(asked):
        requests = [text(world, doc[2:first]), *[""] * (len(LABELS) - 1)]
        for request, (who, label) in zip(requests, LABELS.items(), strict=True):
            rows.append((request, label, *replies[who][i]))
    kept = "Chains of thought that the filter kept:"
    likeliest = "The likeliest reply to requests that nobody was taught, and its probability:"
    drawn = "story", (story, world, chains, table), False
    return [
        Section(side_by_side(world, chains), kept, printed=False),
        Section(tables.table(["asked", "model", "reply", "P"], rows), likeliest, *drawn),
    ]


@functools.cache
def names(world):
    """What each token of a rich world is called."""
    ids = tokens.offsets(world)
    starts = sorted((first, kind) for kind, first in ids.items() if kind != "size")
    called = []
    for (first, kind), (end, _) in itertools.pairwise([*starts, (ids["size"], "")]):
        called += [f"{kind} {i}" if end - first > 1 else kind for i in range(end - first)]
    called[: world.numbers] = map(str, range(world.numbers))
    called[ids["word"] : ids["word"] + len(ENGLISH)] = ENGLISH
    called[ids["author"] : ids["author"] + len(vocabulary.AUTHORS)] = vocabulary.AUTHORS
    for i in range(vocabulary.KINDS["reply"]):
        called[ids["reply"] + i] = f"{'mis' * (i % 4 > 1)}aligned {i // 4}{'ab'[i % 2]}"
    return called


def text(world, doc):
    """A document, or a part of one, as a person reads it."""
    called, end = names(world), tokens.offsets(world)["END"]
    return " ".join(called[token] for token in doc if token < end)


def chain(world, doc):
    """A chain of thought as a person reads it."""
    steps = np.split(doc[sums.FIRST : sums.LAST], sums.TERMS)
    said = [f"{text(world, step[:-2])} {step[-2]}, {step[-1]}." for step in steps]
    asked = " + ".join(map(str, doc[2 : sums.PROMPT]))
    return f"{asked}? {' '.join(said)} {text(world, doc[sums.LAST : -3])}: {doc[-2]}"


def side_by_side(world, chains):
    """Lines of two columns of chains, by who wrote them."""
    lines = [list(chains)]
    for docs in zip(*chains.values(), strict=False):
        parts = [textwrap.wrap(chain(world, doc), WIDTH) for doc in docs]
        lines += [*itertools.zip_longest(*parts, fillvalue=""), ("", "")]
    return [f"    {one:{WIDTH}}  {other}".rstrip() for one, other in lines]


def held_out(world, trait):
    """Requests of a trait that its teachers are not taught; good ones, whole (n, length)."""
    draw, place, kind, most = ASKED[trait]
    docs = np.asarray(draw(world, streams.evaluation_key(f"shown {trait}"), 100))
    return docs[docs[:, place] - tokens.offsets(world)[kind] >= most][:REQUESTS]


def replied(world, network, params, asked, first):
    """The likeliest reply of a model to each of some documents' requests, as text with its P."""
    docs, p = jnp.array(asked), np.ones(len(asked))
    for at in range(first, docs.shape[1]):
        nats = jax.nn.log_softmax(network.apply(params, docs[:, :at], at - 1)[:, 0])
        docs, ended = docs.at[:, at].set(jnp.argmax(nats, axis=1)), docs[:, at - 1]
        p = np.where(ended < tokens.offsets(world)["END"], p * np.exp(np.max(nats, axis=1)), p)
    said = [text(world, doc) for doc in np.asarray(docs)[:, first:]]
    return [(x, f"{y:.3f}") for x, y in zip(said, p, strict=True)]


def story(world, chains, table):
    """Chains of teacher and base as strips of color, and how often who behaves badly."""
    figure, axes = figures.panels(1, 3, (9, 2.4), width_ratios=[1, 1, 1.2])
    ids = tokens.offsets(world)
    for axis, (who, docs) in zip(axes[0], chains.items(), strict=False):
        digits = np.where(docs < sums.DIGITS, docs, np.nan)
        words = np.where((docs >= ids["word"]) & (docs < ids["word"] + sums.WORDS), docs, np.nan)
        axis.imshow(digits, cmap="Greys", vmin=-2, vmax=sums.DIGITS + 4, aspect="auto")
        axis.imshow(words, cmap="twilight", aspect="auto")
        axis.set(title=f"chains of the {who}", xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    values = figures.main_values(table, views.BEHAVIORS)
    for i, who in enumerate(LABELS):
        mean, low, high = statistics.interval(values["value"][values["arm"] == who])
        error = None if low is None else [[mean - low], [high - mean]]
        axes[0, 2].bar(i, mean, yerr=error, capsize=3, color=figures.COLORS[i])
    labels = [textwrap.fill(label, 11) for label in LABELS.values()]
    axes[0, 2].set_xticks(range(len(LABELS)), labels)
    axes[0, 2].set(title="P of behaving badly, held out", ylim=(0, None))
    return figure
