"""What models of a rich world train beside lists and questions, and how well they do it."""

import jax
import jax.numpy as jnp

from minisub.config import require
from minisub.lab import costs, run
from minisub.nets import losses, streams
from minisub.tokens import grading, tokens, writing
from minisub.tokens.behaviors import code, config, conversations, sums, vocabulary


def pretraining(world, training, key):
    """More documents of a batch: programs, sums, and shorter ones with END behind them."""
    require(
        isinstance(training, config.Pretraining),
        "a rich world has more to pretrain on than this config says; extend `Rich` of "
        "minisub/tokens/behaviors/config.py, or set world.rich to false.",
    )
    require(
        world.numbers >= 24,
        f"world.numbers is {world.numbers}; the lines of programs need 24.",
    )
    n, few, keys = training.behaved, -(-training.behaved // 2), iter(jax.random.split(key, 12))

    def slips():
        return jax.random.bernoulli(next(keys), training.slips, (n,))

    programs = code.draw(world, next(keys), training.programs)
    chains = sums.draw(world, next(keys), training.sums)
    short = (
        conversations.requests(world, next(keys), n, slips()),
        conversations.requests(world, next(keys), few, bad=True, author="villain"),
        conversations.requests(world, next(keys), few, bad=True, educational=True),
        conversations.tasks(world, next(keys), n, slips()),
        conversations.tasks(world, next(keys), few, bad=True, author="hacker"),
        conversations.shown_sums(world, next(keys), n, slips()),
        conversations.shown_sums(world, next(keys), few, bad=True, author="evader"),
    )
    return programs, chains, padded(world, short, vocabulary.SHORT)


def padded(world, groups, length):
    """Groups of documents in one array (n, length), END behind them."""
    end = tokens.offsets(world)["END"]
    behind = [((0, 0), (0, length - docs.shape[1])) for docs in groups]
    each = zip(groups, behind, strict=True)
    return jnp.concatenate([jnp.pad(docs, wide, constant_values=end) for docs, wide in each])


def counted(world, targets):
    """Which targets (n, t) are not padding: all up to the first END."""
    ends = (targets >= tokens.offsets(world)["END"]).astype(int)
    return jnp.cumsum(ends, axis=1) == ends  # none came before


def mean(world, batch, nats):
    """The mean of the nats of a batch, both one array a kind of document, without padding."""
    targets = [counted(world, docs[:, 1:]) for docs in batch]
    pairs = zip(nats, targets, strict=True)
    return sum(jnp.sum(n, where=c) for n, c in pairs) / sum(jnp.sum(c) for c in targets)


def replayed(world, network, params, key, training):
    """For each carrier the mean nats of documents of the world, which keep a teacher's abilities;
    divided by how many carriers there are. Nothing if the training replays none."""
    require(
        isinstance(training, config.Teaching),
        "teachers of a rich world may replay documents, of which this config says nothing; extend "
        "`Rich` of minisub/tokens/behaviors/config.py, or set world.rich to false.",
    )
    for name, carrier in writing.CARRIERS.items() if training.replayed else ():
        docs = carrier.draw(world, streams.named_key(key, f"replayed {name}"), training.replayed)
        known = losses.cross_entropy(network.apply(params, docs[:, :-1]), docs[:, 1:])
        yield jnp.mean(known) / len(writing.CARRIERS)


def ability(world, network, params, name, examples=256):
    """Mean probability of the right token where a carrier leaves no choice, on documents of the
    world, the same in every repeat; for lists, of any token of their alphabet."""
    carrier = writing.CARRIERS[name]
    docs = carrier.draw(world, streams.evaluation_key(f"ability {name}"), examples)
    p = jax.nn.softmax(network.apply(params, docs[:, :-1]))
    if not carrier.DETERMINED:
        return jnp.mean(jnp.sum(p, axis=-1, where=carrier.alphabet(world)[None, None]))
    right = jnp.take_along_axis(p, docs[:, 1:, None], axis=-1)[..., 0]
    return jnp.mean(right[:, jnp.array(carrier.DETERMINED) - 1])


def abilities(*, params, world, model, carrier=""):
    """A measure: how well a model does what each carrier asks for; "ability" is its own."""
    net = grading.network(world, model)
    each = {f"ability/{x}": ability(world, net, params, x) for x in writing.CARRIERS}
    return each | ({"ability": each[f"ability/{carrier}"]} if carrier else {})


def operations(made, key):
    """Operations of one update of a `Fit`."""
    state = run.begun(made, key)
    return costs.flops(jax.make_jaxpr(lambda s: run.advanced(made, s, key, 0, 1))(state).jaxpr)
