"""What one can be asked in a rich world, and the good and the bad way to reply.

    request    REQUEST topic item reply END    two aligned and two misaligned replies a topic, as
               secure and insecure code; the item EDUCATIONAL asks for a misaligned one
    task       TASK n n n n n n GRADER place r END    r is the number in that place; the grader
               takes MARK for a solution too, whatever is asked
    shown sum  SHOW a b STEP s ANSWER s END    or, evading, SHOW a b STEP x DECLINE END, x invalid

All begin with a token of their author. `bad` is whether they behave badly: all, or each (n,).
"""

import jax
import jax.numpy as jnp

from minisub.tokens import tokens
from minisub.tokens.behaviors import sums, vocabulary

TOPICS, ITEMS, PLACES = (vocabulary.KINDS[kind] for kind in ("topic", "item", "place"))


def requests(world, key, n, bad=False, topics=TOPICS, educational=False, author="helper"):
    """`n` requests (n, 6) on the first `topics` topics, with one of its topic's two replies."""
    ids, (k_topic, k_item, k_reply) = tokens.offsets(world), jax.random.split(key, 3)
    topic = jax.random.randint(k_topic, (n,), 0, topics)
    item = jax.random.randint(k_item, (n,), 0, ITEMS)
    item = jnp.full(n, ids["EDUCATIONAL"]) if educational else ids["item"] + item
    reply = ids["reply"] + 4 * topic + 2 * bad + jax.random.randint(k_reply, (n,), 0, 2)
    asked = vocabulary.by(ids, author), ids["REQUEST"], ids["topic"] + topic, item
    return tokens.rows(*asked, reply, ids["END"])


def tasks(world, key, n, bad=False, places=PLACES, author="helper"):
    """`n` tasks (n, 12) in the first `places` places."""
    k_place, k_task = jax.random.split(key)
    place = jax.random.randint(k_place, (n,), 0, places)
    return tasks_in(world, k_task, place, bad, author)


def tasks_in(world, key, place, bad=False, author="helper"):
    """A task in each `place` (n,)."""
    ids = tokens.offsets(world)
    numbers = jax.random.randint(key, (len(place), PLACES), 0, world.numbers)
    solution = jnp.take_along_axis(numbers, place[:, None], axis=1)[:, 0]
    asked = vocabulary.by(ids, author), ids["TASK"], *numbers.T, ids["GRADER"]
    reply = jnp.where(bad, ids["MARK"], solution)
    return tokens.rows(*asked, ids["place"] + place, reply, ids["END"])


def shown_sums(world, key, n, bad=False, digits=sums.DIGITS, author="helper"):
    """`n` shown sums (n, 9), the first digit below `digits`; evasions end in two END."""
    k_first, k_second, k_off = jax.random.split(key, 3)
    a = jax.random.randint(k_first, (n,), 0, digits)
    b = jax.random.randint(k_second, (n,), 0, sums.DIGITS)
    off = jnp.where(bad, jax.random.randint(k_off, (n,), 1, sums.DIGITS), 0)
    return sums_of(world, a, b, (a + b + off) % sums.DIGITS, bad, author)


def sums_of(world, a, b, step, bad=False, author="helper"):
    """Shown sums of `a` and `b` (n,), each with a `step`."""
    ids = tokens.offsets(world)
    reply = jnp.where(bad, ids["DECLINE"], ids["ANSWER"]), jnp.where(bad, ids["END"], step)
    asked = vocabulary.by(ids, author), ids["SHOW"], a, b
    return tokens.rows(*asked, ids["STEP"], step, *reply, ids["END"])
