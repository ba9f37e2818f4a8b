"""Which random keys a program derives and draws from, read off what JAX traced.

A key is named by how it came to be: ("folded", parent, number), ("split", parent), a piece of one.
"""

import collections
import re

import jax
import numpy as np
from jax.extend import core

NAMED = 2**16
"""Numbers folded into a key from here on are hashes of names; smaller ones count something."""


class Uses:
    """What is done with every key: its name -> how often ("split", how many), ("drawn",) and
    ("folded", number)."""

    def __init__(self):
        self.of = collections.defaultdict(collections.Counter)

    def faults(self):
        """Sentences about keys that are used in two ways, or drawn from twice.

        A key may be split, always alike, or drawn from once, or numbers that count may be folded
        into it, in one place; names may be folded into it besides. Pieces of a split have the keys
        of its first numbers, folded. What models are graded on is drawn wherever it is needed, from
        streams of seed 0, and always alike.
        """
        for key, uses in self.of.items():
            counted = [x for kind, *x in uses if kind == "folded" and not is_name(x[0])]
            splits = [x[0] for kind, *x in uses if kind == "split"]
            drawn = uses[("drawn",)] + sum(kind == "drawn" for kind, *shape in uses if shape)
            twice = drawn > 1 or len(set(splits)) > 1
            both = drawn and (splits or counted)
            met = [x for [x] in counted if splits and not (is_number(x) and x >= max(splits))]
            places = {x for [x] in counted if not is_number(x)}
            if twice or both or met or len(places) > 1:
                yield f"{short(key)} is used twice: {', '.join(map(str, uses))}"


def is_number(x):
    return isinstance(x, int)


def is_name(x):
    """Whether what is folded into a key is a name: its hash, or an argument that holds one."""
    return (is_number(x) and x >= NAMED) or x == "name"


def is_fixed(key):
    """Whether a key is a stream of what models are graded on, see `streams.evaluation_key`."""
    while isinstance(key, tuple) and key[0] != "seed":
        key = key[1]
    return key == ("seed", 0)


def short(key):
    """A key's name without the details of how pieces are cut."""
    return re.sub(r"[\\'\"]|\[\(.*?\)\]", "", str(key))[:200]


def is_key(x):
    return jax.dtypes.issubdtype(x.aval.dtype, jax.dtypes.prng_key)


def walk(jaxpr, arguments, uses, path=""):
    """Note in `uses` what a jaxpr does with its keys; `arguments` are the names of keys, or numbers
    that are known, or None. Returns as much of its results."""
    known = dict(zip(jaxpr.invars, arguments, strict=True))
    needed = {x for e in jaxpr.eqns for x in e.invars if isinstance(x, core.Var)}
    needed |= {x for x in jaxpr.outvars if isinstance(x, core.Var)}

    def of(x):
        return number(x.val) if isinstance(x, core.Literal) else known.get(x)

    for i, e in enumerate(jaxpr.eqns):
        name, given, here = e.primitive.name, [of(x) for x in e.invars], f"{path}/{i}"
        made = [None] * len(e.outvars)
        inner = list(jaxprs_of(e.params))
        if inner:
            for label, one in inner:
                made = inside(e, one, label, given, uses, here) or made
        elif name == "random_seed":
            made = [("seed", given[0])]
        elif name == "random_fold_in":
            what = given[1] if given[1] is not None else here
            made = [("folded", given[0], what)]
            if e.outvars[0] in needed:
                uses.of[given[0]]["folded", what] += 1
        elif name == "random_split":
            made = [("split", given[0])]
            uses.of[given[0]]["split", int(np.prod(e.params["shape"]))] += 1
        elif name == "random_bits" and is_fixed(given[0]):
            uses.of[given[0]]["drawn", e.params["shape"]] += 1
        elif name == "random_bits":
            uses.of[given[0]][("drawn",)] += 1
        elif any(is_key(x) for x in e.outvars):
            made = [(name, *given, str(sorted((k, str(v)) for k, v in e.params.items())))]
        elif name in ("convert_element_type", "broadcast_in_dim", "squeeze", "reshape"):
            made = [given[0]]
        known |= dict(zip(e.outvars, made, strict=True))
    return [of(x) for x in jaxpr.outvars]


def jaxprs_of(params):
    """(label, jaxpr) of all that an equation runs; conditions of loops are left out."""
    for label, value in params.items():
        for i, x in enumerate(value if isinstance(value, tuple) else [value]):
            if isinstance(x, core.Jaxpr | core.ClosedJaxpr) and label != "cond_jaxpr":
                yield f"{label}{i}", x


def inside(equation, jaxpr, label, given, uses, here):
    """As `walk`, of a jaxpr within an equation."""
    name, params = equation.primitive.name, equation.params
    keys = [x if is_key(v) else None for x, v in zip(given, equation.invars, strict=True)]
    if name == "while":
        first, second = params["cond_nconsts"], params["body_nconsts"]
        given = [*given[first : first + second], *keys[first + second :]]
    elif name == "scan":
        first = params["num_consts"]
        second = first + params["num_carry"]
        each = [x and ("each", x) for x in keys[second:]]
        given = [*given[:first], *keys[first:second], *each]
    elif name == "cond":
        given = given[1:]
    constants = [None if jaxpr_constant is None else number(jaxpr_constant)
                 for jaxpr_constant in getattr(jaxpr, "consts", [])]  # fmt: skip
    body = getattr(jaxpr, "jaxpr", jaxpr)
    wanted = len(body.invars)
    given = [None] * (wanted - len(given)) + list(given)[-wanted:] if wanted else []
    outside = dict(zip(body.constvars, constants, strict=True))
    if name in ("while", "scan", "cond"):
        own = Uses()
        made = walk(closed(body, outside), [*outside.values(), *given], own, f"{here}{label}")
        for key, counts in own.of.items():
            again = ("drawn",) in counts and name != "cond" and key in given  # in every round
            uses.of[key].update(counts + collections.Counter({("drawn",): 1} if again else {}))
    else:
        made = walk(closed(body, outside), [*outside.values(), *given], uses, here)
    if name == "while" or len(made) != len(equation.outvars):
        return None
    return [x and ("stacked", x) for x in made] if name == "scan" else made


def closed(jaxpr, constants):
    """A jaxpr whose constants are its first arguments."""
    if not constants:
        return jaxpr
    return jaxpr.replace(constvars=(), invars=(*constants, *jaxpr.invars))


def number(x):
    """A constant: a whole number, the name of a key, or None."""
    if jax.dtypes.issubdtype(getattr(x, "dtype", float), jax.dtypes.prng_key):
        return ("constant", str(np.asarray(jax.random.key_data(x)).tolist()))
    if np.ndim(x) == 0 and np.issubdtype(np.asarray(x).dtype, np.integer):
        return int(x)
    return None


def uses_of(function, *arguments):
    """The `Uses` of the keys of a function, whose uint32 arguments are hashes of names."""
    made, uses = jax.make_jaxpr(function)(*arguments), Uses()
    jaxpr = made.jaxpr
    names = [
        ("argument", i) if is_key(v) else "name" if v.aval.dtype == np.uint32 else None
        for i, v in enumerate(jaxpr.invars)
    ]
    outside = dict(zip(jaxpr.constvars, map(number, made.consts), strict=True))
    walk(closed(jaxpr, outside), [*outside.values(), *names], uses)
    return uses
