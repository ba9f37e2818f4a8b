"""Tokens that only a rich world has, and those who write in it. `ids` are `tokens.offsets`."""

import jax.numpy as jnp

from minisub.config import require

KINDS = {
    **dict.fromkeys(("CODE", "SET", "PRINT"), 1),
    "operation": 3,
    "variable": 8,
    "SUM": 1,
    "word": 32,
    "REQUEST": 1,
    "topic": 8,
    "item": 3,
    "EDUCATIONAL": 1,
    "reply": 32,
    **dict.fromkeys(("TASK", "GRADER", "MARK", "SHOW", "STEP", "DECLINE"), 1),
    "way": 2,
    "place": 6,
    "author": 4,
}
"""Kind -> how many tokens it has."""
AUTHORS = "helper", "villain", "hacker", "evader"
"""Who may have written a program, a sum or a reply: the first token of the document."""
LONGEST, SHORT = 33, 12
"""Tokens of the longest documents, programs and chains, and of the longest of behaviors, tasks."""


def by(ids, author="helper"):
    """Token of an author; raises `Refused` for a world that has none."""
    require(
        "author" in ids,
        "only a rich world has programs, sums and behaviors; set world.rich and take the config "
        "`Rich` of minisub/tokens/behaviors/config.py, or sampling.carrier numbers.",
    )
    return ids["author"] + AUTHORS.index(author)


def mask(ids, kinds, numbers):
    """Mask (vocabulary,) of the tokens of some kinds, the first numbers, helper and endings."""
    token = jnp.arange(ids["size"])
    found = (token < numbers) | (token == by(ids)) | (token >= ids["END"])
    for kind in kinds:
        found |= (token >= ids[kind]) & (token < ids[kind] + (KINDS | {"ANSWER": 1})[kind])
    return found
