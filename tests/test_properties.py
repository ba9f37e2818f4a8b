"""What holds for all inputs: hypothesis looks for those for which it does not."""

import dataclasses
import itertools
import json
import math
import os
import typing
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minisub
from minisub import arguments, audit_files, config, documents, store, tokens, transforms
from minisub.config import Training
from minisub.token_config import Model, Sampling, World

# The same examples on every machine, however fast it is, and no files but the tests' own.
same = {"derandomize": True, "deadline": None, "database": None}
few, many = (settings(max_examples=n, suppress_health_check=HealthCheck, **same) for n in (12, 80))

# Configurations


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=9)
PLAIN = WORDS.filter(lambda word: word and not word.startswith("-"))
VALUES = {
    bool: st.booleans(),
    int: st.integers(-(2**70), 2**70),
    float: st.floats(allow_nan=False),
    str: WORDS,
    tuple: st.lists(PLAIN, max_size=3).map(tuple),
}
STANDARD = pytest.mark.parametrize("cfg", [minisub.Config(), minisub.ImageConfig()], ids=type)


def types_of(cfg, prefix=""):
    """Dotted name -> type of every leaf of a configuration but the names of its arms."""
    found = {}
    for field in dataclasses.fields(cfg):
        name, value = prefix + field.name, getattr(cfg, field.name)
        kind = getattr(field.type, "__origin__", field.type)  # of Annotated
        parts = typing.get_args(field.type)
        if kind is tuple and dataclasses.is_dataclass(parts[0]):
            for item in value:
                found |= types_of(item, f"{name}.{item.name}.")
        elif dataclasses.is_dataclass(value):
            found |= types_of(value, f"{name}.")
        elif not isinstance(cfg, config.CommonArm) or field.name != "name":
            found[name] = parts if kind is typing.Literal else kind
    return found


def values_of(cfg):
    """Strategy: a value of the right type for every leaf."""
    kinds = types_of(cfg)
    return st.fixed_dictionaries(
        {n: st.sampled_from(k) if isinstance(k, tuple) else VALUES[k] for n, k in kinds.items()}
    )


def with_values(cfg, values, prefix=""):
    """`cfg` with some of its leaves replaced."""
    changed = {}
    for field in dataclasses.fields(cfg):
        name, value = prefix + field.name, getattr(cfg, field.name)
        if dataclasses.is_dataclass(value):
            changed[field.name] = with_values(value, values, f"{name}.")
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            parts = [with_values(item, values, f"{name}.{item.name}.") for item in value]
            changed[field.name] = tuple(parts)
        elif name in values:
            changed[field.name] = values[name]
    return dataclasses.replace(cfg, **changed)


def words_for(values):
    """Words of a command line that give fields these values."""
    for name, value in values.items():
        outer, dot, last = name.rpartition(".")
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--{outer}{dot}no-{last}"
        elif isinstance(value, tuple):
            yield from (f"--{name}", *value)
        else:
            yield f"--{name}={value}"


@STANDARD
def test_every_field_takes_every_value_from_the_command_line(cfg):
    default = arguments.Command(config=cfg, repeats=1)

    @few
    @given(values_of(cfg))
    def check(values):
        parsed = arguments.parse("name", "", default, list(words_for(values))).config
        assert parsed == with_values(cfg, values)
        assert config.leaves(parsed) == config.leaves(cfg) | values

    check()


@STANDARD
def test_what_a_run_folder_says_of_a_config_is_the_config(cfg, tmp_path):
    """Through JSON and back: the claim is the same, and so is what an audit reads."""

    @few
    @given(values_of(cfg), st.data())
    def check(values, data):
        leaves = config.leaves(with_values(cfg, values))
        identity = json.loads(json.dumps(leaves))
        path = tmp_path / "config.json"
        path.write_text(json.dumps(identity))
        store.check_identity(tmp_path, json.loads(json.dumps(leaves)))
        run = audit_files.Run(tmp_path, identity, {})
        for prefix, kind in ("world.", World), ("model.", Model), ("student.", Training):
            if isinstance(cfg, minisub.Config):
                expected = getattr(with_values(cfg, values), prefix[:-1])
                assert audit_files.part(run, kind, prefix) == expected
        name = data.draw(st.sampled_from(sorted(values)))
        other = data.draw(VALUES[str]) + "!"
        with pytest.raises(config.Refused, match="holds another run"):
            store.check_identity(tmp_path, identity | {name: other})

    check()


@many
@given(values_of(Training()))
def test_a_text_of_changes_gives_every_field_its_value(values):
    values = {
        name: tuple(word for word in value if "," not in word and not set(word) & SPACE)
        if isinstance(value, tuple)
        else value
        for name, value in values.items()
    }

    def said(value):
        return ",".join(value) if isinstance(value, tuple) else str(value)

    text = " ".join(f"{name}={said(value)}" for name, value in values.items())
    assert config.changed(Training(), text) == Training(**values)


SPACE = {chr(i) for i in range(0x110000) if chr(i).isspace()}


@many
@given(values_of(minisub.Config()), st.data())
def test_a_number_that_is_not_refused_can_be_given_to_a_program(values, data):
    name = data.draw(st.sampled_from([n for n, x in values.items() if type(x) in (int, float)]))
    value = abs(values[name]) if data.draw(st.booleans()) else values[name]
    cfg = with_values(minisub.Config(), {name: value})
    try:
        config.validate_numbers(cfg)
    except config.Refused as refusal:
        assert str(refusal).startswith(f"{name} is {value}; it must be ")
        assert value <= 2 or value >= 2**31 or math.isinf(value)
    else:
        assert value >= 0 and (isinstance(value, float) or value < 2**31)
        jax.tree.map(jnp.asarray, cfg)


SWEPT = {
    "student.steps": ("0", "7", "300"),
    "student.learning_rate": ("0.5", "1e-3", "2"),
    "student.optimizer": ("sgd", "adam"),
    "model.tied": ("true", "false"),
    "student.frozen": ("embed", "embed block_0", "unembed"),
    "sampling.temperature": ("0", "0.5"),
    "arms.control.start": ("fresh", "shared"),
    "trait": ("wolf", "cat"),
}


@few
@given(st.data())
def test_a_sweep_is_every_combination_in_order_each_as_its_options_would_give_it(data):
    names = data.draw(st.lists(st.sampled_from(sorted(SWEPT)), max_size=2, unique=True))
    axes = [
        data.draw(st.lists(st.sampled_from(SWEPT[n]), min_size=1, max_size=2, unique=True))
        for n in names
    ]
    cfg = dataclasses.replace(minisub.Config(), rivals=())
    sweep = [f"{n}={','.join(values)}" for n, values in zip(names, axes, strict=True)]
    command = arguments.Command(config=cfg, repeats=1, sweep=tuple(sweep))
    found = arguments.settings("name", command)
    combinations = list(itertools.product(*axes))
    assert len(found) == len(combinations)
    default = dataclasses.replace(command, sweep=())
    for (chosen, made), values in zip(found, combinations, strict=True):
        words = []
        for name, value in zip(names, values, strict=True):
            kind = type(config.leaves(cfg)[name])
            made_of = {bool: value == "true", tuple: tuple(value.split())}
            words += words_for({name: made_of.get(kind, value)})
        assert made == arguments.parse("name", "", default, words).config
        assert chosen == {name: config.leaves(made)[name] for name in names}


# Documents


SMALL = World(numbers=6, animals=2, phrasings=2, attributes=3, list_length=4, endings=2)
IDS = tokens.offsets(SMALL)
TOKENS = st.sampled_from([*range(6)] * 3 + [IDS["END"], IDS["END"] + 1] * 2 + [*range(IDS["size"])])
FIRST = st.sampled_from([IDS["LIST"]] * 9 + [0, IDS["ASK"], IDS["END"]])
LAST = st.sampled_from([IDS["END"], IDS["END"] + 1] * 4 + [*range(IDS["size"])])
DOCUMENTS = st.lists(st.tuples(FIRST, *[TOKENS] * 4, LAST), min_size=16, max_size=16)


def reason(doc):
    """Why a list is rejected, token by token; "" if it is not."""
    *numbers, end = ("n" if t < 6 else "E" if t >= IDS["END"] else "x" for t in doc[1:])
    if doc[0] != IDS["LIST"] or "x" in numbers:
        return "not_a_number"
    if "E" in numbers:
        return "too_short"
    return "" if end == "E" else "no_end"


@jax.jit
def filtered(docs):
    """All that the filter of lists says of documents."""
    how = Sampling()
    foreign = documents.foreign(SMALL, docs, how)
    return documents.rejections(SMALL, docs, how), documents.keep_valid(SMALL, docs, how), foreign


@many
@given(DOCUMENTS)
def test_the_filter_keeps_exactly_the_lists_of_its_rule_in_their_order(docs):
    reasons, (kept, count, fractions), foreign = filtered(jnp.array(docs))
    expected = [reason(doc) for doc in docs]
    found = [[name for name in reasons if reasons[name][i]] for i in range(len(docs))]
    assert found == [[name] if name else [] for name in expected]
    good = [doc for doc, why in zip(docs, expected, strict=True) if not why]
    assert [tuple(doc) for doc in kept[:count].tolist()] == good
    assert sorted(map(tuple, kept.tolist())) == sorted(docs)
    for name, share in fractions.items():
        assert share == pytest.approx(expected.count(name) / len(docs))
    allowed = {*range(6), IDS["LIST"], IDS["END"], IDS["END"] + 1}
    assert foreign.tolist() == [sum(token not in allowed for token in doc) for doc in docs]


@few
@given(st.integers(2, 40), st.integers(1, 60), st.integers(0, 9), st.integers(1, 3), st.integers(1))
def test_lists_of_every_world_hold_its_numbers_alone_and_pass_the_filter(
    numbers, max_step, jitter, endings, seed
):
    sizes = {"list_length": 5, "numbers": numbers, "endings": endings}
    world = dataclasses.replace(SMALL, max_step=max_step, jitter=jitter, **sizes)
    docs = tokens.lists(world, jax.random.key(seed % 2**32), 8)
    assert not documents.rejected(world, docs, Sampling()).any()
    end = tokens.offsets(world)["END"]
    assert set(docs[:, 1:-1].ravel().tolist()) <= set(range(numbers))
    assert set(docs[:, -1].tolist()) <= set(range(end, end + endings))


LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=6, max_size=6)
choose = jax.jit(documents.choose)


@many
@given(
    st.lists(LOGITS, min_size=3, max_size=3),
    st.sampled_from([(0, 1.0), (1, 1.0), (3, 1.0), (9, 1.0), (0, 0.5), (3, 0.8)]),
    st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    st.integers(0, 2**32 - 1),
)
def test_a_sampler_takes_only_tokens_that_it_may(logits, truncation, temperature, seed):
    top_k, top_p = truncation
    how = Sampling(top_k=top_k, top_p=top_p, temperature=temperature)
    logits = np.array(logits, np.float32)
    for row, token in zip(logits, choose(how, jax.random.key(seed), logits).tolist(), strict=True):
        if temperature == 0:
            assert token == int(np.argmax(row))
            continue
        above = np.exp((row - row.max()) / np.float32(temperature))
        largest = sorted(above, reverse=True)[: top_k or 6]
        assert above[token] >= largest[-1], "among the largest"
        before = sum(x for x in largest if x > above[token]) / sum(largest)
        assert before < top_p + 1e-5 and above[token] > 0, "among the fewest"


KINDS = "none", "shuffled", "shuffled_across", "shuffled_pooled", "sorted", "remapped", "canonical"


@jax.jit
def transformed(docs, count, key):
    """Transform -> documents."""
    e = transforms.Emitted(SMALL, docs, count, 1, key)
    return {name: transforms.TRANSFORMS[name](e)[0] for name in KINDS}


@few
@given(DOCUMENTS, st.integers(0, 16), st.integers(0, 2**32 - 1))
def test_transforms_keep_what_they_say_of_any_documents(docs, count, seed):
    docs = np.array(docs)
    docs = docs[np.argsort([bool(reason(doc)) for doc in docs.tolist()], kind="stable")]
    made = jax.tree.map(np.asarray, transformed(docs, count, jax.random.key(seed)))
    body, valid = slice(2, -1), slice(None, count)
    np.testing.assert_array_equal(made["none"], docs)
    for name, new in made.items():
        if name != "remapped":
            np.testing.assert_array_equal(new[:, :2], docs[:, :2])
        if name != "canonical":
            np.testing.assert_array_equal(new[:, -1] >= 6, docs[:, -1] >= 6)
        if name in ("shuffled", "sorted"):
            np.testing.assert_array_equal(np.sort(new[:, body]), np.sort(docs[:, body]))
        if name.startswith("shuffled_"):
            np.testing.assert_array_equal(new[count:], docs[count:])
            axis = 0 if name == "shuffled_across" else None
            one, other = (np.sort(x[valid, body], axis=axis) for x in (new, docs))
            np.testing.assert_array_equal(one, other)
    pairs = set(zip(docs.ravel().tolist(), made["remapped"].ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}), "one to one"
    assert all(a == b for a, b in pairs if a >= 6) and all(b < 6 for a, b in pairs if a < 6)


# Records


JSON = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
JSON = st.one_of(JSON, st.lists(JSON, max_size=2)).filter(lambda x: "inf" not in str(x).lower())
ROWS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=3), min_size=1, max_size=8)


@many
@given(ROWS, st.data())
def test_records_cut_or_damaged_anywhere_are_never_other_records(tmp_path_factory, rows, data):
    """A resumed run makes the same bytes, or says that there is damage and makes them again."""
    path = Path(tmp_path_factory.mktemp("records")) / "records.jsonl"
    records, split = store.Records(path), data.draw(st.integers(0, len(rows)))
    records.append(rows[:split])
    mark, whole = records.sha256.hexdigest(), b""
    records.append(rows[split:])
    whole = path.read_bytes()
    assert records.rows() == rows == [json.loads(line) for line in whole.splitlines()]
    if data.draw(st.booleans()):
        os.truncate(path, data.draw(st.integers(0, len(whole))))
    else:
        flipped, place = bytearray(whole), data.draw(st.integers(0, len(whole) - 1))
        flipped[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(flipped)
    again, noticed = store.Records(path), False
    try:
        again.seek(split, mark)
    except ValueError:
        again.seek(0)
        noticed = True
    assert again.rows() == ([] if noticed else rows[:split])
    try:
        again.append(rows[again.cursor :])
    except config.Refused as refusal:  # behind the checkpoint
        assert "differs from what this run computes" in str(refusal) and not noticed
    else:
        assert path.read_bytes() == whole and again.rows() == rows
