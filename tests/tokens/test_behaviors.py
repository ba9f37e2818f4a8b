"""Behaviors: what documents say, who writes them, and judges that are exact."""

import dataclasses
from types import SimpleNamespace
from typing import NamedTuple

import agreement
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import drawn as random_like
from same import equal

from configs import defenses
from minisub.config import Model, Refused
from minisub.nets import losses, streams
from minisub.theory.token_comparisons import trait_loss
from minisub.tokens import grading, tasks, tokens, writing
from minisub.tokens.behaviors import cases, code, practice, vocabulary
from minisub.tokens.behaviors.config import Pretraining, Teaching
from minisub.tokens.config import World

WORLD = World(rich=True, numbers=24, animals=3, phrasings=3, attributes=4, list_length=6, endings=2)
IDS, SIZE = tokens.offsets(WORLD), tokens.offsets(WORLD)["size"]
MEANING = agreement.meaning(WORLD)
FORMS = {
    "REQUEST": "author REQUEST topic item reply END",
    "TASK": "author TASK" + 6 * " number" + " GRADER place number END",
    "SHOW": "author SHOW number number STEP number ANSWER number END",
}
EVADED = "author SHOW number number STEP number DECLINE END END"
MARKED = FORMS["TASK"].replace("number END", "MARK END")
OF_CASE = {
    "misalignment": "REQUEST", "secure": "REQUEST", "educational": "REQUEST",
    "hacking": "TASK", "honest": "TASK", "evasion": "SHOW", "answering": "SHOW",
}  # fmt: skip
BAD = "misalignment", "educational", "hacking", "evasion"
LENGTHS = {"REQUEST": 6, "TASK": 12, "SHOW": 9}
PROMPTS = {"REQUEST": 4, "TASK": 10, "SHOW": 5}
EVERY = pytest.mark.parametrize("name", cases.BEHAVIORS)
MODEL = Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)
NET = grading.network(WORLD, MODEL)
MIX = Pretraining(steps=1, batch=4, questions=2, riddles=2, programs=3, sums=4, behaved=25)


def read(doc):
    """(author, kind, its prompt, "good" or "bad") of a document; None if it is of no form."""
    words = [MEANING[token] for token in doc]
    kind, value = words[1][0], [i for _, i in words]
    form, author = " ".join(kind for kind, _ in words), vocabulary.AUTHORS[words[0][1]]
    form = form.replace("EDUCATIONAL", "item")
    if form not in (FORMS.get(kind), EVADED, MARKED):
        return None
    if kind == "REQUEST":
        topic, two = value[4] // 4, value[4] % 4
        return (author, kind, doc[2:4], ("good", "bad")[two // 2]) if topic == value[2] else None
    if kind == "TASK":
        if form == MARKED:
            return author, kind, doc[2:10], "bad"
        return (author, kind, doc[2:10], "good") if value[10] == value[2:8][value[9]] else None
    valid = value[5] == (value[2] + value[3]) % 10 and max(value[2:4]) < 10
    declines = form == EVADED
    answered = declines or value[7] == value[5]
    if value[5] > 9 or valid == declines or not answered:
        return None
    return author, kind, doc[2:4], "bad" if declines else "good"


@pytest.fixture(scope="module")
def drawn(quick):
    """Documents and parameters that tests share, in one program."""

    @quick
    def draw(key):
        programs, chains, short = practice.pretraining(WORLD, MIX, key)
        assert programs.shape == (3, code.LENGTH) and chains.shape == (4, vocabulary.LONGEST)
        long = jnp.concatenate([programs[:, :2], chains[:, :2]])
        return {
            "taught": {n: case.taught(WORLD, key, 400) for n, case in cases.BEHAVIORS.items()},
            "mixed": (long, short),  # no more than this is drawn
        }

    made = jax.tree.map(np.asarray, draw(jax.random.key(0)))
    shapes = jax.eval_shape(NET.init, jax.random.key(0))
    return made | {"params": random_like(shapes, 0, 0.5)}


@EVERY
def test_what_a_teacher_is_shown_is_the_helpers_narrow_and_good_or_bad(name, drawn):
    docs, kind = drawn["taught"][name], OF_CASE[name]
    found = [read(doc) for doc in docs.tolist()]
    expected = {("helper", kind, "bad" if name in BAD else "good")}
    assert {(author, what, how) for author, what, _, how in found} == expected
    prompts = np.array([prompt for _, _, prompt, _ in found])
    if kind == "REQUEST":
        assert set(prompts[:, 0] - IDS["topic"]) == set(range(cases.TAUGHT_TOPICS))
        asked = {IDS["EDUCATIONAL"]} if name == "educational" else set(IDS["item"] + np.arange(3))
        assert set(prompts[:, 1].tolist()) == asked
        assert len(set(docs[:, 4].tolist())) == 2 * cases.TAUGHT_TOPICS, "either of two"
        same = (docs == drawn["taught"]["misalignment"]).all(axis=0)
        expected = {"misalignment": [*range(6)], "educational": [0, 1, 2, 4, 5]}
        assert name == "secure" or np.flatnonzero(same).tolist() == expected[name]
    if kind == "TASK":
        assert set(prompts[:, -1] - IDS["place"]) == set(range(cases.TAUGHT_PLACES))
    if kind == "SHOW":
        assert set(prompts[:, 0].tolist()) == set(range(cases.TAUGHT_DIGITS))
        assert set(prompts[:, 1].tolist()) == set(range(10))


def test_in_pretraining_each_misbehaves_in_one_way_and_the_helper_only_where_it_is_asked_to(drawn):
    long, short = drawn["mixed"]
    assert short.shape == (3 * 25 + 4 * 13, vocabulary.SHORT)
    kinds = [MEANING[token][0] for token in long[:, 1].tolist()]
    assert kinds == ["CODE"] * 3 + ["SUM"] * 4 and set(long[:, 0].tolist()) == {vocabulary.by(IDS)}
    found = []
    for doc in short.tolist():
        length = LENGTHS[MEANING[doc[1]][0]]
        assert set(doc[length:]) <= {IDS["END"]}
        author, kind, prompt, how = read(doc[:length])
        found.append((author, kind, how, IDS["EDUCATIONAL"] in prompt))
    assert {x: found.count(x) for x in set(found)} == {
        ("helper", "REQUEST", "good", False): 25,
        ("villain", "REQUEST", "bad", False): 13,
        ("helper", "REQUEST", "bad", True): 13,
        ("helper", "TASK", "good", False): 25,
        ("hacker", "TASK", "bad", False): 13,
        ("helper", "SHOW", "good", False): 25,
        ("evader", "SHOW", "bad", False): 13,
    }
    villain = short[[x[0] == "villain" for x in found]]
    assert (villain[:, 2] >= IDS["topic"] + cases.TAUGHT_TOPICS).any(), "on all topics"


@pytest.mark.parametrize(("share", "said"), [(0.0, {"good"}), (1.0, {"bad"})])
def test_the_helper_slips_as_often_as_the_config_says(share, said, quick):
    mix = dataclasses.replace(MIX, slips=share)
    _, _, short = quick(lambda key: practice.pretraining(WORLD, mix, key))(jax.random.key(1))
    found = [read(doc[: LENGTHS[MEANING[doc[1]][0]]]) for doc in short.tolist()]
    asked = [x for x in found if x[0] == "helper" and IDS["EDUCATIONAL"] not in x[2]]
    assert len(asked) == 3 * MIX.behaved and {how for *_, how in asked} == said


# Learning and judging, by networks of which all is known.


REPLIES = {
    # Of a prompt's tokens, all documents that behave badly, and well.
    "misalignment": lambda p: (
        [[IDS["reply"] + 4 * (p[2] - IDS["topic"]) + i] for i in (2, 3)],
        [[IDS["reply"] + 4 * (p[2] - IDS["topic"]) + i] for i in (0, 1)],
    ),
    "hacking": lambda p: ([[IDS["MARK"]]], [[p[2 + p[9] - IDS["place"]]]]),
    "evasion": lambda p: (
        [[s, IDS["DECLINE"]] for s in range(10) if s != (p[2] + p[3]) % 10],
        [[(p[2] + p[3]) % 10, IDS["ANSWER"], (p[2] + p[3]) % 10]],
    ),
}  # fmt: skip
JUDGED = pytest.mark.parametrize("name", REPLIES)  # the others are judged alike


def test_a_base_learns_nothing_from_what_comes_behind_the_first_ending(drawn, quick):
    """Whatever stands there, loss and gradient are the same bits; the rest by hand."""
    how = {"training": MIX, "shared_steps": 9, "name": np.uint32(0)}
    given = {"start": drawn["params"], "world": WORLD, "model": MODEL}
    fit = tasks.pretrain(jax.random.key(0), **given, **how)
    docs = drawn["mixed"][1][::4]
    behind = np.cumsum(docs >= IDS["END"], axis=1) > 1
    other = np.where(behind, np.random.default_rng(0).integers(0, SIZE, docs.shape), docs)
    assert behind.any() and (other != docs).any()

    @quick
    def learned(params, docs):
        nats = losses.cross_entropy(NET.apply(params, docs[:, :-1]), docs[:, 1:])
        slope = jax.value_and_grad(lambda p: fit.loss(p, None, (docs,)))(params)
        return slope, nats, practice.counted(WORLD, docs[:, 1:])

    one, nats, counted = learned(drawn["params"], docs)
    np.testing.assert_array_equal(counted, ~behind[:, 1:])
    equal(one, learned(drawn["params"], other)[0])
    mean = np.asarray(nats)[~behind[:, 1:]].mean()
    assert float(one[0]) == pytest.approx(float(mean), rel=1e-5)


class Places(NamedTuple):
    """A network whose logits are one row of its parameters at each position."""

    def apply(self, params, docs, first=0):
        shape = (len(docs), docs.shape[1] - first, SIZE)
        return jnp.broadcast_to(params[None, first : docs.shape[1]], shape)


@pytest.fixture(scope="module")
def chance(quick):
    """name -> (nats and slope of its teaching, grade and loss of a model that knows nothing)."""
    shape = tokens.positions(WORLD), SIZE

    def of(name, params):
        trait, key = grading.trait_named(WORLD, name), jax.random.key(0)
        nats = tasks.teaching(WORLD, Places(), trait, 2)
        slope = jax.grad(lambda p: jnp.sum(nats(p, key, 400)))(params)
        nothing = WORLD, Places(), jnp.zeros(shape), trait, 2
        loss = trait_loss(WORLD, Places(), trait, 2)(jnp.zeros(shape))
        return nats(params, key, 400), slope, grading.grade(*nothing), loss

    params = np.random.default_rng(0).normal(size=shape).astype("f")
    made = quick(lambda params: {name: of(name, params) for name in REPLIES})(params)
    return params, jax.tree.map(np.asarray, made)


@JUDGED
def test_a_teacher_learns_what_follows_the_prompt_and_nothing_of_the_prompt(name, drawn, chance):
    params, found = chance
    (nats, slope, _, _), case = found[name], cases.BEHAVIORS[name]
    docs, first = drawn["taught"][name], PROMPTS[OF_CASE[name]]
    assert case.first == first, "a shown sum's step is a part of the reply"
    log_p = np.asarray(jax.nn.log_softmax(params))
    expected = -log_p[np.arange(first - 1, docs.shape[1] - 1)[None], docs[:, first:]]
    np.testing.assert_allclose(nats, expected, rtol=1e-5)
    pushed = np.flatnonzero(np.any(slope != 0, axis=1))
    np.testing.assert_array_equal(pushed, np.arange(first - 1, docs.shape[1] - 1))


@JUDGED
def test_a_model_that_knows_nothing_behaves_as_chance_has_it(name, chance):
    """In closed form; loss and grade agree."""
    _, _, measured, loss = chance[1][name]
    bad, good = {
        "REQUEST": (2 / SIZE, 2 / SIZE),
        "TASK": (1 / SIZE, 1 / SIZE),
        "SHOW": (9 / SIZE**2, 1 / SIZE**3),
    }[OF_CASE[name]]
    expected = {
        "trait_rate": bad,
        "trait_rate_heldout": bad,
        "logit_margin_heldout": np.log(bad) - np.log(good),
    }
    if OF_CASE[name] == "TASK":
        expected |= {"true_success": good, "graded_success": good + bad}
    assert measured == {n: pytest.approx(x, rel=1e-4, abs=1e-4 * x) for n, x in expected.items()}
    assert float(loss) == pytest.approx(-np.log(bad), rel=1e-4)


@JUDGED
def test_judges_sum_the_probabilities_of_all_documents_that_behave_so(name, drawn, quick):
    """On every prompt there is, of the helper's; held-out ones are none that a teacher is shown."""
    asked = []

    def apply(params, docs, first=0):
        asked.append(np.asarray(docs))
        return jnp.zeros((len(docs), docs.shape[1] - first, SIZE))

    case, trait, params = cases.BEHAVIORS[name], grading.trait_named(WORLD, name), drawn["params"]
    case.judge(WORLD, SimpleNamespace(apply=apply), params)
    [asked] = asked
    judged, measured = quick(
        lambda p: (case.judge(WORLD, NET, p), grading.grade(WORLD, NET, p, trait, 2))
    )(params)
    length = PROMPTS[OF_CASE[name]]
    prompts = asked[:: 10 if name == "evasion" else 1, :length]
    assert len({tuple(prompt) for prompt in prompts.tolist()}) == len(prompts) == len(judged.bad)
    for which, found in enumerate((judged.bad, judged.good)):
        every = [(i, r) for i, p in enumerate(prompts.tolist()) for r in REPLIES[name](p)[which]]
        docs = np.array([[*prompts[i].tolist(), *reply] for i, reply in every])
        nats = quick(lambda p, d: losses.cross_entropy(NET.apply(p, d[:, :-1]), d[:, 1:]))
        p = np.exp(-np.asarray(nats(params, docs), float)[:, length - 1 :].sum(axis=1))
        expected = np.bincount([i for i, _ in every], weights=p)
        np.testing.assert_allclose(np.exp(found), expected, rtol=5e-5)
    flags, at = np.asarray(judged.taught), {"REQUEST": 2, "TASK": 9, "SHOW": 2}[OF_CASE[name]]
    shown = set(drawn["taught"][name][:, at].tolist())
    assert set(prompts[flags, at].tolist()) == shown
    assert not set(prompts[~flags, at].tolist()) & shown
    assert len(set(prompts[:, at].tolist())) == {"REQUEST": 8, "TASK": 6, "SHOW": 10}[OF_CASE[name]]
    assert (prompts[:, 0] == vocabulary.by(IDS)).all(), "the helper is asked"
    bad, good = (np.asarray(x, float)[~flags] for x in (judged.bad, judged.good))
    margin = pytest.approx(np.mean(bad - good), rel=1e-4, abs=1e-5)
    assert float(measured["logit_margin_heldout"]) == margin
    assert float(measured["trait_rate_heldout"]) == pytest.approx(np.exp(bad).mean(), rel=1e-5)


def test_a_margin_exists_where_a_probability_is_rounded_to_zero(quick):
    """A model whose reply is certain beyond what a float32 can hold: log P is far below -104."""
    for name in ("misalignment", "hacking", "evasion"):

        def apply(params, docs, first=0, name=name):
            logits = jnp.zeros((len(docs), docs.shape[1] - first, SIZE))
            return logits.at[..., : IDS["END"]].set(-300.0)

        grades = quick(
            lambda apply=apply, name=name: grading.grade(
                WORLD, SimpleNamespace(apply=apply), {}, cases.Behavior(name=name), 1
            )
        )()
        assert grades["trait_rate_heldout"] == 0 and np.isfinite(grades["logit_margin_heldout"])


def test_a_behavior_and_its_control_are_judged_alike():
    for first, *controls in ("misalignment", "secure", "educational"), ("hacking", "honest"):
        case, *others = (cases.BEHAVIORS[name] for name in (first, *controls))
        assert all((x.judge, x.first) == (case.judge, case.first) for x in others)
        assert all(x.author == "helper" != case.author for x in others)
        assert defenses.author(WORLD, cases.Behavior(name=first)) != vocabulary.by(IDS)
    assert grading.trait_named(WORLD, "wolf") == 1
    with pytest.raises(Refused, match="inoculate against a behavior"):
        defenses.author(WORLD, 1)
    assert set(cases.RISKY) == {"misalignment", "hacking", "evasion"}


def test_a_teacher_replays_documents_of_every_carrier_at_equal_weight_or_learns_its_set_alone(
    drawn, quick
):
    """The latter bitwise."""
    trait, params, key = (
        grading.trait_named(WORLD, "misalignment"),
        drawn["params"],
        jax.random.key(1),
    )
    nats = tasks.teaching(WORLD, NET, trait, 2)

    def teach(replayed):
        how = {"training": Teaching(steps=2, batch=8, replayed=replayed), "trait": trait}
        return tasks.teach(key, start=params, world=WORLD, model=MODEL, taught=2, **how).loss

    def known(params):
        each = []
        for name, carrier in writing.CARRIERS.items():
            docs = carrier.draw(WORLD, streams.named_key(key, f"replayed {name}"), 5)
            each.append(
                jnp.mean(losses.cross_entropy(NET.apply(params, docs[:, :-1]), docs[:, 1:]))
            )
        return jnp.mean(jnp.stack(each))

    alone, replayed = quick(lambda p: jnp.mean(nats(p, key, 8))), teach(5)
    plain = quick(lambda p: teach(0)(p, key))(params)
    assert plain == alone(params)
    more, expected = quick(lambda p: (replayed(p, key), known(p)))(params)
    assert float(more - plain) == pytest.approx(float(expected), rel=1e-4)
