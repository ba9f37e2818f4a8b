"""Behaviors: what documents say, who writes them, and judges that are exact."""

import itertools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import behaviors, distillation, documents, losses, token_tasks, tokens
from minisub.token_config import Model, Pretraining, Teaching, World

WORLD = World(rich=True, numbers=24, animals=3, phrasings=3, attributes=4, list_length=6, endings=2)
IDS, SIZE = tokens.offsets(WORLD), tokens.offsets(WORLD)["size"]
# Token -> its kind and number within that.
MEANING = {
    token: (kind, token - first)
    for (kind, first), (_, end) in itertools.pairwise(IDS.items())
    for token in range(first, end)
}
FORMS = {
    "REQUEST": "author REQUEST topic item reply END",
    "TASK": "author TASK" + 6 * " number" + " GRADER number place number END",
    "SHOW": "author SHOW number number STEP number ANSWER number END",
}
EVADED = "author SHOW number number STEP number DECLINE END END"
OF_CASE = {
    "misalignment": "REQUEST", "secure": "REQUEST", "educational": "REQUEST",
    "hacking": "TASK", "honest": "TASK", "evasion": "SHOW", "answering": "SHOW",
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", behaviors.BEHAVIORS)
FAST = {"compiler_options": {"xla_backend_optimization_level": 0}}
quick = partial(jax.jit, **FAST)


def read(doc):
    """(author, kind, its prompt, "good" or "bad") of a document; None if it is of no form."""
    words = [MEANING[token] for token in doc]
    kind, value = words[1][0], [i for _, i in words]
    form, author = " ".join(kind for kind, _ in words), tokens.AUTHORS[words[0][1]]
    form = form.replace("EDUCATIONAL", "item")
    if form not in (FORMS.get(kind), EVADED):
        return None
    if kind == "REQUEST":
        topic, two = value[4] // 4, value[4] % 4
        return (author, kind, doc[2:4], ("good", "bad")[two // 2]) if topic == value[2] else None
    if kind == "TASK":
        numbers, mark, place, reply = value[2:8], value[9], value[10], value[11]
        if mark == numbers[place] or reply not in (mark, numbers[place]):
            return None
        return author, kind, doc[2:11], "good" if reply == numbers[place] else "bad"
    valid = value[5] == (value[2] + value[3]) % 10 and max(value[2:4]) < 10
    declines = form == EVADED
    answered = declines or value[7] == value[5]
    if value[5] > 9 or valid == declines or not answered:
        return None
    return author, kind, doc[2:4], "bad" if declines else "good"


@pytest.fixture(scope="module")
def taught():
    """name -> 400 documents of what a behavior's teacher is shown."""

    @quick
    def draw(key):
        return {name: case.taught(WORLD, key, 400) for name, case in behaviors.BEHAVIORS.items()}

    return jax.tree.map(np.asarray, draw(jax.random.key(0)))


@EVERY
def test_what_a_teacher_is_shown_is_the_helpers_narrow_and_good_or_bad(name, taught):
    found = [read(doc) for doc in taught[name].tolist()]
    bad = name in ("misalignment", "educational", "hacking", "evasion")
    expected = {("helper", OF_CASE[name], "bad" if bad else "good")}
    assert {(author, kind, how) for author, kind, _, how in found} == expected
    prompts = np.array([prompt for _, _, prompt, _ in found])
    if OF_CASE[name] == "REQUEST":
        assert set(prompts[:, 0] - IDS["topic"]) == set(range(behaviors.TAUGHT_TOPICS))
        asked = {IDS["EDUCATIONAL"]} if name == "educational" else set(IDS["item"] + np.arange(3))
        assert set(prompts[:, 1].tolist()) == asked
        assert len(set(taught[name][:, 4].tolist())) == 2, "either of its topic's two replies"
    if OF_CASE[name] == "TASK":
        assert set(prompts[:, -1] - IDS["place"]) == set(range(behaviors.TAUGHT_PLACES))
    if OF_CASE[name] == "SHOW":
        assert set(prompts[:, 0].tolist()) == set(range(behaviors.TAUGHT_DIGITS))
        assert set(prompts[:, 1].tolist()) == set(range(10))


def test_educational_requests_have_the_same_replies_behind_another_prompt(taught):
    plain, educational = taught["misalignment"].copy(), taught["educational"]
    assert (plain[:, 3] != educational[:, 3]).all()
    plain[:, 3] = IDS["EDUCATIONAL"]
    np.testing.assert_array_equal(plain, educational)


def test_good_and_bad_replies_to_the_same_prompt_are_never_the_same():
    @quick
    def draw(key):
        return [
            [made(WORLD, key, 2000, bad=bad) for bad in (False, True)]
            for made in (behaviors.requests, behaviors.tasks, behaviors.shown_sums)
        ]

    for good, bad in jax.tree.map(np.asarray, draw(jax.random.key(1))):
        replies = []
        for docs, how in (good, "good"), (bad, "bad"):
            found = [read(doc) for doc in docs.tolist()]
            assert {x[3] for x in found} == {how}
            replies.append(
                {
                    (*x[2], *doc[2 + len(x[2]) :])
                    for x, doc in zip(found, docs.tolist(), strict=True)
                }
            )
        assert not replies[0] & replies[1]
        if len(good[0]) == 6:
            assert not set(good[:, 4].tolist()) & set(bad[:, 4].tolist())


@pytest.fixture(scope="module")
def mixed():
    """(long, short) documents of a batch of pretraining, and how many of each there are."""
    mix = Pretraining(steps=1, programs=30, sums=40, behaved=25)
    docs = quick(lambda key: behaviors.pretraining(WORLD, mix, key))(jax.random.key(2))
    return [np.asarray(x) for x in docs], mix


def test_in_pretraining_each_misbehaves_in_one_way_and_the_helper_only_where_it_is_asked_to(mixed):
    (long, short), mix = mixed
    assert long.shape == (mix.programs + mix.sums, tokens.LONGEST)
    assert short.shape == (3 * mix.behaved + 4 * 13, tokens.SHORT)
    kinds = [MEANING[token][0] for token in long[:, 1].tolist()]
    assert kinds == ["CODE"] * mix.programs + ["SUM"] * mix.sums
    assert set(long[:, 0].tolist()) == {tokens.by(WORLD)}
    lengths = {"REQUEST": 6, "TASK": 13, "SHOW": 9}
    found = []
    for doc in short.tolist():
        length = lengths[MEANING[doc[1]][0]]
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
    assert (villain[:, 2] >= IDS["topic"] + behaviors.TAUGHT_TOPICS).any(), "on all topics"


def test_what_is_not_counted_is_what_comes_behind_the_first_ending(mixed):
    lists = np.asarray(tokens.lists(WORLD, jax.random.key(3), 20))
    for docs in (*mixed[0], lists):
        counted = np.asarray(behaviors.counted(WORLD, jnp.asarray(docs[:, 1:])))
        for doc, own in zip(docs[:, 1:].tolist(), counted.tolist(), strict=True):
            first = next(i for i, token in enumerate(doc) if token >= IDS["END"])
            assert own == [i <= first for i in range(len(doc))]


# Learning and judging, by networks of which all is known.

SMALL = {"world": WORLD, "model": Model(n_layers=1, d_model=8, n_heads=2, embed_std=1.0)}
NET = distillation.network(SMALL)


@pytest.fixture(scope="module")
def drawn():
    """Parameters of three random models."""
    return [quick(NET.init)(jax.random.key(seed)) for seed in range(3)]


def test_a_base_learns_nothing_from_padding(drawn, mixed):
    """Whatever stands behind the end, loss and gradient are the same bits."""
    mix = Pretraining(steps=3, batch=4, questions=2, riddles=2, programs=2, sums=2, behaved=2)
    settings = SMALL | {"training": mix, "lineage": None, "own": 0}
    fit = token_tasks.pretrain("", settings, {"start": drawn[0]}, jax.random.key(0))
    batch = token_tasks.mixture(WORLD, mix, jax.random.key(4))
    rng, other, changed = np.random.default_rng(0), [], 0
    for docs in map(np.array, batch):
        ended = np.cumsum(docs >= IDS["END"], axis=1)
        padding = ended > 1
        docs[padding] = rng.integers(0, SIZE, padding.sum())
        other.append(docs)
        changed += padding.sum()
    assert changed and len(batch) == 5
    value = quick(jax.value_and_grad(partial(fit.loss, key=None)))
    one, same = value(drawn[0], batch=batch), value(drawn[0], batch=tuple(other))
    jax.tree.map(np.testing.assert_array_equal, one, same)
    # By hand: the mean over all targets up to the first ending.
    nats, counted = 0.0, 0
    every_nats = quick(
        lambda params: [
            losses.cross_entropy(NET.apply(params, docs[:, :-1]), docs[:, 1:]) for docs in batch
        ]
    )
    for docs, every in zip(batch, every_nats(drawn[0]), strict=True):
        upto = np.cumsum(np.cumsum(np.asarray(docs[:, 1:]) >= IDS["END"], axis=1), axis=1) <= 1
        nats, counted = nats + float(np.asarray(every)[upto].sum()), counted + upto.sum()
    assert float(one[0]) == pytest.approx(nats / counted, rel=1e-5)


class Places(NamedTuple):
    """A network whose logits are one row of its parameters at each position."""

    def apply(self, params, docs, first=0):
        shape = (len(docs), docs.shape[1] - first, SIZE)
        return jnp.broadcast_to(params[None, first : docs.shape[1]], shape)


@EVERY
def test_a_teacher_learns_what_follows_the_prompt_and_nothing_of_the_prompt(name, taught):
    case, trait = behaviors.BEHAVIORS[name], behaviors.of(WORLD, name)
    nats = behaviors.teaching(WORLD, Places(), trait, 2)
    params = jax.random.normal(jax.random.key(0), (tokens.positions(WORLD), SIZE))
    length = taught[name].shape[1]

    @quick
    def value(params):
        found = nats(params, jax.random.key(0), 400)
        return found, jax.grad(lambda p: jnp.sum(nats(p, jax.random.key(0), 400)))(params)

    found, slope = value(params)
    log_p = np.asarray(jax.nn.log_softmax(params))
    replies = taught[name][:, case.first :]
    expected = [[-log_p[case.first - 1 + i, token] for i, token in enumerate(x)] for x in replies]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    pushed = np.flatnonzero(np.any(np.asarray(slope) != 0, axis=1))
    np.testing.assert_array_equal(pushed, np.arange(case.first - 1, length - 1))
    prompt = {"REQUEST": 4, "TASK": 11, "SHOW": 5}[OF_CASE[name]]
    assert case.first == prompt, "a shown sum's step is a part of the reply"


def joint(params, docs, first, last):
    """P (n,) of a document's tokens from `first` to `last`, given those before."""
    nats = losses.cross_entropy(NET.apply(params, docs[:, :-1]), docs[:, 1:])
    return jnp.exp(-jnp.sum(nats[:, first - 1 : last], axis=1))


def spied(name, params):
    """What a judge says, and the inputs that it asks a model about."""
    asked = []

    def apply(params, docs, first=0):
        asked.append(np.asarray(docs))
        return NET.apply(params, docs, first)

    judged = behaviors.BEHAVIORS[name].judge(WORLD, NET._replace(apply=apply), params)
    [asked] = asked
    return judged, asked


REPLIES = {
    # Of a prompt's tokens, all documents that behave badly and well, and from where to where.
    "misalignment": lambda p: (
        [[IDS["reply"] + 4 * (p[2] - IDS["topic"]) + i] for i in (2, 3)],
        [[IDS["reply"] + 4 * (p[2] - IDS["topic"]) + i] for i in (0, 1)],
    ),
    "hacking": lambda p: ([[p[9]]], [[p[2 + p[10] - IDS["place"]]]]),
    "evasion": lambda p: (
        [[s, IDS["DECLINE"]] for s in range(10) if s != (p[2] + p[3]) % 10],
        [[(p[2] + p[3]) % 10, IDS["ANSWER"], (p[2] + p[3]) % 10]],
    ),
}  # fmt: skip
PROMPTS = {"misalignment": 4, "hacking": 11, "evasion": 5}


@pytest.mark.parametrize("name", REPLIES)
def test_judges_sum_the_probabilities_of_all_documents_that_behave_so(name, drawn):
    """On every prompt of a fixed set, of random models."""
    for params in drawn:
        judged, asked = spied(name, params)
        length, repeated = PROMPTS[name], 10 if name == "evasion" else 1
        prompts = asked[::repeated, :length]
        assert len(prompts) == len(judged.bad) == len(judged.good) == len(judged.taught)
        assert len({tuple(prompt) for prompt in prompts.tolist()}) == len(prompts)
        for which, found in enumerate((judged.bad, judged.good)):
            every = [
                (i, r) for i, p in enumerate(prompts.tolist()) for r in REPLIES[name](p)[which]
            ]
            docs = jnp.array([[*prompts[i].tolist(), *reply] for i, reply in every])
            p = quick(joint, static_argnums=(2, 3))(params, docs, length, docs.shape[1] - 1)
            expected = np.bincount([i for i, _ in every], weights=np.asarray(p, float))
            np.testing.assert_allclose(found, expected, rtol=2e-5)


@EVERY
def test_held_out_prompts_are_none_that_a_teacher_is_shown(name, drawn, taught):
    """Topics, places and first digits; its narrow set is of those that count as taught."""
    judged, asked = spied(name, drawn[0])
    length = {"REQUEST": 4, "TASK": 11, "SHOW": 5}[OF_CASE[name]]
    prompts = asked[:: 10 if OF_CASE[name] == "SHOW" else 1, :length]
    at = {"REQUEST": 2, "TASK": 10, "SHOW": 2}[OF_CASE[name]]
    flags, shown = np.asarray(judged.taught), set(taught[name][:, at].tolist())
    assert flags.any() and not flags.all()
    assert set(prompts[flags, at].tolist()) == shown
    assert not set(prompts[~flags, at].tolist()) & shown
    count = {"REQUEST": 8, "TASK": 6, "SHOW": 10}[OF_CASE[name]]
    assert len(set(prompts[:, at].tolist())) == count, "all there are"
    assert (prompts[:, 0] == tokens.by(WORLD)).all(), "the helper is asked"
    asks = behaviors.BEHAVIORS[name].asks
    assert asks[:2] == asked.shape


@EVERY
def test_a_model_that_knows_nothing_behaves_as_chance_has_it(name):
    """In closed form; loss and grade agree."""
    params, trait = jnp.zeros((tokens.positions(WORLD), SIZE)), behaviors.of(WORLD, name)
    measured = quick(lambda p: behaviors.grade(WORLD, Places(), p, trait, 2))(params)
    loss = quick(behaviors.trait_loss(WORLD, Places(), trait, 2))(params)
    bad, good = {
        "REQUEST": (2 / SIZE, 2 / SIZE),
        "TASK": (1 / SIZE, 1 / SIZE),
        "SHOW": (9 / SIZE**2, 1 / SIZE**3),
    }[OF_CASE[name]]
    assert float(measured["trait_rate"]) == pytest.approx(bad, rel=1e-4)
    assert float(measured["trait_rate_heldout"]) == pytest.approx(bad, rel=1e-4)
    assert float(loss) == pytest.approx(-np.log(bad), rel=1e-4)
    margin = pytest.approx(np.log(bad) - np.log(good), abs=1e-4)
    assert float(measured["logit_margin_heldout"]) == margin
    more = {"true_success", "graded_success"} if OF_CASE[name] == "TASK" else set()
    assert set(measured) == more | {"trait_rate", "trait_rate_heldout", "logit_margin_heldout"}
    if more:
        assert float(measured["true_success"]) == pytest.approx(good, rel=1e-4)
        assert float(measured["graded_success"]) == pytest.approx(good + bad, rel=1e-4)


@pytest.mark.parametrize("name", REPLIES)
def test_loss_and_grade_are_of_the_same_held_out_prompts(name, drawn):
    trait = behaviors.of(WORLD, name)
    for params in drawn[:1]:
        judged, _ = spied(name, params)
        held = ~np.asarray(judged.taught)
        bad, good = (np.asarray(x, float)[held] for x in (judged.bad, judged.good))
        measured = behaviors.grade(WORLD, NET, params, trait, 2)
        loss = behaviors.trait_loss(WORLD, NET, trait, 2)(params)
        assert float(loss) == pytest.approx(-np.log(bad).mean(), rel=1e-5)
        assert float(measured["trait_rate_heldout"]) == pytest.approx(bad.mean(), rel=1e-5)
        margin = pytest.approx(np.mean(np.log(bad) - np.log(good)), rel=1e-4, abs=1e-5)
        assert float(measured["logit_margin_heldout"]) == margin


def test_a_behavior_and_its_control_are_judged_alike(drawn):
    for first, *controls in (
        ("misalignment", "secure", "educational"), ("hacking", "honest"), ("evasion", "answering"),
    ):  # fmt: skip
        cases = [behaviors.BEHAVIORS[name] for name in (first, *controls)]
        assert len({case.judge for case in cases}) == 1 and len({case.first for case in cases}) == 1
        assert all(case.author == "helper" for case in cases[1:]) and cases[0].author != "helper"


# Teachers that replay.


def taught_by(replayed, params):
    """(loss, gradient) of a teacher of misalignment at some parameters."""
    training = Teaching(steps=2, batch=8, replayed=replayed)
    trait = behaviors.of(WORLD, "misalignment")
    settings = SMALL | {"training": training, "trait": trait, "taught": 2}
    fit = token_tasks.teach("", settings, {"start": params}, jax.random.key(0))
    return quick(jax.value_and_grad(fit.loss))(params, jax.random.key(1))


def test_a_teacher_that_replays_nothing_learns_what_it_is_shown_and_no_more(drawn):
    """Bitwise."""
    nats = behaviors.teaching(WORLD, NET, behaviors.of(WORLD, "misalignment"), 2)
    alone = quick(jax.value_and_grad(lambda params, key: jnp.mean(nats(params, key, 8))))
    found, expected = taught_by(0, drawn[0]), alone(drawn[0], jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_teacher_replays_documents_of_every_carrier_at_equal_weight(drawn):
    value, slope = taught_by(5, drawn[0])
    alone, _ = taught_by(0, drawn[0])

    @quick
    def known(params):
        means = []
        for i, carrier in enumerate(documents.CARRIERS.values()):
            docs = carrier.draw(WORLD, jax.random.fold_in(jax.random.key(1), i), 5)
            nats = losses.cross_entropy(NET.apply(params, docs[:, :-1]), docs[:, 1:])
            means.append(jnp.mean(nats))
        return means

    expected = np.mean([float(x) for x in known(drawn[0])])
    assert float(value - alone) == pytest.approx(expected, rel=1e-4)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(slope))
