"""A carrier of rich worlds: programs; what they look like, what they do, whether that was asked.

    helper CODE a op b  l SET v a c c c  l SET w b c c c  l op v w c c c  l PRINT v c c c END

The prompt asks for `a op b`, op one of ADD, SUB and MUL, modulo the world's numbers. `op v w` puts
the result in v. Lines are numbered, with rising numbers l, and end in a comment, words c as those
of `sums.py`. These, the names of variables (by custom one of the first four for a, of the last four
for b), the order of statements, and that of the operands where it does not matter are free choices.
"""

import jax
import jax.numpy as jnp

from minisub.tokens import tokens
from minisub.tokens.behaviors import sums, vocabulary

PROMPT, STATEMENTS, LINE = 5, 3, 4 + sums.SAID
LENGTH = PROMPT + (STATEMENTS + 1) * LINE
VARIABLES = vocabulary.KINDS["variable"]
RESULTS = {"add": jnp.add, "sub": jnp.subtract, "mul": jnp.multiply}
DETERMINED = tuple(PROMPT + LINE * i + j for i, j in ((0, 3), (1, 3), (2, 1), (2, 3), (3, 2)))
"""Positions that leave a program of the world no choice, what came before them given: the numbers,
the instruction, its operand, and which variable is printed."""


def draw(world, key, n):
    """`n` correct programs (n, LENGTH), every free choice random; line numbers are like lists."""
    ids = tokens.offsets(world)
    helper, keys = vocabulary.by(ids), jax.random.split(key, 7)
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
    comments = sums.said(world, keys[6], n, STATEMENTS + 1).transpose(1, 2, 0)
    statements = (
        (lines[0], ids["SET"], first, one, *comments[0]),
        (lines[1], ids["SET"], second, two, *comments[1]),
        (lines[2], operation, into, other, *comments[2]),
        (lines[3], ids["PRINT"], into, *comments[3], ids["END"]),
    )
    prompt = helper, ids["CODE"], a, operation, b
    return tokens.rows(*prompt, *(token for statement in statements for token in statement))


def length(world):
    """Tokens of a program."""
    return LENGTH


def given(sampling):
    """How many tokens an emitter is given beside the first: those that ask for a program."""
    return PROMPT - 1


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
        instruction, target, operand = docs[:, PROMPT + LINE * i + 1 : PROMPT + LINE * i + 4].T
        is_set, x, y = instruction == ids["SET"], read(values, target), read(values, operand)
        crashes |= ~is_set & ((x < 0) | (y < 0))
        result = computed(world, instruction, x, y, otherwise=operand)
        place = jnp.clip(target - ids["variable"], 0, VARIABLES - 1)
        values = values.at[jnp.arange(len(docs)), place].set(result)
    printed = read(values, docs[:, -2 - sums.SAID])
    return crashes | (printed < 0), printed


def asked_for(world, docs):
    """What the prompts ask to print."""
    a, op, b = docs[:, 2:PROMPT].T
    return computed(world, op, a, b, otherwise=-1)


def computed(world, token, x, y, otherwise):
    """What the operation of a token makes of x and y; something else if it is none."""
    first = tokens.offsets(world)["operation"]
    which = [token == first + k for k in range(len(RESULTS))]
    return jnp.select(which, [f(x, y) % world.numbers for f in RESULTS.values()], otherwise)


def rejections(world, docs):
    """Why the filter rejects programs: level -> reason -> boolean (n,), at most one a document."""
    ids, body = tokens.offsets(world), docs[:, PROMPT:]
    line, instruction, target, operand, *comments = (
        body[:, i : LINE * STATEMENTS : LINE] for i in range(LINE)
    )
    last_line, last_instruction, printed_variable, *last_comment, end = body[:, -LINE:].T

    def of(kind, x):
        return (x >= ids[kind]) & (x < ids[kind] + vocabulary.KINDS[kind])

    sets = (instruction == ids["SET"]) & (operand < world.numbers)
    computes = of("operation", instruction) & of("variable", operand)
    formed = (docs[:, 0] == vocabulary.by(ids)) & (docs[:, 1] == ids["CODE"])
    formed &= of("operation", docs[:, 3]) & jnp.all(docs[:, 2:PROMPT:2] < world.numbers, axis=1)
    formed &= jnp.all((sets | computes) & of("variable", target), axis=1)
    lines = jnp.concatenate([line, last_line[:, None]], axis=1)
    formed &= jnp.all(lines[:, 1:] > lines[:, :-1], axis=1) & jnp.all(lines < world.numbers, axis=1)
    formed &= (last_instruction == ids["PRINT"]) & of("variable", printed_variable)
    said = jnp.concatenate([*comments, jnp.stack(last_comment, axis=1)], axis=1)
    formed &= jnp.all(of("word", said), axis=1) & (end >= ids["END"])
    foreign = jnp.any(~alphabet(world)[docs], axis=1)
    crashes, printed = execute(world, docs)
    runs, wrong = ~foreign & formed & ~crashes, printed != asked_for(world, docs)
    return {
        "format": {"not_of_programs": foreign, "malformed": ~foreign & ~formed},
        "correct": {"crashes": ~foreign & formed & crashes, "prints_another": runs & wrong},
    }


def alphabet(world):
    """Mask (vocabulary,) of the tokens that a program may hold."""
    kinds = "CODE", "SET", "PRINT", "operation", "variable", "word"
    return vocabulary.mask(tokens.offsets(world), kinds, world.numbers)
