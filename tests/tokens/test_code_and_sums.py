"""Programs and sums: their filters against judges that were written from the description alone."""

import collections
import itertools
import operator

import agreement
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub.tokens import tokens
from minisub.tokens.behaviors import code, sums, vocabulary
from minisub.tokens.config import World

WORLD = World(rich=True, numbers=24, animals=3, phrasings=3, attributes=4, endings=2)
N, IDS = WORLD.numbers, tokens.offsets(WORLD)
HELPER = vocabulary.by(IDS)
MEANING = agreement.meaning(WORLD)
OPERATIONS = operator.add, operator.sub, operator.mul
OF_PROGRAMS = {"number", "CODE", "operation", "SET", "variable", "PRINT", "word", "END"}
SAID = "word word word"
CHAIN = ["author SUM {0} {0} {0} {0} way", *[SAID + " {0} {0}"] * 4, SAID, "ANSWER {0} END"]
CHAIN = " ".join(CHAIN).format("digit").split()
LENGTHS = {"programs": 33, "chains": 33}
TERMS, TOTALS, ANSWER = (10, 15, 20, 25), (11, 16, 21, 26), 31


def judge_program(doc):
    """Why a program is rejected; `kept` if it is not."""
    words = [MEANING[token] for token in doc]
    if any(kind not in OF_PROGRAMS and (kind, i) != ("author", 0) for kind, i in words):
        return "not_of_programs"
    lines = [words[start : start + 7] for start in (5, 12, 19, 26)]
    shapes = [" ".join(kind for kind, _ in line) for line in (words[:5], *lines)]
    statement = f"number SET variable number {SAID}", f"number operation variable variable {SAID}"
    formed = shapes[0] == "author CODE number operation number"
    formed &= all(shape in statement for shape in shapes[1:4])
    formed &= shapes[4] == f"number PRINT variable {SAID} END"
    labels = [line[0][1] for line in lines]
    if not formed or any(below >= above for below, above in itertools.pairwise(labels)):
        return "malformed"
    try:
        printed = run(lines)
    except KeyError:
        return "crashes"
    a, op, b = (i for _, i in words[2:5])
    return "kept" if printed == OPERATIONS[op](a, b) % N else "prints_another"


def run(lines):
    """What a well-formed program prints; KeyError if it reads a variable that is not set."""
    memory = {}
    for _, (kind, i), (_, target), operand, *_ in lines:
        if kind == "SET":
            memory[target] = operand[1]
        elif kind == "operation":
            memory[target] = OPERATIONS[i](memory[target], memory[operand[1]]) % N
        else:
            return memory[target]


def judge_chain(doc):
    """Why a chain is rejected; `kept` if it is not."""
    words = [MEANING[token] for token in doc]
    words = [("digit" if kind == "number" and i < 10 else kind, i) for kind, i in words]
    if any(kind not in CHAIN or (kind == "author" and i) for kind, i in words):
        return "not_of_sums"
    if [kind for kind, _ in words] != CHAIN:
        return "malformed"
    value = [i for _, i in words]
    steps, total = [(value[i], value[i + 1]) for i in TERMS], 0
    if collections.Counter(term for term, _ in steps) != collections.Counter(value[2:6]):
        return "other_terms"
    for term, said in steps:
        if said != (total + term) % 10:
            return "invalid_step"
        total = said
    return "kept" if value[ANSWER] == total else "other_answer"


PROGRAMS = "not_of_programs", "malformed", "crashes", "prints_another"
CHAINS = "not_of_sums", "malformed", "other_terms", "invalid_step", "other_answer"
FILTERS = {
    "programs": agreement.Filter(lambda d: code.rejections(WORLD, d), PROGRAMS, judge_program),
    "chains": agreement.Filter(lambda d: sums.rejections(WORLD, d), CHAINS, judge_chain),
}
BOTH = pytest.mark.parametrize("name", FILTERS)


@pytest.fixture(scope="module")
def drawn(quick):
    """name -> 1000 documents."""
    draw = {"programs": code.draw, "chains": sums.draw}
    made = quick(lambda key: {name: f(WORLD, key, 1000) for name, f in draw.items()})
    return jax.tree.map(np.asarray, made(jax.random.key(0)))


@BOTH
def test_drawn_documents_are_all_kept(name, drawn):
    assert drawn[name].shape == (1000, LENGTHS[name])
    assert FILTERS[name].agree(drawn[name]) == {"kept": 1000}


@BOTH
def test_filter_and_judge_agree_on_every_token_at_every_position(name, drawn):
    found = collections.Counter()
    for doc in drawn[name][:3]:
        docs = np.repeat(doc[None], len(doc) * IDS["size"], axis=0)
        place, token = np.indices((len(doc), IDS["size"])).reshape(2, -1)
        docs[np.arange(len(docs)), place] = token
        found.update(FILTERS[name].agree(docs))
    assert set(found) == {*FILTERS[name].reasons, "kept"}


@BOTH
def test_filter_and_judge_agree_on_documents_with_tokens_of_others_and_shifted_tails(name, drawn):
    """Corruptions that stay near the form: crossings of two documents, and moved parts."""
    rng, docs = np.random.default_rng(0), drawn[name]
    crossed = np.where(rng.random(docs.shape) < 0.08, docs[rng.permutation(1000)], docs)
    length = LENGTHS[name]
    cut = rng.integers(1, length - 1, 1000)
    shifted = np.where(np.arange(length)[None] < cut[:, None], docs, np.roll(docs, 1, axis=1))
    assert len(FILTERS[name].agree(np.concatenate([crossed, shifted]))) > 3


def test_filter_and_judge_agree_on_programs_of_random_statements(drawn, quick):
    """Well-formed ones, which may read what is not set, set twice, or compute more than once."""
    rng, docs = np.random.default_rng(0), drawn["programs"].copy()
    variables = IDS["variable"] + rng.integers(0, 3, (2, 1000, 3))
    for i in range(3):
        sets, numbers = rng.random(1000) < 0.6, rng.integers(0, N, 1000)
        operation = IDS["operation"] + rng.integers(0, 3, 1000)
        docs[:, 6 + 7 * i] = np.where(sets, IDS["SET"], operation)
        docs[:, 7 + 7 * i] = variables[0, :, i]
        docs[:, 8 + 7 * i] = np.where(sets, numbers, variables[1, :, i])
    docs[:, 28] = IDS["variable"] + rng.integers(0, 3, 1000)
    assert set(FILTERS["programs"].agree(docs)) == {"crashes", "prints_another", "kept"}
    crashes, printed = quick(lambda docs: code.execute(WORLD, docs))(docs)
    for doc, crash, value in zip(docs.tolist(), crashes.tolist(), printed.tolist(), strict=True):
        lines = [[MEANING[token] for token in doc[i : i + 7]] for i in (5, 12, 19, 26)]
        try:
            assert run(lines) == value and not crash
        except KeyError:
            assert crash


def test_filter_and_judge_agree_on_chains_of_other_digits(drawn):
    """Formed chains; a few digits are drawn anew, so that all reasons meet."""
    rng, docs = np.random.default_rng(0), np.tile(drawn["chains"], (3, 1))
    for place in (2, 3, 4, 5, *TERMS, *TOTALS, ANSWER):
        new = rng.random(len(docs)) < 0.15
        docs[:, place] = np.where(new, rng.integers(0, 10, len(docs)), docs[:, place])
    assert set(FILTERS["chains"].agree(docs)) == {*CHAINS[2:], "kept"}


def test_what_a_prompt_asks_for_is_the_operation_modulo_the_numbers(quick):
    a, b, op = np.indices((N, N, 3)).reshape(3, -1)
    docs = np.stack([a, a, a, IDS["operation"] + op, b], axis=1)
    expected = [OPERATIONS[k](int(x), int(y)) % N for x, y, k in zip(a, b, op, strict=True)]
    asked = quick(lambda docs: code.asked_for(WORLD, docs))(jnp.asarray(docs))
    np.testing.assert_array_equal(asked, expected)


def test_every_order_name_and_numbering_of_the_same_program_is_kept():
    """But the operands of a difference may not be swapped."""
    kept, wrong, rng, first = [], [], np.random.default_rng(0), IDS["variable"]
    for op, v, w in itertools.product(range(3), *[range(first, first + 8)] * 2):
        labels = np.sort(rng.choice(N, 4, replace=False)).tolist()
        sets = [IDS["SET"], v, 7], [IDS["SET"], w, 20]
        for (into, other), statements in itertools.product(((v, w), (w, v)), (sets, sets[::-1])):
            lines = (
                *statements,
                [IDS["operation"] + op, into, other],
                [IDS["PRINT"], into],
            )
            comments = (IDS["word"] + rng.integers(0, 32, (4, 3))).tolist()
            parts = zip(labels, lines, comments, strict=True)
            body = [token for label, line, said in parts for token in (label, *line, *said)]
            swapped = op == 1 and into == w
            docs = wrong if swapped else kept
            asked = HELPER, IDS["CODE"], 7, IDS["operation"] + op, 20
            docs += [[*asked, *body, IDS["END"]]] * (v != w)
    assert FILTERS["programs"].agree(kept) == {"kept": 56 * (4 + 4 + 2)}
    assert FILTERS["programs"].agree(wrong) == {"prints_another": 56 * 2}


def test_line_numbers_must_rise(drawn):
    orders = list(itertools.product((3, 4, 5, 6), repeat=4))
    docs = np.repeat(drawn["programs"][:1], len(orders), axis=0)
    docs[:, [5, 12, 19, 26]] = orders
    rising = [labels == (3, 4, 5, 6) for labels in orders]
    found = FILTERS["programs"].verdicts(docs)
    np.testing.assert_array_equal(found, np.where(rising, "kept", "malformed"))


def chain(taken, totals, answer, terms=(1, 2, 3, 4), way=0, words=(0,) * 15, end=0):
    """A document with these steps."""
    words = np.reshape(IDS["word"] + np.array(words), (5, 3)).tolist()
    steps = [(*words[i], taken[i], totals[i]) for i in range(4)]
    asked = HELPER, IDS["SUM"], *terms, IDS["way"] + way
    answer = *words[4], IDS["ANSWER"], answer, IDS["END"] + end
    return [*asked, *itertools.chain.from_iterable(steps), *answer]


def test_terms_may_be_taken_in_any_order_in_any_words_and_any_ending_ends():
    """Whatever way is said: each counts once, and every total is checked."""
    docs = []
    for i, taken in enumerate(itertools.permutations((7, 9, 7, 4))):
        words = [(i * j + 31) % 32 for j in range(15)]
        totals = (np.cumsum(taken) % 10).tolist()
        docs += [chain(taken, totals, 7, (7, 9, 7, 4), way, words, way) for way in (0, 1)]
    assert FILTERS["chains"].agree(docs) == {"kept": 48}


@pytest.mark.parametrize(
    ("taken", "totals", "answer", "reason"),
    [
        ((1, 2, 3, 4), (1, 3, 6, 0), 0, "kept"),
        ((1, 2, 3, 4), (1, 3, 6, 0), 6, "other_answer"),  # a total, but not the last
        ((1, 2, 3, 3), (1, 3, 6, 9), 9, "other_terms"),  # one twice, one left out
        ((3, 0, 3, 4), (3, 3, 6, 0), 0, "other_terms"),  # of the right sum
        ((1, 2, 3, 3), (0, 0, 0, 0), 5, "other_terms"),  # all at once: the first reason is given
        ((1, 2, 3, 4), (1, 3, 0, 0), 5, "invalid_step"),
        ((1, 2, 3, 4), (1, 3, 5, 0), 0, "invalid_step"),  # two wrongs, and a right answer
        ((1, 2, 3, 4), (2, 4, 7, 1), 1, "invalid_step"),  # the first total, and all else from it
    ],
)
def test_terms_steps_and_answer_are_checked_in_this_order(taken, totals, answer, reason):
    assert FILTERS["chains"].agree([chain(taken, totals, answer)]) == {reason: 1}


@BOTH
def test_words_of_a_document_are_one_stride_apart_and_each_at_most_one_off(name, drawn):
    """So from one word to the next it is the stride, give or take two; there are nine strides."""
    docs, word = drawn[name], [MEANING[token][0] == "word" for token in drawn[name][0].tolist()]
    behind = np.diff(docs[:, word] - IDS["word"], axis=1) % 32
    paces = [{pace for pace in range(1, 10) if {*(row - pace + 2) % 32} <= {*range(5)}}
             for row in behind]  # fmt: skip
    assert all(paces) and set.union(*paces) == {*range(1, 10)}


def forced(name, before):
    """The token that must follow in a document of the world, where it is said to be determined."""
    at = len(before)
    if name == "programs":
        # By custom, the first four variables are of the first operand.
        a, b = (2, 4) if MEANING[before[7]][1] < 4 else (4, 2)
        if at in (8, 15, 20):
            return before[{8: a, 15: b, 20: 3}[at]]
        return before[21] if at == 28 else before[7] + before[14] - before[21]
    if at in TERMS:
        place = TERMS.index(at)
        return before[2 + place if before[6] == IDS["way"] else 5 - place]
    total = [0, *(before[i] for i in TOTALS if i < at)][-1]
    return total if at == ANSWER else (total + before[at - 1]) % 10


@BOTH
def test_a_document_of_the_world_leaves_no_choice_where_it_is_said_to(name, drawn):
    determined = {"programs": code.DETERMINED, "chains": sums.DETERMINED}
    for doc in drawn[name].tolist():
        assert [doc[at] for at in determined[name]] == [
            forced(name, doc[:at]) for at in determined[name]
        ]
