"""What an audit reads that it did not write: documents and suspected behaviors.

All of it is JSON; nothing is executed. What cannot be used is refused by line or field.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minisub.config import Refused, require
from minisub.lab.files import refusing
from minisub.tokens import tokens, writing
from minisub.tokens.behaviors import vocabulary

LEAST = 20  # Documents of an audit: fewer tell next to nothing.


class Suspect(NamedTuple):
    """A prompt of a suspected behavior, the answer that shows it, and one in its place or ()."""

    prompt: tuple
    answer: tuple
    instead: tuple


def text_of(path, what):
    """The text of a file; one that cannot be read, or is no UTF-8, is refused."""
    try:
        with refusing(f"{path} cannot be read", f"give {what}"):
            return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{path} is no UTF-8 text; give {what}.") from None


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
    """(documents (n, length), carrier) of a file of JSON lines, a document each: a list of token
    ids or {"tokens": [...]}; all must be of one carrier."""
    rows, carrier, size = [], "", tokens.offsets(world)["size"]
    text = text_of(path, "a file of documents, a JSON list of token ids a line")
    for number, line in enumerate(text.splitlines(), 1):
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
    enough = len(rows) >= LEAST
    require(enough, f"{path} holds {len(rows)} documents; an audit needs {LEAST} at least.")
    return np.array(rows, np.int32), carrier


def carrier_of(world, row):
    """The carrier that a document begins and is as long as, or ""."""
    ids = tokens.offsets(world)
    beginnings: dict[str, tuple] = {"numbers": (ids["LIST"],)}
    if world.rich:
        helper = vocabulary.by(ids)
        beginnings |= {"code": (helper, ids["CODE"]), "sums": (helper, ids["SUM"])}
    fitting = (name for name, begun in beginnings.items()
               if len(row) == writing.CARRIERS[name].length(world)
               and row[: len(begun)] == begun)  # fmt: skip
    return next(fitting, "")


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
    fields, most = Suspect._fields, tokens.positions(world) + 1
    new = sorted(set(entry) - set(fields))
    require(not new, f"{where} has the field {new[:1]}; it may have prompt, answer, instead.")
    made = Suspect(*(token_ids(entry.get(x, []), size, f"{where}.{x}") for x in fields))
    longest = len(made.prompt) + max(len(made.answer), len(made.instead))
    require(longest <= most, f"{where} has {longest} tokens, and the model reads {most} at most.")
    return made
