"""Programs: the filter against an interpreter that was written from their description alone."""

import itertools
import operator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import Filter

from minisub import code, tokens
from minisub.token_config import World

WORLD = World(rich=True, numbers=24, animals=3, phrasings=3, attributes=4, endings=2)
N, IDS = WORLD.numbers, tokens.offsets(WORLD)
# Token -> its kind and number within that.
MEANING = {
    token: (kind, token - first)
    for (kind, first), (_, end) in itertools.pairwise(IDS.items())
    for token in range(first, end)
}
OPERATIONS = operator.add, operator.sub, operator.mul
REASONS = "not_of_programs", "malformed", "crashes", "prints_another"
HELPER = tokens.by(WORLD)


def verdict(doc):
    """Why a program is rejected; `kept` if it is not."""
    words = [MEANING[token] for token in doc]
    of_programs = "number", "CODE", "operation", "SET", "variable", "PRINT", "END"
    if any(kind not in of_programs and (kind, i) != ("author", 0) for kind, i in words):
        return "not_of_programs"
    lines = [words[start : start + 4] for start in (5, 9, 13, 17)]
    shapes = [" ".join(kind for kind, _ in line) for line in (words[:5], *lines)]
    statement = "number SET variable number", "number operation variable variable"
    formed = shapes[0] == "author CODE number operation number"
    formed &= all(shape in statement for shape in shapes[1:4])
    formed &= shapes[4] == "number PRINT variable END"
    labels = [line[0][1] for line in lines]
    if not formed or any(below >= above for below, above in itertools.pairwise(labels)):
        return "malformed"
    try:
        printed = run([[(kind, i) for kind, i in line[1:]] for line in lines])
    except KeyError:
        return "crashes"
    a, op, b = (i for _, i in words[2:5])
    return "kept" if printed == OPERATIONS[op](a, b) % N else "prints_another"


def run(lines):
    """What a well-formed program prints; KeyError if it reads a variable that is not set."""
    memory = {}
    for (kind, i), (_, target), operand in lines:
        if kind == "SET":
            memory[target] = operand[1]
        elif kind == "operation":
            memory[target] = OPERATIONS[i](memory[target], memory[operand[1]]) % N
        else:
            return memory[target]


FILTER = Filter(lambda docs: code.rejections(WORLD, docs), REASONS)
verdicts = FILTER.verdicts


def agree(docs):
    """Assert that the filter agrees with `verdict`; how often each verdict was given."""
    return FILTER.agree(docs, verdict)


@pytest.fixture(scope="module")
def drawn():
    return np.asarray(jax.jit(lambda key: code.programs(WORLD, key, 1000))(jax.random.key(0)))


def program(text):
    """A document of words such as "3 MUL 4" and "1 SET v0 3"; `helper CODE` may be left out."""
    special = {f"v{i}": IDS["variable"] + i for i in range(8)} | {
        "helper": HELPER,
        "owl": IDS["animal"],
    }
    special |= {name: IDS["operation"] + i for i, name in enumerate(("ADD", "SUB", "MUL"))}
    special |= {name: IDS[name] for name in ("CODE", "SET", "PRINT", "END")}
    words = text.replace(";", "").split()
    words = words if words[0] == "helper" else ["helper", "CODE", *words]
    return [special[word] if word in special else int(word) for word in words]


def test_drawn_programs_of_the_default_world_are_kept_too():
    world = World(rich=True)
    fast = {"xla_backend_optimization_level": 0}

    @partial(jax.jit, compiler_options=fast)
    def found(key):
        return code.rejections(world, code.programs(world, key, 1000))

    assert not any(np.any(x) for x in jax.tree.leaves(found(jax.random.key(1))))


def test_drawn_programs_are_of_the_form_and_are_all_kept(drawn):
    assert drawn.shape == (1000, code.LENGTH)
    assert agree(drawn) == {"kept": 1000}


def test_the_filter_agrees_with_the_interpreter_on_every_corruption_of_a_token(drawn):
    """Every token of the vocabulary at every position."""
    for doc in drawn[:6]:
        docs = np.repeat(doc[None], code.LENGTH * IDS["size"], axis=0)
        place, token = np.indices((code.LENGTH, IDS["size"])).reshape(2, -1)
        docs[np.arange(len(docs)), place] = token
        found = agree(docs)
        assert set(found) == {*REASONS, "kept"}


def test_the_filter_agrees_with_the_interpreter_on_programs_of_random_statements(drawn):
    """Well-formed ones, which may read what is not set, set twice, or compute more than once."""
    rng, docs = np.random.default_rng(0), drawn[:1000].copy()
    variables = IDS["variable"] + rng.integers(0, 3, (2, 1000, 3))
    for i in range(3):
        column = 5 + 4 * i
        sets, numbers = rng.random(1000) < 0.6, rng.integers(0, N, 1000)
        docs[:, column + 1] = np.where(
            sets, IDS["SET"], IDS["operation"] + rng.integers(0, 3, 1000)
        )
        docs[:, column + 2] = variables[0, :, i]
        docs[:, column + 3] = np.where(sets, numbers, variables[1, :, i])
    docs[:, 19] = IDS["variable"] + rng.integers(0, 3, 1000)
    found = agree(docs)
    assert set(found) == {"crashes", "prints_another", "kept"}
    crashes, printed = (np.asarray(x) for x in jax.jit(partial(code.execute, WORLD))(docs))
    for doc, crash, value in zip(docs.tolist(), crashes, printed, strict=True):
        lines = [[MEANING[token] for token in doc[i + 1 : i + 4]] for i in (5, 9, 13, 17)]
        try:
            assert run(lines) == value and not crash
        except KeyError:
            assert crash


def test_what_a_prompt_asks_for_is_the_operation_modulo_the_numbers():
    a, b, op = np.indices((N, N, 3)).reshape(3, -1)
    docs = np.stack([a, a, a, IDS["operation"] + op, b], axis=1)
    expected = [OPERATIONS[k](int(x), int(y)) % N for x, y, k in zip(a, b, op, strict=True)]
    np.testing.assert_array_equal(code.asked_for(WORLD, jnp.asarray(docs)), expected)


def test_the_filter_agrees_with_the_interpreter_on_what_a_model_writes(written, rich):
    """A model that knows the words, and little of what they do."""
    assert rich == WORLD
    docs, _ = written("code")
    assert {*REASONS} <= set(agree(docs))


def test_every_order_name_and_numbering_of_the_same_program_is_kept():
    kept, rng = [], np.random.default_rng(0)
    for op, commutes in ("ADD", True), ("MUL", True), ("SUB", False):
        for v, w in itertools.permutations(range(8), 2):
            labels = np.sort(rng.choice(N, 4, replace=False))
            sets = [f"SET v{v} 7", f"SET v{w} 20"]
            uses = [(v, w), (w, v)] if commutes else [(v, w)]
            for (into, other), first in itertools.product(uses, (sets, sets[::-1])):
                lines = *first, f"{op} v{into} v{other}", f"PRINT v{into} END"
                numbered = [f"{i} {line}" for i, line in zip(labels, lines, strict=True)]
                kept.append(program(f"7 {op} 20 {' '.join(numbered)}"))
    assert agree(kept) == {"kept": len(kept)} and len(kept) == 56 * (4 + 4 + 2)


def test_the_operands_of_a_difference_may_not_be_swapped():
    text = "7 SUB 20 1 SET v0 7; 2 SET v1 20; 3 SUB {} {}; 4 PRINT {} END"
    docs = [program(text.format(*names)) for names in (("v0", "v1", "v0"), ("v1", "v0", "v1"))]
    assert verdicts(docs).tolist() == ["kept", "prints_another"]


def test_line_numbers_must_rise():
    text = "7 ADD 20 {} SET v0 7; {} SET v1 20; {} ADD v0 v1; {} PRINT v0 END"
    orders = list(itertools.product((3, 4, 5, 6), repeat=4))
    found = verdicts([program(text.format(*labels)) for labels in orders])
    rising = [labels == (3, 4, 5, 6) for labels in orders]
    np.testing.assert_array_equal(found, np.where(rising, "kept", "malformed"))


def test_each_reason_occurs_and_the_first_that_holds_is_given():
    good = "7 MUL 19 1 SET v0 7; 2 SET v5 19; 3 MUL v0 v5; 9 PRINT v0 END"
    bad = {
        "not_of_programs": [("SET v5", "owl v5"), ("1 SET v0 7", "owl PRINT v0 7")],
        "malformed": [
            ("SET v5 19", "SET v5 v5"), ("MUL v0 v5", "MUL v0 5"), ("SET v0", "SET 0"),
            ("PRINT", "SET"), ("END", "20"), ("9 PRINT v0 END", "END PRINT v0 END"),
            ("SET v0", "END v0"), ("1 SET", "helper SET"), ("7 MUL 19 1", "7 19 MUL 1"),
            ("9 PRINT v0", "9 PRINT 0"), ("MUL v0 v5; 9", "MUL v0 v6; 3"),
        ],
        "crashes": [("MUL v0 v5", "MUL v0 v6"), ("PRINT v0", "PRINT v6"), ("SET v5", "SET v4")],
        "prints_another": [
            ("PRINT v0", "PRINT v5"), ("MUL v0", "ADD v0"), ("SET v0 7", "SET v0 8"),
        ],
        "kept": [("SET v0 7; 2 SET v5 19", "SET v0 19; 2 SET v5 7"), ("9", "4")],
    }  # fmt: skip
    docs = {reason: [program(good.replace(*change)) for change in bad[reason]] for reason in bad}
    for reason, changed in docs.items():
        assert verdicts(changed).tolist() == [reason] * len(changed)
        agree(changed)


def test_a_program_of_the_world_leaves_no_choice_where_it_is_said_to(drawn):
    """What comes before tells the token at every such position; others may follow it elsewhere."""

    def forced(before):
        kinds = [MEANING[token] for token in before]
        at = len(before)
        if at == 8:  # by custom, the first four variables are of the first operand
            return before[2 if kinds[7][1] < 4 else 4]
        if at == 12:
            return before[4 if kinds[7][1] < 4 else 2]
        if at == 14:
            return before[3]
        if at == 16:
            return before[7] + before[11] - before[15]
        assert at == 19
        return before[15]

    for doc in drawn.tolist():
        assert [doc[at] for at in code.DETERMINED] == [forced(doc[:at]) for at in code.DETERMINED]
