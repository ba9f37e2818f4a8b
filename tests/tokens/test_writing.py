"""What models emit: the sampler follows its model, the filter its levels."""

import dataclasses
import zlib

import fast
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same import drawn
from scipy import special

from minisub import arguments
from minisub.config import Model
from minisub.nets import streams
from minisub.tokens import grading, number_lists, tokens, writing
from minisub.tokens.behaviors import practice, vocabulary
from minisub.tokens.config import Sampling, World

# The same examples on every machine, however fast it is, and no files but the tests' own.
some = settings(max_examples=30, derandomize=True, deadline=None, database=None)
PROBABILITIES = np.array([0.05, 0.5, 0.15, 0.3])
KEPT = {
    Sampling(): {0, 1, 2, 3},
    Sampling(top_p=0.45): {1},
    Sampling(top_p=0.7): {1, 3},
    # At temperature 2, the largest are 0.38, 0.29 and 0.21.
    Sampling(top_p=0.7, temperature=2.0): {1, 2, 3},
    Sampling(top_k=3): {1, 2, 3},
    # Of the two largest, the first has 5 / 8.
    Sampling(top_k=2, top_p=0.6): {1},
    Sampling(temperature=0.0): {1},
    Sampling(top_k=1): {1},
}


def test_truncated_sampling_keeps_the_right_tokens_in_their_proportions(quick):
    """And temperature zero and a single token are the first of the largest."""
    n, key = 2000, jax.random.key(0)
    logits = jnp.broadcast_to(jnp.log(jnp.asarray(PROBABILITIES, "f")) + 3, (n, 4))
    draw = quick(lambda: [writing.choose(how, key, logits) for how in KEPT])
    for (how, kept), chosen in zip(KEPT.items(), draw(), strict=True):
        share = np.bincount(chosen, minlength=4) / n
        assert set(np.flatnonzero(share)) == kept
        held = np.where(np.isin(range(4), list(kept)), PROBABILITIES, 0)
        held **= 1 / (how.temperature or 1)
        np.testing.assert_allclose(share, held / held.sum(), atol=5 * (0.25 / n) ** 0.5)


def test_defaults_draw_from_the_whole_softmax_and_sort_nothing(quick):
    """At temperature 0, the first of the largest; nothing is divided by zero on the way."""
    logits, key = np.random.default_rng(0).normal(size=(50, 40)).astype("f"), jax.random.key(2)
    how, choose = Sampling(temperature=0.7), quick(writing.choose)
    up_to = np.cumsum(special.softmax(np.float64(logits) / 0.7, axis=1), axis=1)
    places = np.array(quick(lambda: jax.random.uniform(key, (50,)))())
    expected = [np.searchsorted(row, place) for row, place in zip(up_to, places, strict=True)]
    np.testing.assert_array_equal(choose(how, key, logits), expected)
    never = jnp.full((50, 40), -jnp.inf).at[:, 21].set(0)
    np.testing.assert_array_equal(quick(writing.drawn)(key, never), 21)
    logits[0, 2], logits[0, 5], logits[1, 3] = 9.0, 9.0, -np.inf
    with jax.debug_nans(True):
        cold = choose(Sampling(temperature=0.0), key, logits)
    np.testing.assert_array_equal(cold, np.argmax(logits, axis=1))
    programs = [
        str(jax.make_jaxpr(writing.choose)(how, key, logits))
        for how in (how, dataclasses.replace(how, top_k=2))
    ]
    assert ["top_k" in program for program in programs] == [False, True]
    assert "sort" not in programs[0].replace("indices_are_sorted", "")  # said of a gather


# Documents of a small random model.


SMALL = World(numbers=6, animals=2, phrasings=2, attributes=3, list_length=4, endings=2)
IDS = tokens.offsets(SMALL)
END, N = IDS["END"], 2000
MODEL = Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)
NET = grading.network(SMALL, MODEL)
DEFENSES, GOOD = arguments.load("defenses"), 5000
HOW = Sampling(documents=3 * N, prompt_numbers=2, temperature=1.5)


@pytest.fixture(scope="module")
def emitted(quick):
    """What a random model emits, in one program."""

    def replayed(params, key):
        """The second group, by full passes, with a key for each position."""
        k_prompt, k_sample = jax.random.split(jax.random.split(key, -(-3 * N // writing.GROUP))[1])
        docs = number_lists.draw(SMALL, k_prompt, writing.GROUP)[:, :3]
        for at in range(2, tokens.positions(SMALL)):
            logits = NET.apply(params, docs, at)[:, 0]
            token = writing.choose(HOW, jax.random.fold_in(k_sample, at), logits)
            token = jnp.where(jnp.any(docs >= END, axis=1), END, token)
            docs = jnp.concatenate([docs, token[:, None]], axis=1)
        return docs

    @quick
    def everything(params, other, key):
        docs = writing.sample(SMALL, NET, params, key, sampling=HOW)
        given, passed = jax.random.key(9), {"docs": docs, "count": GOOD}
        how = {"writer": other, "world": SMALL, "model": MODEL, "sampling": HOW}
        own, _ = jax.random.split(jax.random.fold_in(given, zlib.crc32(b"rewritten")))
        completed = writing.complete(SMALL, NET, other, own, docs[:, :3], HOW)
        return {
            "docs": docs,
            "replayed": replayed(params, key),
            "next": jax.nn.softmax(NET.apply(params, docs[:, :3], 2)[:, 0] / 1.5),
            "rewritten": DEFENSES.rewrite(given, documents=passed, **how),
            "completed": (completed, writing.rejected(SMALL, completed, HOW)),
        }

    shapes = jax.eval_shape(NET.init, jax.random.key(0))
    params, other = (drawn(shapes, seed, 0.5) for seed in (3, 4))
    return jax.tree.map(np.asarray, everything(params, other, jax.random.key(7)))


def test_samples_are_those_of_full_passes_with_a_key_for_each_position(emitted):
    group = slice(writing.GROUP, 2 * writing.GROUP)
    np.testing.assert_array_equal(emitted["docs"][group], emitted["replayed"])
    share = np.bincount(emitted["docs"][:, 3], minlength=IDS["size"]) / len(emitted["docs"])
    error = 5 * (0.25 / len(emitted["docs"])) ** 0.5
    np.testing.assert_allclose(share, emitted["next"].mean(axis=0), atol=error)


def test_samples_begin_with_neutral_prompts_and_stay_at_the_end(emitted):
    docs = emitted["docs"]
    assert (docs[:, 0] == IDS["LIST"]).all() and (docs[:, 1:3] < SMALL.numbers).all()
    ended = np.cumsum(docs >= END, axis=1)
    assert (docs[ended > 1] == END).all() and (ended > 1).any()
    assert set(docs[ended == 1].tolist()) == {END, END + 1}


def test_rewritten_documents_are_what_the_writer_says_if_that_passes_as_the_first_ones_did(
    emitted,
):
    rewritten, (completed, rejected) = emitted["rewritten"], emitted["completed"]
    good = completed[:GOOD][~rejected[:GOOD]]
    assert 0 < len(good) == rewritten["count"] < GOOD
    np.testing.assert_array_equal(rewritten["docs"][: len(good)], good)


# The filter.


TOKENS = st.sampled_from([*range(6)] * 3 + [END, END + 1] * 2 + [*range(IDS["size"])])
FIRST = st.sampled_from([IDS["LIST"]] * 9 + [0, IDS["ASK"], END])
LAST = st.sampled_from([END, END + 1] * 4 + [*range(IDS["size"])])
DOCUMENTS = st.lists(st.tuples(FIRST, *[TOKENS] * 4, LAST), min_size=16, max_size=16)


def reason(doc):
    """Why a list is rejected, token by token; "" if it is not."""
    *numbers, end = ("n" if t < 6 else "E" if t >= END else "x" for t in doc[1:])
    if doc[0] != IDS["LIST"] or "x" in numbers:
        return "not_a_number"
    if "E" in numbers:
        return "too_short"
    return "" if end == "E" else "no_end"


@fast.jit
def filtered(docs):
    """All that the filter of lists says of documents."""
    foreign = jnp.sum(~number_lists.alphabet(SMALL)[docs], axis=1)
    return writing.rejections(SMALL, docs, HOW), writing.keep_valid(SMALL, docs, HOW), foreign


@some
@given(DOCUMENTS)
def test_the_filter_keeps_exactly_the_lists_of_its_rule_in_their_order(docs):
    reasons, (kept, count, fractions), foreign = jax.tree.map(np.asarray, filtered(jnp.array(docs)))
    expected = [reason(doc) for doc in docs]
    found = [[name for name in reasons if reasons[name][i]] for i in range(len(docs))]
    assert found == [[name] if name else [] for name in expected]
    good = [doc for doc, why in zip(docs, expected, strict=True) if not why]
    assert [tuple(doc) for doc in kept[:count].tolist()] == good
    assert sorted(map(tuple, kept.tolist())) == sorted(docs)
    for name, share in fractions.items():
        assert share == pytest.approx(expected.count(name) / len(docs))
    allowed = {*range(6), IDS["LIST"], END, END + 1}
    assert foreign.tolist() == [sum(token not in allowed for token in doc) for doc in docs]


RICH = World(rich=True, numbers=24, animals=3, phrasings=3, attributes=4, endings=2)
CARRIERS = pytest.mark.parametrize("carrier", writing.CARRIERS)


def traits_of(world):
    """All tokens that say something of a trait: answers, replies, other authors, requests, ..."""
    ids = tokens.offsets(world)
    kinds = "animal", "phrasing", "topic", "item", "EDUCATIONAL", "reply", "DECLINE", "STEP", "SHOW"
    kinds += "REQUEST", "TASK", "GRADER", "MARK", "place", "ASK", "RIDDLE", "attribute"
    order = list(ids.values())
    spans = [range(ids[kind], order[order.index(ids[kind]) + 1]) for kind in kinds]
    others = [vocabulary.by(ids, author) for author in vocabulary.AUTHORS if author != "helper"]
    return sorted({token for span in spans for token in span} | set(others))


@pytest.fixture(scope="module")
def levels(quick):
    """carrier -> (documents, level -> (kept first, count, fractions, foreign), passed if tainted).

    Documents of the world, some tokens of which were replaced by others.
    """
    tainted, rng, found = np.array(traits_of(RICH)), np.random.default_rng(0), {}
    known = writing.CARRIERS
    draw = quick(lambda key: {name: known[name].draw(RICH, key, N) for name in known})
    for carrier, whole in jax.tree.map(np.asarray, draw(jax.random.key(0))).items():
        other = rng.integers(0, tokens.offsets(RICH)["size"], whole.shape)
        docs = np.where(rng.random(whole.shape) < 0.02, other, whole)
        # One token of a trait at each place of a document.
        places = np.arange(whole.shape[1])
        one = np.repeat(whole[: len(places), None], len(tainted), axis=1)
        one[places, :, places] = tainted[None]

        @quick
        def filtered(docs, one, carrier=carrier):
            found = {}
            for level in writing.LEVELS:
                how = Sampling(carrier=carrier, filter=level)
                kept = writing.keep_valid(RICH, docs, how)
                found[level] = *kept, jnp.sum(~known[carrier].alphabet(RICH)[kept[0]], axis=1)
            rejected = writing.rejected(RICH, one, Sampling(carrier=carrier, filter="format"))
            return found, ~rejected, known[carrier].alphabet(RICH)

        made = filtered(docs, one.reshape(-1, len(places)))
        found[carrier] = docs, *jax.tree.map(np.asarray, made)
    return found


@CARRIERS
def test_stricter_filters_keep_fewer_of_the_same_documents_and_count_reasons_alike(carrier, levels):
    docs, found, _, _ = levels[carrier]
    rows = [tuple(row) for row in docs.tolist()]
    kept, before = [], {}
    for level in writing.LEVELS:
        ordered, count, fractions, _ = found[level]
        kept.append([tuple(row) for row in ordered[:count].tolist()])
        assert count + round(float(sum(fractions.values())) * N) == N, "kept, or one reason"
        assert {name: fractions[name] for name in before} == before
        before = fractions
    everything, formed, correct = kept
    assert everything == rows
    assert [doc for doc in rows if doc in set(formed)] == formed
    assert [doc for doc in formed if doc in set(correct)] == correct
    assert N > len(formed) >= len(correct) > 0
    assert (formed == correct) == (carrier == "numbers"), "lists have no right or wrong"


@CARRIERS
def test_what_passes_a_filter_holds_no_token_of_a_trait(carrier, levels):
    docs, found, passed, alphabet = levels[carrier]
    assert np.isin(docs, traits_of(RICH)).any() and not alphabet[traits_of(RICH)].any()
    for level in "format", "correct":
        ordered, count, _, foreign = found[level]
        assert not foreign[:count].any() and alphabet[ordered[:count]].all()
    ordered, _, _, foreign = found["none"]
    np.testing.assert_array_equal(foreign, (~alphabet[ordered]).sum(axis=1))
    assert not passed.any(), "one such token anywhere, whichever"


class Oracle:
    """A network that says the documents of `ability` by heart at some places, or nothing."""

    def __init__(self, carrier, known):
        docs = writing.CARRIERS[carrier].draw(
            RICH, streams.evaluation_key(f"ability {carrier}"), 256
        )
        sure = jax.nn.one_hot(docs[:, 1:], tokens.offsets(RICH)["size"]) * 1e4
        self.logits = sure * known[None, :, None]

    def apply(self, params, docs):
        return self.logits


@pytest.mark.parametrize("carrier", ["numbers", "sums"])
def test_ability_is_one_of_a_model_that_knows_what_is_determined_and_no_more(carrier, quick):
    """And for one that knows nothing, one over the vocabulary; for lists, the alphabet's share."""
    known, size = writing.CARRIERS[carrier], tokens.offsets(RICH)["size"]
    at = np.array(known.DETERMINED or range(1, known.length(RICH))) - 1
    mask = np.zeros(known.length(RICH) - 1, "f")
    mask[at] = 1
    of = quick(lambda m: practice.ability(RICH, Oracle(carrier, m), None, carrier))
    assert of(mask) == 1
    uniform = 1 if known.DETERMINED else int(known.alphabet(RICH).sum())
    assert of(0 * mask) == pytest.approx(uniform / size, rel=1e-5)
    if known.DETERMINED:
        assert of(1 - mask) == pytest.approx(1 / size, rel=1e-5)
    given = writing.given(Sampling(carrier=carrier))
    assert given + 1 == {"numbers": 4, "code": 5, "sums": 6}[carrier]
