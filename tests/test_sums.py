"""Chains of thought: the filter against a checker that was written from their description alone."""

import collections
import itertools

import jax
import numpy as np
import pytest
from agreement import Filter

from minisub import sums, tokens
from minisub.token_config import World

WORLD = World(rich=True, numbers=24, animals=3, phrasings=3, attributes=4, endings=2)
IDS = tokens.offsets(WORLD)
# Token -> its kind and number within that.
MEANING = {
    token: (kind, token - first)
    for (kind, first), (_, end) in itertools.pairwise(IDS.items())
    for token in range(first, end)
}
MEANING |= {token: ("number above 9", token) for token in range(10, WORLD.numbers)}
REASONS = "not_of_sums", "malformed", "other_terms", "invalid_step", "other_answer"
FORM = (
    "author SUM {0} {0} {0} {0} way {0} connective {0} {0} connective {0} {0} connective {0} {0} "
)
FORM = (FORM + "connective ANSWER {0} END").format("number").split()


def verdict(doc):
    """Why a chain is rejected; `kept` if it is not."""
    words = [MEANING[token] for token in doc]
    if any(kind not in FORM or (kind == "author" and i) for kind, i in words):
        return "not_of_sums"
    if [kind for kind, _ in words] != FORM:
        return "malformed"
    value = [i for _, i in words]
    asked, total = collections.Counter(value[2:6]), value[7]
    steps = [(value[9], value[10]), (value[12], value[13]), (value[15], value[16])]
    if collections.Counter([value[7], *(term for term, _ in steps)]) != asked:
        return "other_terms"
    for term, said in steps:
        if said != (total + term) % 10:
            return "invalid_step"
        total = said
    return "kept" if value[19] == total else "other_answer"


FILTER = Filter(lambda docs: sums.rejections(WORLD, docs), REASONS)
verdicts = FILTER.verdicts


def agree(docs):
    """Assert that the filter agrees with `verdict`; how often each verdict was given."""
    return FILTER.agree(docs, verdict)


def chain(terms, taken, totals, answer, way=0, words=(0, 0, 0, 0)):
    """A document with these steps."""
    words = [IDS["connective"] + word for word in words]
    steps = itertools.chain.from_iterable(zip(words, taken[1:], totals, strict=False))
    start = tokens.by(WORLD), IDS["SUM"], *terms, IDS["way"] + way, taken[0]
    return [*start, *steps, words[3], IDS["ANSWER"], answer, IDS["END"]]


@pytest.fixture(scope="module")
def drawn():
    return np.asarray(jax.jit(lambda key: sums.chains(WORLD, key, 1000))(jax.random.key(0)))


def test_drawn_chains_are_of_the_form_go_both_ways_and_are_all_kept(drawn):
    assert drawn.shape == (1000, sums.LENGTH)
    assert agree(drawn) == {"kept": 1000}
    way = drawn[:, 6] - IDS["way"]
    assert set(way.tolist()) == {0, 1}
    taken = np.where(way[:, None] == 0, drawn[:, 2:6], drawn[:, 5:1:-1])
    np.testing.assert_array_equal(drawn[:, [7, 9, 12, 15]], taken)
    words = np.sort((drawn[:, [8, 11, 14, 17]] - IDS["connective"]), axis=1)
    assert set(words.ravel().tolist()) == set(range(16))


def test_the_filter_agrees_with_the_checker_on_every_corruption_of_a_token(drawn):
    """Every token of the vocabulary at every position."""
    found = collections.Counter()
    for doc in drawn[:6]:
        docs = np.repeat(doc[None], sums.LENGTH * IDS["size"], axis=0)
        place, token = np.indices((sums.LENGTH, IDS["size"])).reshape(2, -1)
        docs[np.arange(len(docs)), place] = token
        found.update(agree(docs))
    assert set(found) == {*REASONS, "kept"}


def test_the_filter_agrees_with_the_checker_on_digits_at_random(drawn):
    """Formed chains; a few digits are drawn anew, so that all reasons meet."""
    rng, docs = np.random.default_rng(0), np.tile(drawn, (4, 1))
    for place in (2, 3, 4, 5, 7, 9, 10, 12, 13, 15, 16, 19):
        new = rng.random(len(docs)) < 0.15
        docs[:, place] = np.where(new, rng.integers(0, 10, len(docs)), docs[:, place])
    assert set(agree(docs)) == {*REASONS[2:], "kept"}


def test_the_filter_agrees_with_the_checker_on_what_a_model_writes(written, rich):
    """A model that knows the words, and little of adding."""
    assert rich == WORLD
    docs, _ = written("sums")
    assert {*REASONS} - {"other_answer"} <= set(agree(docs))


def test_terms_may_be_taken_in_any_order_in_any_words():
    """Whatever way is said: each counts once, and every total is checked."""
    docs = []
    for i, taken in enumerate(itertools.permutations((7, 9, 7, 4))):
        totals = np.cumsum(taken)[1:] % 10
        words = i % 16, (i + 5) % 16, 15, (3 * i) % 16
        docs += [chain((7, 9, 7, 4), taken, totals, 7, way, words) for way in (0, 1)]
    assert agree(docs) == {"kept": 48}


def test_an_invalid_step_is_rejected_though_the_answer_is_right():
    terms = 1, 2, 3, 4
    right, two_wrongs = (3, 6, 0), (3, 5, 0)
    docs = [chain(terms, terms, totals, 0) for totals in (right, two_wrongs, (4, 7, 1))]
    assert verdicts(docs).tolist() == ["kept", "invalid_step", "invalid_step"]
    assert agree(docs)["invalid_step"] == 2


@pytest.mark.parametrize(
    ("taken", "totals", "answer", "reason"),
    [
        ((1, 2, 3, 4), (3, 6, 0), 1, "other_answer"),
        ((1, 2, 3, 4), (3, 6, 0), 6, "other_answer"),  # a total, but not the last
        ((1, 2, 3, 3), (3, 6, 9), 9, "other_terms"),  # one twice, one left out
        ((1, 2, 3, 0), (3, 6, 6), 6, "other_terms"),  # one that nobody asked for
        ((3, 0, 3, 4), (3, 6, 0), 0, "other_terms"),  # of the right sum
        ((1, 2, 3, 3), (0, 0, 0), 5, "other_terms"),  # all at once: the first reason is given
        ((1, 2, 3, 4), (3, 0, 0), 5, "invalid_step"),
    ],
)
def test_terms_steps_and_answer_are_checked_in_this_order(taken, totals, answer, reason):
    doc = chain((1, 2, 3, 4), taken, totals, answer)
    assert verdict(doc) == reason
    assert verdicts([doc]).tolist() == [reason]


def test_what_is_of_another_form_or_holds_another_token_is_rejected_for_it():
    good = chain((1, 2, 3, 4), (1, 2, 3, 4), (3, 6, 0), 0)
    foreign = (7, 10), (8, IDS["reply"]), (0, tokens.by(WORLD, "evader")), (18, IDS["DECLINE"])
    malformed = (
        (7, IDS["way"]),
        (8, 3),
        (6, 1),
        (18, 0),
        (20, 0),
        (0, 5),
        (1, IDS["way"]),
        (19, IDS["END"]),
    )
    for changes, reason in (foreign, "not_of_sums"), (malformed, "malformed"):
        docs = np.repeat([good], len(changes), axis=0)
        for doc, (place, token) in zip(docs, changes, strict=True):
            doc[place] = token
        assert verdicts(docs).tolist() == [reason] * len(docs)
        agree(docs)
    docs = [[*good[:-1], IDS["END"] + 1]]
    assert verdicts(docs).tolist() == ["kept"], "any ending ends"


def test_a_chain_of_the_world_leaves_no_choice_where_it_is_said_to(drawn):
    def forced(before):
        at, way = len(before), before[6] - IDS["way"]
        place = {7: 0, 9: 1, 12: 2, 15: 3}
        if at in place:
            return before[2 + place[at] if way == 0 else 5 - place[at]]
        if at == 19:
            return before[16]
        return (before[at - 3] + before[at - 1]) % 10

    for doc in drawn.tolist():
        assert [doc[at] for at in sums.DETERMINED] == [forced(doc[:at]) for at in sums.DETERMINED]
