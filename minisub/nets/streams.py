"""Random streams by name, so that adding one never moves another."""

import zlib

import jax


def number_of(name):
    """The 32 bits of a name that tell its stream from others."""
    return zlib.crc32(name.encode())


def named_key(key, name):
    """The stream `name` of a key. Not by a small number: those are what `split` makes of the key,
    and other streams, such as that of batches, come of them."""
    return jax.random.fold_in(key, number_of(name))


def evaluation_key(name):
    """A stream that is the same in every repeat and run: of what models are graded on."""
    return named_key(jax.random.key(0), f"evaluation/{name}")
