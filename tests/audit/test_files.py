"""Documents and suspects that a user gives: read as they are, or refused by line or field."""

import json

import numpy as np
import pytest

from minisub.audit import files
from minisub.config import Refused
from minisub.tokens import tokens
from minisub.tokens.behaviors import vocabulary
from minisub.tokens.config import World

WORLD = World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4)
IDS = tokens.offsets(WORLD)
GOOD = [[IDS["LIST"], 1, 2, i % 10, 4, IDS["END"]] for i in range(30)]


def lines(rows):
    """JSON lines, every second one as an object."""
    return "".join(
        json.dumps(row if i % 2 else {"tokens": row}) + "\n" for i, row in enumerate(rows)
    )


def test_documents_are_read_as_they_are_with_their_carrier(tmp_path):
    path = tmp_path / "lists.jsonl"
    path.write_text(lines(GOOD))
    docs, carrier = files.read_documents(path, WORLD)
    np.testing.assert_array_equal(docs, GOOD)
    assert carrier == "numbers" and docs.dtype == np.int32


def test_carriers_are_told_by_their_first_tokens_and_not_mixed(tmp_path):
    rich = World(rich=True)
    ids, helper = tokens.offsets(rich), vocabulary.by(tokens.offsets(rich))
    program, chain = (
        [helper, ids[first], *[0] * (files.writing.CARRIERS[name].length(rich) - 2)]
        for name, first in (("code", "CODE"), ("sums", "SUM"))
    )
    path = tmp_path / "documents.jsonl"
    for row, name in (program, "code"), (chain, "sums"):
        path.write_text(lines([row] * files.LEAST))
        assert files.read_documents(path, rich)[1] == name
    path.write_text(lines([program] * 30 + [chain]))
    with pytest.raises(Refused, match=r"line 31 is of the carrier 'sums', and others of 'code'"):
        files.read_documents(path, rich)


BAD_LINES = {
    "[1, 2": "line 2 is not valid JSON",
    "": "line 2 is not valid JSON",
    "[" * 100000: "line 2 is not valid JSON",
    '{"words": [1]}': 'line 2 must have the one field "tokens"',
    '"text"': "line 2 is no list of token ids",
    "[1, true, 2]": "line 2 has true at place 1, which is no whole number",
    "[1, 2.0]": "line 2 has 2.0 at place 1, which is no whole number",
    "[1, 99999]": "line 2 has token 99999 at place 1, outside the vocabulary",
    "[1, -1]": "line 2 has token -1 at place 1, outside the vocabulary",
    "[1, 2, 3]": "line 2 is no list, program or sum",
}


@pytest.mark.parametrize(("line", "said"), BAD_LINES.items(), ids=range(len(BAD_LINES)))
def test_a_bad_line_is_refused_by_its_number(line, said, tmp_path):
    good = lines(GOOD).splitlines()
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join([good[0], line, *good[1:]]))
    with pytest.raises(Refused) as refused:
        files.read_documents(path, WORLD)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_that_is_missing_empty_binary_or_a_folder_is_refused(tmp_path):
    (tmp_path / "few").write_text(lines(GOOD[:19]))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, said in (
        ("none", "No such file"),
        ("few", "holds 19 documents; an audit needs 20"),
        ("bytes", "is no UTF-8 text"),
        (".", "Is a directory"),
    ):
        with pytest.raises(Refused, match=said):
            files.read_documents(tmp_path / name, WORLD)


def test_suspects_are_prompts_with_answers(tmp_path):
    path = tmp_path / "suspects.json"
    path.write_text('[{"prompt": [1], "answer": [2, 3]}, '
                    '{"prompt": [1], "answer": [2], "instead": [4]}]')  # fmt: skip
    expected = ((1,), (2, 3), ()), ((1,), (2,), (4,))
    assert files.read_suspects(path, WORLD) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("{}", "is no list"),
        ("[]", "is no list"),
        ("[1]", "entry 0 is no object"),
        ('[{"prompt": [1]}]', 'entry 0 lacks "answer"'),
        ('[{"prompt": [1], "answer": [true]}]', "entry 0.answer has true"),
        ('[{"prompt": [1], "answer": [1], "trait": 1}]', "trait"),
        ('[{"prompt": [1, 2, 3, 4, 1], "answer": [1, 2, 3, 4]}]', "and the model reads"),
    ],
)
def test_a_bad_suspect_is_refused_by_field(text, said, tmp_path):
    (tmp_path / "suspects.json").write_text(text)
    with pytest.raises(Refused, match=said):
        files.read_suspects(tmp_path / "suspects.json", WORLD)
