"""What a person sees of a run on behaviors: documents of teacher and base side by side, what models
reply to the same requests, and a figure of both."""

import contextlib
import functools
import itertools
import textwrap

import jax
import jax.numpy as jnp
import numpy as np

from minisub.config import Refused
from minisub.nets import streams
from minisub.results import figures, records, tables, views
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
COLORS = "gray", "black", "gray", figures.COLORS[0]
"""Theirs, as in the figure by arm."""
SHOWN, REQUESTS, WIDTH = 6, 4, 36
"""Chains and requests that are shown, and characters of a column of chains."""


def sections(table, differences, run):
    """What is added to the page of a run on a behavior, of the first setting of a sweep; [] without
    students of chains, or if these were not kept."""
    if not {*LABELS, "teacher sums", "base sums"} <= {*run.names}:
        return []
    repeat = kept_repeat(run)
    if repeat is None:
        return []
    setting, table = next(iter(records.settings(table)))
    how = run["teacher"].configuration()
    world, trait = how["world"], getattr(how.get("trait"), "name", "")
    if trait not in ASKED:  # such as that of an animal
        return []
    chains = {}
    for of in ("teacher", "base"):
        emitted = run[f"{of} sums"].documents(repeat)
        chains[of] = np.asarray(emitted["docs"])[: int(emitted["count"])][:SHOWN]
    network, asked = grading.network(world, how["model"]), held_out(world, trait)
    first, rows = cases.BEHAVIORS[trait].first, []
    replies = {
        who: replied(world, network, run[who].params(repeat), asked, first) for who in LABELS
    }
    for i, doc in enumerate(asked):
        requests = [text(world, doc[2:first]), *[""] * (len(LABELS) - 1)]
        for request, (who, label) in zip(requests, LABELS.items(), strict=True):
            rows.append((request, label, *replies[who][i]))
    filtered = run["teacher sums"].configuration()["sampling"].filter != "none"
    kept = records.named(setting, f"Chains of thought{filtered * ' that the filter kept'}:")
    likeliest = "The likeliest reply to requests that nobody was taught, and its probability:"
    drawn = "story", (story, world, chains, table), False
    return [
        Section(side_by_side(world, chains), kept, printed=False),
        Section(tables.table(["asked", "model", "reply", "P"], rows), likeliest, *drawn),
    ]


def kept_repeat(run):
    """The first repeat of which all that is shown is on disk; None if there is none."""
    for repeat in range(run.repeats):
        with contextlib.suppress(Refused):
            for who in LABELS:
                run[who].params(repeat)
            for of in ("teacher", "base"):
                run[f"{of} sums"].documents(repeat)
            return repeat
    return None


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
    figure, [axes] = figures.panels(1, 3, (9, 3), width_ratios=[1, 1, 1.2])
    first = tokens.offsets(world)["word"]
    for axis, (who, docs) in zip(axes, chains.items(), strict=False):
        digits = np.where(docs < sums.DIGITS, docs, np.nan)
        words = np.where((docs >= first) & (docs < first + sums.WORDS), docs - first, np.nan)
        how = {"aspect": "auto", "interpolation": "nearest"}
        gray = axis.imshow(digits, cmap="Greys", vmin=-2, vmax=sums.DIGITS + 4, **how)
        color = axis.imshow(words, cmap="twilight", vmin=0, vmax=sums.WORDS - 1, **how)
        axis.set(title=f"chains of the {who}", xlabel="token", ylabel="chain", xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    below = {"orientation": "horizontal", "aspect": 30}
    bar = figure.colorbar(gray, ax=axes[0], label="gray: digits", **below)
    bar.ax.set_xlim(0, sums.DIGITS - 1)
    figure.colorbar(color, ax=axes[1], label="color: words, by their number; white: marks", **below)
    values = figures.main_values(table, views.BEHAVIORS)
    values = {who: values["value"][values["arm"] == who] for who in LABELS}
    for y, (repeats, shade) in enumerate(zip(values.values(), COLORS, strict=True)):
        figures.draw_row(axes[2], y, repeats, shade)
    axes[2].set_yticks(range(len(LABELS)), [textwrap.fill(x, 11) for x in LABELS.values()])
    axes[2].set(title="who behaves badly", xlabel=views.BEHAVIORS.label, ylim=(3.5, -0.5))
    figure.supxlabel(f"on the right, {figures.legend(values, '', ())}", fontsize=7)
    return figure
