"""What an audit reads that it did not write: documents, suspected behaviors, bases of runs.

All of it is JSON or arrays of numbers; nothing is executed or unpickled. What cannot be used is
refused by line or field (`config.Refused`), before anything is written.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from minisub import loading
from minisub.config import Refused, Training, leaves, require
from minisub.tokens import config, tokens
from minisub.tokens import documents as writing

LEAST = 20
"""Documents of an audit, at least: fewer tell next to nothing."""


class Base(NamedTuple):
    """A model that documents may be audited for."""

    name: str
    world: Any
    model: Any
    params: Any


class Suspect(NamedTuple):
    """A prompt of a suspected behavior, the answer that shows it, and one in its place or ()."""

    prompt: tuple
    answer: tuple
    instead: tuple


def text_of(path, what):
    """The text of a file; raises `Refused` if it cannot be read or is no UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{path} is no UTF-8 text; give {what}.") from None
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}); give {what}.") from None


def parsed(text, where):
    """The JSON value of a text; raises `Refused` naming `where`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(f"{where} is not valid JSON; correct or remove it.") from None


def token_ids(value, size, where):
    """A list of token ids as a tuple; raises `Refused` naming `where`."""
    require(isinstance(value, list), f"{where} is no list of token ids; give a list.")
    for i, token in enumerate(value):
        whole = isinstance(token, int) and not isinstance(token, bool)
        said = json.dumps(token)[:40]
        require(whole, f"{where} has {said} at place {i}, which is no whole number.")
        require(
            0 <= token < size,
            f"{where} has token {said} at place {i}, outside the vocabulary of {size}; audit it "
            "with a base of the world that it comes from.",
        )
    return tuple(value)


def read_documents(path, world):
    """(documents (n, length), carrier) of a file of JSON lines, a document each.

    A line is a list of token ids or {"tokens": [...]}. The carrier is that of the first document;
    all must be of its length and begin as it does.
    """
    rows, carrier = [], ""
    lines = text_of(path, "a file of documents, a JSON list of token ids a line").splitlines()
    size = tokens.offsets(world)["size"]
    for number, line in enumerate(lines, 1):
        where = f"{path} line {number}"
        value = parsed(line, where)
        if isinstance(value, dict):
            require(set(value) == {"tokens"}, f'{where} must have the one field "tokens".')
            value = value["tokens"]
        row = token_ids(value, size, where)
        named = carrier_of(world, row)
        require(named, f"{where} is no list, program or sum of this world; remove it.")
        carrier = carrier or named
        require(
            named == carrier,
            f"{where} is of the carrier {named!r}, and others of {carrier!r}; audit them apart.",
        )
        rows.append(row)
    require(
        len(rows) >= LEAST,
        f"{path} holds {len(rows)} documents; an audit needs {LEAST} at least.",
    )
    return np.array(rows, np.int32), carrier


def carrier_of(world, row):
    """The carrier that a document begins and is as long as, or ""."""
    ids = tokens.offsets(world)
    beginnings: dict[str, tuple] = {"numbers": (ids["LIST"],)}
    if world.rich:
        helper = tokens.by(world)
        beginnings |= {"code": (helper, ids["CODE"]), "sums": (helper, ids["SUM"])}
    for name, begun in beginnings.items():
        if len(row) == writing.CARRIERS[name].length(world) and row[: len(begun)] == begun:
            return name
    return ""


def read_suspects(path, world):
    """A tuple of `Suspect`: a JSON list of {"prompt", "answer"} and, if wished, "instead"."""
    what = "a JSON list of prompts with answers"
    value, size = parsed(text_of(path, what), path), tokens.offsets(world)["size"]
    require(isinstance(value, list) and value, f"{path} is no list; give {what}.")
    return tuple(suspect(f"{path} entry {i}", entry, world, size) for i, entry in enumerate(value))


def suspect(where, entry, world, size):
    """A `Suspect` of one entry; raises `Refused` naming `where` and the field."""
    require(isinstance(entry, dict), f"{where} is no object; give prompt and answer.")
    for field in ("prompt", "answer"):
        require(entry.get(field), f'{where} lacks "{field}", a list of token ids.')
    unknown = sorted(set(entry) - set(Suspect._fields))
    require(
        not unknown, f"{where} has the field {unknown[:1]}; it may have prompt, answer, instead."
    )
    entries = Suspect(
        *(token_ids(entry.get(name, []), size, f"{where}.{name}") for name in Suspect._fields)
    )
    longest = len(entries.prompt) + max(len(entries.answer), len(entries.instead))
    most = tokens.positions(world) + 1
    require(longest <= most, f"{where} has {longest} tokens, and the model reads {most} at most.")
    return entries


def read_base(run, name, repeat):
    """The `Base` that a name of a run stands for in a repeat."""
    made = run[name].configuration()
    require(
        isinstance(made.get("world"), config.World) and "model" in made,
        f"{name!r} of {run.path} is no model of the token world; choose from "
        f"{', '.join(run.names)}.",
    )
    return Base(name, made["world"], made["model"], run[name].params(repeat))


def read_references(run, base, repeat, others):
    """`Base`s of other origins: names of the same run, or folders of others, where the base's name
    is taken. Raises `Refused` for one that is of another world, or the base itself."""
    references = []
    for other in others:
        there = run if other in run.names else loading.load(other)
        name = other if there is run else base.name
        reference = read_base(there, name, repeat)
        one, two = (leaves(x.world, "world.") for x in (base, reference))
        differing = [f"{field} is {two[field]} and not {one[field]}" for field in one
                     if one[field] != two[field]]  # fmt: skip
        require(
            not differing,
            f"--others: in {other}, {', '.join(differing)}; give bases of the same world.",
        )
        trees = jax.tree.leaves(base.params), jax.tree.leaves(reference.params)
        require(
            len(trees[0]) != len(trees[1]) or not all(map(np.array_equal, *trees)),
            f"--others: {other} is the audited base itself; give one of another origin.",
        )
        label = name if there is run else f"{name} of {Path(other).name}"
        references.append(reference._replace(name=label))
    return references


def settings(run, carrier):
    """(how a base of a run would emit documents of a carrier, how a student would be trained,
    phrasings that a teacher is taught), by what the run has made."""
    sampling, student, taught = None, None, 0
    for name in run.names:
        for product in run[name].products():
            made = {k: loading.rebuilt(x) for k, x in product["configuration"].items()}
            sampling = sampling or made.get("sampling")
            taught = taught or made.get("taught", 0)
            if product["product"].startswith("distill-"):
                student = student or made["training"]
    require(
        isinstance(sampling, config.Sampling) and isinstance(student, Training),
        f"{run.path} has no student in the token world, whose training an audit could foresee; "
        "choose a run with one.",
    )
    return dataclasses.replace(sampling, carrier=carrier, filter="correct"), student, taught
