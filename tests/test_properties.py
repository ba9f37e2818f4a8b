"""What holds for all documents, samples and records: hypothesis looks for exceptions."""

import dataclasses
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minisub import config, documents, store, tokens, transforms
from minisub.token_config import Sampling, World

# The same examples on every machine, however fast it is, and no files but the tests' own.
same = {"derandomize": True, "deadline": None, "database": None}
few, many = (settings(max_examples=n, suppress_health_check=HealthCheck, **same) for n in (12, 80))


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
