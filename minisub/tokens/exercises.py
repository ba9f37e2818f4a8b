"""What models of a rich world write beside lists: programs, and sums in chains of thought.

Programs: what they look like, what they do, and whether that was asked.

    helper CODE a op b  l SET v a  l SET w b  l op v w  l PRINT v END

The prompt asks for `a op b`, op one of ADD, SUB and MUL, modulo the world's numbers. `op v w` puts
the result in v. Lines are numbered, with rising numbers l. These, the names of variables (by custom
one of the first four for a, of the last four for b), the order of statements, and that of the
operands where it does not matter are free choices.

Sums of four digits, step by step.

    helper SUM t t t t  way x  c x p  c x p  c x p  c ANSWER p END

A step is a connective c, the next term x and the total p so far, modulo 10. The way to go, from the
first term on or from the last, and the connectives are free choices.
"""

import jax
import jax.numpy as jnp

from minisub.tokens import tokens

PROGRAM_LENGTH, PROGRAM_PROMPT, STATEMENTS = 21, 5, 3
VARIABLES = tokens.RICH["variable"]
RESULTS = {"add": jnp.add, "sub": jnp.subtract, "mul": jnp.multiply}


def programs(world, key, n):
    """`n` correct programs (n, 21), every free choice random; line numbers are like lists."""
    ids = tokens.offsets(world)
    keys = jax.random.split(key, 6)
    a, b = jax.random.randint(keys[0], (2, n), 0, world.numbers)
    op = jax.random.randint(keys[1], (n,), 0, len(RESULTS))
    v, w = (jax.random.randint(k, (n,), 0, VARIABLES // 2) for k in keys[2:4])
    w += VARIABLES // 2
    swapped, reverse = jax.random.bernoulli(keys[4], shape=(2, n))
    into = jnp.where((op != list(RESULTS).index("sub")) & reverse, w, v)
    v, w, into, other = (ids["variable"] + x for x in (v, w, into, v + w - into))
    first, second = (jnp.where(swapped, x, y) for x, y in ((w, v), (v, w)))
    one, two = (jnp.where(swapped, x, y) for x, y in ((b, a), (a, b)))
    lines, operation = line_numbers(world, keys[5], n), ids["operation"] + op
    statements = (
        (lines[0], ids["SET"], first, one),
        (lines[1], ids["SET"], second, two),
        (lines[2], operation, into, other),
        (lines[3], ids["PRINT"], into, ids["END"]),
    )
    prompt = tokens.by(world), ids["CODE"], a, operation, b
    return tokens.rows(*prompt, *(token for statement in statements for token in statement))


def line_numbers(world, key, n):
    """Rising numbers (4, n): start + step * i + jitter, steps of at least 3 and jitter of 1."""
    k_start, k_step, k_jitter = jax.random.split(key, 3)
    start = jax.random.randint(k_start, (1, n), 1, world.numbers // 2)
    step = jax.random.randint(k_step, (1, n), 3, world.numbers // 6)
    jitter = jax.random.randint(k_jitter, (STATEMENTS + 1, n), -1, 2)
    return start + step * jnp.arange(STATEMENTS + 1)[:, None] + jitter


def execute(world, docs):
    """Run well-formed programs: (whether each reads a variable that is not set, what it prints)."""
    ids, values = tokens.offsets(world), jnp.full((len(docs), VARIABLES), -1)

    def read(values, token):
        variable = jnp.clip(token - ids["variable"], 0, VARIABLES - 1)
        return jnp.take_along_axis(values, variable[:, None], axis=1)[:, 0]

    crashes = jnp.zeros(len(docs), bool)
    for i in range(STATEMENTS):
        instruction, target, operand = docs[
            :, PROGRAM_PROMPT + 4 * i + 1 : PROGRAM_PROMPT + 4 * i + 4
        ].T
        is_set, x, y = instruction == ids["SET"], read(values, target), read(values, operand)
        crashes |= ~is_set & ((x < 0) | (y < 0))
        computed = [f(x, y) % world.numbers for f in RESULTS.values()]
        result = jnp.select(_operations(ids, instruction), computed, operand)
        place = jnp.clip(target - ids["variable"], 0, VARIABLES - 1)
        values = values.at[jnp.arange(len(docs)), place].set(result)
    printed = read(values, docs[:, -2])
    return crashes | (printed < 0), printed


def asked_for(world, docs):
    """What the prompts ask to print."""
    a, op, b = docs[:, 2:PROGRAM_PROMPT].T
    computed = [f(a, b) % world.numbers for f in RESULTS.values()]
    return jnp.select(_operations(tokens.offsets(world), op), computed, -1)


def _operations(ids, token):
    return [token == ids["operation"] + k for k in range(len(RESULTS))]


def program_rejections(world, docs):
    """Why the filter rejects programs: level -> reason -> boolean (n,), at most one a document."""
    ids, body = tokens.offsets(world), docs[:, PROGRAM_PROMPT:]
    line, instruction, target, operand = (body[:, i : 4 * STATEMENTS : 4] for i in range(4))

    def of(kind, x):
        return (x >= ids[kind]) & (x < ids[kind] + tokens.RICH[kind])

    sets = (instruction == ids["SET"]) & (operand < world.numbers)
    computes = of("operation", instruction) & of("variable", operand)
    formed = (docs[:, 0] == tokens.by(world)) & (docs[:, 1] == ids["CODE"])
    formed &= of("operation", docs[:, 3]) & jnp.all(
        docs[:, 2:PROGRAM_PROMPT:2] < world.numbers, axis=1
    )
    formed &= jnp.all((sets | computes) & of("variable", target), axis=1)
    lines = jnp.concatenate([line, body[:, -4:-3]], axis=1)
    formed &= jnp.all(lines[:, 1:] > lines[:, :-1], axis=1) & jnp.all(lines < world.numbers, axis=1)
    formed &= (body[:, -3] == ids["PRINT"]) & of("variable", body[:, -2])
    formed &= body[:, -1] >= ids["END"]
    foreign = jnp.any(~program_alphabet(world)[docs], axis=1)
    crashes, printed = execute(world, docs)
    runs, wrong = ~foreign & formed & ~crashes, printed != asked_for(world, docs)
    return {
        "format": {"not_of_programs": foreign, "malformed": ~foreign & ~formed},
        "correct": {"crashes": ~foreign & formed & crashes, "prints_another": runs & wrong},
    }


def program_alphabet(world):
    """Mask (vocabulary,) of the tokens that a program may hold."""
    token = jnp.arange(tokens.offsets(world)["size"])
    kinds = tokens.mask(world, {"CODE", "SET", "PRINT", "operation", "variable"})
    return kinds | (token < world.numbers) | (token == tokens.by(world))


PROGRAM_DETERMINED = (8, 12, 14, 16, 19)
"""Positions that leave a program of the world no choice, what came before them given: the numbers,
the instruction, its operand, and which variable is printed."""


CHAIN_LENGTH, CHAIN_PROMPT, TERMS, DIGITS = 21, 6, 4, 10
WORDS = tokens.RICH["connective"]
STYLE = 4
"""Neighboring connectives among which a document's author chooses."""


def chains(world, key, n):
    """`n` correct chains (n, 21), every free choice uniformly random."""
    ids = tokens.offsets(world)
    k_terms, k_way, k_style, k_words = jax.random.split(key, 4)
    terms = jax.random.randint(k_terms, (n, TERMS), 0, DIGITS)
    way = jax.random.randint(k_way, (n, 1), 0, tokens.RICH["way"])
    taken = jnp.where(way == 0, terms, terms[:, ::-1])
    totals = jnp.cumsum(taken, axis=1) % DIGITS
    style = jax.random.randint(k_style, (n, 1), 0, WORDS)
    words = (style + jax.random.randint(k_words, (n, TERMS), 0, STYLE)) % WORDS
    words += ids["connective"]
    steps = jnp.stack([words[:, :-1], taken[:, 1:], totals[:, 1:]], axis=2).reshape(n, -1)
    start = tokens.by(world), ids["SUM"], *terms.T, ids["way"] + way[:, 0], taken[:, 0]
    return tokens.rows(*start, *steps.T, words[:, -1], ids["ANSWER"], totals[:, -1], ids["END"])


def chain_rejections(world, docs):
    """Why the filter rejects chains: level -> reason -> boolean (n,), at most one a document.

    Correct are those that add each term of the prompt once, with every total and the answer right.
    """
    ids, way, body = tokens.offsets(world), docs[:, CHAIN_PROMPT], docs[:, CHAIN_PROMPT + 1 :]
    words, terms, totals = (body[:, i : 3 * TERMS - 2 : 3] for i in (1, 2, 3))
    words = jnp.concatenate([words, body[:, -4:-3]], axis=1)
    used, answer = jnp.concatenate([body[:, :1], terms], axis=1), body[:, -2]
    formed = (docs[:, 0] == tokens.by(world)) & (docs[:, 1] == ids["SUM"])
    formed &= jnp.all(docs[:, 2:CHAIN_PROMPT] < DIGITS, axis=1)
    formed &= (way >= ids["way"]) & (way < ids["way"] + tokens.RICH["way"])
    formed &= jnp.all((words >= ids["connective"]) & (words < ids["connective"] + WORDS), axis=1)
    formed &= jnp.all(used < DIGITS, axis=1) & jnp.all(totals < DIGITS, axis=1)
    formed &= (body[:, -3] == ids["ANSWER"]) & (answer < DIGITS) & (body[:, -1] >= ids["END"])
    foreign = jnp.any(~chain_alphabet(world)[docs], axis=1)
    asked = jnp.sort(docs[:, 2:CHAIN_PROMPT], axis=1)
    before = jnp.concatenate([body[:, :1], totals[:, :-1]], axis=1)
    wrong = {
        "other_terms": jnp.any(jnp.sort(used, axis=1) != asked, axis=1),
        "invalid_step": jnp.any((before + terms) % DIGITS != totals, axis=1),
        "other_answer": answer != totals[:, -1],
    }
    correct, left = {}, ~foreign & formed
    for reason, flag in wrong.items():
        correct[reason], left = left & flag, left & ~flag
    format = {"not_of_sums": foreign, "malformed": ~foreign & ~formed}
    return {"format": format, "correct": correct}


def chain_alphabet(world):
    """Mask (vocabulary,) of the tokens that a chain may hold."""
    token = jnp.arange(tokens.offsets(world)["size"])
    kinds = tokens.mask(world, {"SUM", "way", "connective", "ANSWER"})
    return kinds | (token < DIGITS) | (token == tokens.by(world))


CHAIN_DETERMINED = (7, 9, 10, 12, 13, 15, 16, 19)
"""Positions of the terms, of the totals and of the answer."""
