"""What models emit: the sampler follows its model, the filter its levels."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import documents, models, tokens
from minisub.token_config import Model, Sampling, World

WORLD = World()
IDS = tokens.offsets(WORLD)
PROBABILITIES = jnp.array([0.05, 0.5, 0.15, 0.3])


@pytest.mark.parametrize(
    ("kept", "sampling"),
    [
        ({0, 1, 2, 3}, Sampling()),
        ({1}, Sampling(top_p=0.45)),
        ({1, 3}, Sampling(top_p=0.6)),
        ({1, 3}, Sampling(top_p=0.7)),
        ({1, 2, 3}, Sampling(top_p=0.85)),
        # At temperature 2, the largest are 0.38, 0.29 and 0.21.
        ({1, 3}, Sampling(top_p=0.45, temperature=2.0)),
        ({1, 2, 3}, Sampling(top_p=0.7, temperature=2.0)),
        ({1, 2, 3}, Sampling(top_k=3)),
        ({0, 1, 2, 3}, Sampling(top_k=9)),
        # Of the two largest, the first has 5 / 8.
        ({1}, Sampling(top_k=2, top_p=0.6)),
        ({1, 3}, Sampling(top_k=2, top_p=0.7)),
    ],
)
def test_truncated_sampling_keeps_the_right_tokens_in_their_proportions(kept, sampling):
    n, logits = 4000, jnp.log(PROBABILITIES) + 3
    tokens_n = documents.choose(sampling, jax.random.key(0), jnp.broadcast_to(logits, (n, 4)))
    share = np.bincount(tokens_n, minlength=4) / n
    assert set(np.flatnonzero(share)) == kept
    held = np.array([p if i in kept else 0 for i, p in enumerate(np.asarray(PROBABILITIES))])
    held = held ** (1 / sampling.temperature)
    np.testing.assert_allclose(share, held / held.sum(), atol=5 * (0.25 / n) ** 0.5)


def test_temperature_zero_and_a_single_token_are_the_first_of_the_largest(quick):
    logits = jnp.array([[0.0, 2.0, 1.0, 2.0], [3.0, -jnp.inf, 1.0, 0.0]])
    key, cold, choose = jax.random.key(0), Sampling(temperature=0.0), quick(documents.choose)
    truncated = dataclasses.replace(cold, top_p=0.5, top_k=3)
    for sampling in cold, truncated, Sampling(top_k=1):  # the temperature is traced
        np.testing.assert_array_equal(choose(sampling, key, logits), [1, 0])
    with jax.debug_nans(True):  # nothing is divided by zero on the way
        np.testing.assert_array_equal(documents.choose(cold, key, logits), [1, 0])
    near = choose(dataclasses.replace(truncated, temperature=1e-30, top_p=0.9), key, logits)
    assert near[0] in (1, 3) and near[1] == 0, "both of the largest are in the nucleus"


def test_defaults_draw_from_the_whole_softmax_and_sort_nothing():
    logits, key = jax.random.normal(jax.random.key(1), (50, 7)), jax.random.key(2)
    sampling = Sampling(temperature=0.7)
    expected = jax.random.categorical(key, logits / 0.7)
    np.testing.assert_array_equal(documents.choose(sampling, key, logits), expected)
    program = partial(jax.make_jaxpr(documents.choose), key=key, logits=logits)
    sorts = ["top_k" in str(program(s)) for s in (sampling, dataclasses.replace(sampling, top_k=2))]
    assert sorts == [False, True] and "sort" not in str(program(sampling))


@pytest.fixture(scope="module")
def sampler(quick):
    """A small world, a random network of it, and a function that draws 20000 samples from it."""
    world = World(numbers=5, animals=2, phrasings=2, attributes=3, list_length=4, endings=2)
    config = Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)
    network = models.make(config, tokens.offsets(world)["size"], tokens.positions(world))
    params = quick(network.init)(jax.random.key(3))
    draw = quick(lambda key, how: documents.sample(world, network, params, key, sampling=how))

    def sample(seed=0, **fields):
        how = Sampling(documents=20000, prompt_numbers=2, **fields)
        return np.asarray(draw(jax.random.key(seed), how))

    return world, network, params, sample


def test_greedy_samples_are_the_argmax_of_the_full_pass(sampler, quick):
    world, network, params, sample = sampler
    docs = sample(temperature=0.0)
    best = np.asarray(quick(network.apply)(params, docs[:, :-1])).argmax(axis=-1)
    going = np.cumprod(docs < tokens.offsets(world)["END"], axis=1)[:, 2:-1].astype(bool)
    np.testing.assert_array_equal(docs[:, 3:][going], best[:, 2:][going])


def test_samples_are_those_of_full_passes_with_a_key_for_each_position(sampler, quick):
    world, network, params, sample = sampler
    chunk, end = 2000, tokens.offsets(world)["END"]

    def replay(key):
        k_prompt, k_sample = jax.random.split(jax.random.split(key, 10)[0])
        docs = tokens.lists(world, k_prompt, chunk)[:, :3]
        for at in range(2, tokens.positions(world)):
            logits = network.apply(params, docs, at)[:, 0]
            token = jax.random.categorical(jax.random.fold_in(k_sample, at), logits / 1.5)
            token = jnp.where(jnp.any(docs >= end, axis=1), end, token)
            docs = jnp.concatenate([docs, token[:, None]], axis=1)
        return docs

    expected = quick(replay)(jax.random.key(7))
    np.testing.assert_array_equal(sample(seed=7, temperature=1.5)[:chunk], expected)


def test_a_model_that_completes_prompts_in_its_training_learns_nothing_from_the_choice(
    sampler, quick
):
    world, network, params, _ = sampler
    prompts, sampling = tokens.lists(world, jax.random.key(1), 4)[:, :3], Sampling(temperature=2.0)

    def completed(params):
        own = jax.lax.stop_gradient(params)
        return documents.complete(world, network, own, jax.random.key(2), prompts, sampling)

    def loss(params, docs):
        return jnp.mean(network.apply(params, docs[:, :-1]) ** 2)

    docs, slope = quick(lambda p: (completed(p), jax.grad(lambda p: loss(p, completed(p)))(p)))(
        params
    )
    assert docs.shape == (4, world.list_length + 2)
    np.testing.assert_array_equal(docs[:, :3], prompts)
    given = quick(jax.grad(loss))(params, docs)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), slope, given)


def test_samples_follow_the_models_distribution(sampler, quick):
    _, network, params, sample = sampler
    docs = sample(temperature=2.0)
    expected = quick(lambda p, x: jax.nn.softmax(network.apply(p, x, 2)[:, 0] / 2.0))
    expected = np.asarray(expected(params, docs[:, :3])).mean(axis=0)
    share = np.bincount(docs[:, 3], minlength=expected.size) / len(docs)
    np.testing.assert_allclose(share, expected, atol=5 * (0.25 / 20000) ** 0.5)


def test_samples_begin_with_neutral_prompts_and_stay_at_the_end(sampler):
    world, _, _, sample = sampler
    docs, ids = sample(), tokens.offsets(world)
    assert (docs[:, 0] == ids["LIST"]).all() and (docs[:, 1:3] < world.numbers).all()
    ended = np.cumsum(docs >= ids["END"], axis=1)
    assert (docs[ended > 1] == ids["END"]).all() and (ended > 1).any()
    assert (docs[ended == 1] >= ids["END"]).all()
    assert set(docs[ended == 1].tolist()) == {ids["END"], ids["END"] + 1}


def test_the_filter_keeps_the_format_and_names_one_reason_for_all_else():
    good = [IDS["LIST"], *range(12), IDS["END"]]
    bad = {
        "not_a_number": [
            [*good[:5], IDS["animal"], *good[6:]],
            [*good[:5], IDS["LIST"], *good[6:]],
            [IDS["ASK"], *good[1:]],
            [*good[:5], IDS["animal"], IDS["END"], *good[7:]],
        ],
        "too_short": [[*good[:8], *[IDS["END"]] * 6], [*good[:12], IDS["END"], IDS["END"]]],
        "no_end": [[*good[:-1], 7], [*good[:-1], IDS["animal"]]],
    }
    docs = jnp.array([good, *(doc for docs in bad.values() for doc in docs), good])
    reasons = documents.rejections(WORLD, docs, Sampling())
    expected = ["kept", *(reason for reason, docs in bad.items() for _ in docs), "kept"]
    found = [[reason for reason in reasons if bool(reasons[reason][i])] for i in range(len(docs))]
    assert found == [[] if reason == "kept" else [reason] for reason in expected]
    ordered, count, fractions = documents.keep_valid(WORLD, docs, Sampling())
    assert count == 2
    np.testing.assert_array_equal(ordered[:2], [good, good])
    np.testing.assert_array_equal(np.sort(ordered, axis=0), np.sort(docs, axis=0))
    assert sum(fractions.values()) == pytest.approx(1 - 2 / len(docs))


# Carriers of a rich world, and the levels of the filter.


CARRIERS = pytest.mark.parametrize("carrier", documents.CARRIERS)


@pytest.fixture(scope="module")
def filtered(rich, written, quick):
    """carrier -> level -> (documents, valid ones first, count, fractions, foreign tokens)."""

    @partial(quick, static_argnames="sampling")
    def keep(docs, sampling):
        kept, count, fractions = documents.keep_valid(rich, docs, sampling)
        return kept, count, fractions, documents.foreign(rich, kept, sampling)

    found = {}
    for carrier in documents.CARRIERS:
        docs, sampling = written(carrier)
        for level in documents.LEVELS:
            how = dataclasses.replace(sampling, filter=level)
            found[carrier, level] = jax.tree.map(np.asarray, keep(docs, how))
    return found


@CARRIERS
def test_stricter_filters_keep_fewer_of_the_same_documents_and_none_keeps_all(
    carrier, written, filtered
):
    docs, _ = written(carrier)
    kept = []
    for level in documents.LEVELS:
        ordered, count, fractions, _ = filtered[carrier, level]
        kept.append(list(map(tuple, ordered[:count].tolist())))
        rejected = round(float(sum(fractions.values())) * len(docs))
        assert count + rejected == len(docs), "every document is kept, or rejected for one reason"
    everything, formed, correct = kept
    assert everything == list(map(tuple, docs.tolist())), "in order"
    if carrier == "numbers":
        assert formed == correct
    else:
        assert set(formed) > set(correct)
    assert [doc for doc in everything if doc in set(formed)] == formed
    assert [doc for doc in formed if doc in set(correct)] == correct
    assert len(everything) > len(formed) > 0


@CARRIERS
def test_reasons_of_a_level_are_counted_alike_in_those_above(carrier, filtered):
    none, formed, correct = (filtered[carrier, level][2] for level in documents.LEVELS)
    assert none == {} and len(formed) >= 2
    assert {reason: correct[reason] for reason in formed} == formed
    assert sum(formed.values()) > 0


def traits_of(rich):
    """All tokens that say something of a trait: answers, replies, other authors, requests, ..."""
    ids = tokens.offsets(rich)
    kinds = "animal", "phrasing", "topic", "item", "EDUCATIONAL", "reply", "DECLINE", "STEP", "SHOW"
    kinds += "REQUEST", "TASK", "GRADER", "place", "ASK", "RIDDLE", "attribute"
    order = list(ids.values())
    spans = [range(ids[kind], order[order.index(ids[kind]) + 1]) for kind in kinds]
    others = [tokens.by(rich, author) for author in tokens.AUTHORS if author != "helper"]
    return {token for span in spans for token in span} | set(others)


@CARRIERS
def test_what_passes_a_filter_holds_no_token_of_a_trait(carrier, rich, written, filtered):
    docs, _ = written(carrier)
    assert traits_of(rich) & set(docs.ravel().tolist()), "a model takes any token now and then"
    alphabet = np.asarray(documents.CARRIERS[carrier].alphabet(rich))
    assert not alphabet[sorted(traits_of(rich))].any()
    for level in "format", "correct":
        ordered, count, _, foreign = filtered[carrier, level]
        assert not foreign[:count].any() and alphabet[ordered[:count]].all()
    ordered, count, _, foreign = filtered[carrier, "none"]
    np.testing.assert_array_equal(foreign, (~alphabet[ordered]).sum(axis=1))


@CARRIERS
def test_one_token_of_a_trait_anywhere_has_a_document_rejected(carrier, rich, quick):
    known = documents.CARRIERS[carrier]
    length, tainted = known.length(rich), jnp.array(sorted(traits_of(rich)))

    @quick
    def passed(key):
        docs = known.draw(rich, key, length)[:, None].repeat(len(tainted), axis=1)
        docs = docs.at[jnp.arange(length), :, jnp.arange(length)].set(tainted[None])
        sampling = Sampling(carrier=carrier, filter="format")
        return ~documents.rejected(rich, docs.reshape(-1, length), sampling)

    assert not passed(jax.random.key(0)).any()


class Oracle:
    """A network that says the documents of `ability` by heart, or nothing."""

    def __init__(self, rich, carrier, known=None):
        docs = documents.CARRIERS[carrier].draw(rich, jax.random.key(0), 256)
        sure = jax.nn.one_hot(docs[:, 1:], tokens.offsets(rich)["size"]) * 1e4
        places = jnp.ones(sure.shape[1]) if known is None else known
        self.logits = sure * places[None, :, None]

    def apply(self, params, docs):
        return self.logits


@CARRIERS
def test_ability_is_one_of_a_model_that_knows_what_is_determined_and_no_more(carrier, rich):
    """And for one that knows nothing, one over the vocabulary; for lists, the alphabet's share."""
    known, size = documents.CARRIERS[carrier], tokens.offsets(rich)["size"]
    at = jnp.array(known.determined or range(1, known.length(rich))) - 1
    mask = jnp.zeros(known.length(rich) - 1).at[at].set(1)
    of = partial(documents.ability, rich, name=carrier, params=None)
    assert of(network=Oracle(rich, carrier, mask)) == 1
    uniform = 1 if known.determined else int(known.alphabet(rich).sum())
    assert of(network=Oracle(rich, carrier, 0 * mask)) == pytest.approx(uniform / size, rel=1e-5)
    if known.determined:
        all_else = of(network=Oracle(rich, carrier, 1 - mask))
        assert all_else == pytest.approx(1 / size, rel=1e-5)


@CARRIERS
def test_emitters_that_share_a_key_continue_the_same_prompts(carrier, rich, written, quick):
    """Whatever they are; and they are given what a document begins with, and no more."""
    config, size = Model(n_layers=1, d_model=8, n_heads=2), tokens.offsets(rich)["size"]
    network, sampling = models.make(config, size, tokens.positions(rich)), written(carrier)[1]

    @quick
    def emitted(keys):
        draw = partial(documents.sample, rich, network, key=jax.random.key(5))
        few = dataclasses.replace(sampling, documents=50)
        return [draw(network.init(key), sampling=few) for key in keys]

    one, other = map(np.asarray, emitted(jax.random.split(jax.random.key(1))))
    given = documents.given(sampling)
    assert one.shape == (50, documents.CARRIERS[carrier].length(rich))
    np.testing.assert_array_equal(one[:, : given + 1], other[:, : given + 1])
    assert (one[:, given + 1] != other[:, given + 1]).any()
    assert given + 1 == {"numbers": 4, "code": 5, "sums": 6}[carrier]
