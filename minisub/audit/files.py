"""What an audit reads that it did not write: documents, suspected behaviors, bases of run folders.

All of it is JSON or arrays of numbers; nothing is executed or unpickled. What cannot be used is
refused by line or field (`config.Refused`), before anything is written.
"""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from minisub import config, runner
from minisub import token_checks as checks
from minisub.lab import store
from minisub.nets import trees
from minisub.tokens import config, documents, tokens

LEAST = 20
"""Documents of an audit, at least: fewer tell next to nothing."""


class Base(NamedTuple):
    """A base of a run folder, with what the run's configuration says of it."""

    name: str
    world: Any
    model: Any
    params: Any


class Run(NamedTuple):
    """What a run folder holds."""

    folder: Path
    identity: dict
    """The fields of its configuration, dotted name -> value."""
    products: dict
    """Phase -> arrays, with an axis of the repeats of its last group."""


class Suspect(NamedTuple):
    """A prompt of a suspected behavior, the answer that shows it, and one in its place or ()."""

    prompt: tuple
    answer: tuple
    instead: tuple


def text_of(path, what):
    """The text of a file; raises `config.Refused` if it cannot be read or is no UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise config.Refused(f"{path} is no UTF-8 text; give {what}.") from None
    except OSError as error:
        raise config.Refused(f"{path} cannot be read ({error.strerror}); give {what}.") from None


def parsed(text, where):
    """The JSON value of a text; raises `config.Refused` naming `where`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise config.Refused(f"{where} is not valid JSON; correct or remove it.") from None


def token_ids(value, size, where):
    """A list of token ids as a tuple; raises `config.Refused` naming `where`."""
    config.require(isinstance(value, list), f"{where} is no list of token ids; give a list.")
    for i, token in enumerate(value):
        whole = isinstance(token, int) and not isinstance(token, bool)
        said = json.dumps(token)[:40]
        config.require(whole, f"{where} has {said} at place {i}, which is no whole number.")
        config.require(
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
            config.require(set(value) == {"tokens"}, f'{where} must have the one field "tokens".')
            value = value["tokens"]
        row = token_ids(value, size, where)
        found = carrier_of(world, row)
        config.require(found, f"{where} is no list, program or sum of this world; remove it.")
        carrier = carrier or found
        config.require(
            found == carrier,
            f"{where} is of the carrier {found!r}, and others of {carrier!r}; audit them apart.",
        )
        rows.append(row)
    config.require(
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
        if len(row) == documents.CARRIERS[name].length(world) and row[: len(begun)] == begun:
            return name
    return ""


def read_suspects(path, world):
    """A tuple of `Suspect`: a JSON list of {"prompt", "answer"} and, if wished, "instead"."""
    what = "a JSON list of prompts with answers"
    value, size = parsed(text_of(path, what), path), tokens.offsets(world)["size"]
    config.require(isinstance(value, list) and value, f"{path} is no list; give {what}.")
    return tuple(suspect(f"{path} entry {i}", entry, world, size) for i, entry in enumerate(value))


def suspect(where, entry, world, size):
    """A `Suspect` of one entry; raises `config.Refused` naming `where` and the field."""
    config.require(isinstance(entry, dict), f"{where} is no object; give prompt and answer.")
    for field in ("prompt", "answer"):
        config.require(entry.get(field), f'{where} lacks "{field}", a list of token ids.')
    unknown = sorted(set(entry) - set(Suspect._fields))
    config.require(
        not unknown, f"{where} has the field {unknown[:1]}; it may have prompt, answer, instead."
    )
    found = Suspect(
        *(token_ids(entry.get(name, []), size, f"{where}.{name}") for name in Suspect._fields)
    )
    longest = len(found.prompt) + max(len(found.answer), len(found.instead))
    most = tokens.positions(world) + 1
    config.require(
        longest <= most, f"{where} has {longest} tokens, and the model reads {most} at most."
    )
    return found


def read_run(folder):
    """The `Run` of a folder; its newest whole checkpoint is read, and nothing is changed."""
    folder = Path(folder)
    path = folder / "config.json"
    identity = parsed(text_of(path, "the folder of a run"), path)
    config.require(isinstance(identity, dict), f"{path} is no JSON object; choose another run.")
    last = store.parts(folder, store.noted(folder, "lanes", 1))[-1]
    products = runner.products(checkpointing.Checkpoints(last / "checkpoints"), aside=False)
    config.require(
        products, f"{folder} has no checkpoint that is whole; choose a run that has one."
    )
    return Run(folder, identity, products)


def part(run, cls, prefix):
    """A part of a run's configuration, such as its `World`; `config.Refused` names a bad field."""
    path, values = run.folder / "config.json", {}
    for field in dataclasses.fields(cls):
        name = prefix + field.name
        config.require(
            name in run.identity, f"{path} lacks {name}; choose a run of the token world."
        )
        value, kind = run.identity[name], type(field.default)
        value = tuple(value) if kind is tuple and isinstance(value, list) else value
        value = float(value) if kind is float and type(value) is int else value
        choices = typing.get_args(field.type) if typing.get_origin(field.type) else ()
        literal = typing.get_origin(field.type) is typing.Literal
        config.require(
            type(value) is kind and (not literal or value in choices),
            f"{path}: {name} is {json.dumps(run.identity[name])[:40]}; choose another run.",
        )
        values[field.name] = value
    return cls(**values)


def read_base(run, lineage, repeat=None):
    """The `Base` of a lineage in a repeat (default: the first whose models the folder holds).

    Raises `config.Refused` naming the field if the checkpoint is of another architecture or world.
    """
    world = part(run, token_config.World, "world.")
    model = part(run, token_config.Model, "model.")
    model = config.changed(model, run.identity.get(f"lineages.{lineage}.model", ""))
    checks.check_world(world)
    checks.check_model(model)
    bases = [name.removeprefix("base/") for name in run.products if name.startswith("base/")]
    config.require(
        lineage in bases,
        f"--lineage: {run.folder} has no base {lineage!r}; choose from {', '.join(bases) or 'none'}"
        ".",
    )
    tree, row = run.products[f"base/{lineage}"], row_of(run, repeat)
    net = distillation.network({"world": world, "model": model})
    expected = jax.eval_shape(net.init, jax.random.key(0))
    there, here = (
        {trees.path_name(path): x.shape for path, x in jax.tree_util.tree_leaves_with_path(t)}
        for t in (jax.tree.map(lambda x: x[0], tree), expected)
    )
    for name in here | there:
        config.require(
            there.get(name) == here.get(name),
            f"base/{lineage} in {run.folder} has {name} of shape {there.get(name)}, and its "
            f"config.json (world, model) says {here.get(name)}: a checkpoint of another "
            "architecture; choose the folder that it comes from.",
        )
    return Base(lineage, world, model, jax.tree.map(lambda x: x[row], tree))


def row_of(run, repeat):
    """Where a repeat is among those whose models a folder holds; raises `config.Refused`."""
    rows = len(jax.tree.leaves(run.products)[0])
    last = run.identity.get("repeats", rows)
    held = range(last - rows, last)
    repeat = held[0] if repeat is None else repeat
    config.require(
        repeat in held,
        f"--repeat is {repeat}; {run.folder} holds the models of {held[0]} to {held[-1]}.",
    )
    return repeat - held[0]


def references(run, base, repeat=None, others=()):
    """Bases of other origins: those of the run's other lineages, and of `others`, more runs.

    Raises `config.Refused` naming the field in which the world of another run differs.
    """

    def origin(name):
        return run.identity.get(f"lineages.{name}.origin") or name

    lines = [name.removeprefix("base/") for name in run.products if name.startswith("base/")]
    found = [read_base(run, x, repeat) for x in lines if origin(x) != origin(base.name)]
    for other in others:
        world = part(other, token_config.World, "world.")
        one, two = (config.leaves(w, "world.") for w in (base.world, world))
        for name in one:
            config.require(
                one[name] == two[name],
                f"--others: {name} is {two[name]} in {other.folder} and {one[name]} in "
                f"{run.folder}; give runs of the same world.",
            )
        names = [name for name in other.products if name.startswith("base/")]
        found += [
            read_base(other, name.removeprefix("base/"))._replace(
                name=f"{name.removeprefix('base/')} of {other.folder.name}"
            )
            for name in names
        ]
    return found


def write_documents(run, source, path, repeat=None, rejected=False):
    """Write what a source of a run emitted as JSON lines; returns how many documents.

    Those that the filter kept or, with `rejected`, all that were sampled.
    """
    sources = [n.removeprefix("numbers/") for n in run.products if n.startswith("numbers/")]
    config.require(
        source in sources,
        f"--source: {run.folder} has no documents of {source!r}; choose from {', '.join(sources)}.",
    )
    row, emitted = row_of(run, repeat), run.products[f"numbers/{source}"]
    docs = np.asarray(emitted["docs"][row])
    docs = docs if rejected else docs[: int(emitted["count"][row])]
    text = "".join(json.dumps(doc) + "\n" for doc in docs.tolist())
    path = Path(path)
    with store.refusing(f"{path} cannot be written", "choose another --out"):
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write_atomically(path, text)
    return len(docs)


def settings(run, carrier):
    """(how a base of a run would emit documents of a carrier, how a student would be trained,
    phrasings that a teacher is taught), by the run's configuration."""
    sampling = part(run, token_config.Sampling, "sampling.")
    sampling = dataclasses.replace(sampling, carrier=carrier, filter="correct")
    student = part(run, config.Training, "student.")
    taught = run.identity.get("taught_phrasings")
    config.require(
        type(taught) is int, f"{run.folder}/config.json lacks taught_phrasings; choose another run."
    )
    return sampling, student, taught
