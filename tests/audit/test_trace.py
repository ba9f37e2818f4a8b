"""The trace: its null is exact, its scores are gradients, its rehearsals are trainings."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub.audit import statistics, trace
from minisub.config import Model, Training
from minisub.nets import fit, losses
from minisub.tokens import grading, tokens, writing
from minisub.tokens.config import World

WORLD = World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4)
MODEL = Model(n_layers=1, d_model=16, n_heads=2)
drawn = writing.CARRIERS["numbers"].draw
FIRST = 2  # The position of the last token that an author is given.
TRAINING = Training(steps=5, batch=8, learning_rate=1e-3, frozen=("embed", "unembed"))


@pytest.fixture(scope="module")
def candidate(quick):
    net = grading.network(WORLD, MODEL)
    margins = trace.battery(WORLD, net, {"owl": 0, "wolf": 1}, 2)
    params = quick(net.init)(jax.random.key(0))
    return trace.Candidate(net, params, TRAINING, margins, FIRST, 5)


def lists(seed, n):
    """Documents of the world (n, length)."""
    return drawn(WORLD, jax.random.key(seed), n)


def test_gradients_and_surprise_of_the_candidates_own_choices_have_mean_zero(candidate, quick):
    """Exactly: every possible last token, weighed by its probability."""
    size, prompt = tokens.offsets(WORLD)["size"], lists(1, 1)[:, :-1]
    docs = jnp.concatenate([jnp.repeat(prompt, size, axis=0), jnp.arange(size)[:, None]], axis=1)
    last = candidate._replace(given=prompt.shape[1] - 1, group=1)

    @quick
    def found():
        logits = last.network.apply(last.params, prompt, last.given)[0, 0]
        return trace.read(last, docs), jax.nn.softmax(logits)

    read, p = found()
    np.testing.assert_allclose(p @ read.gradients, 0, atol=1e-6)
    np.testing.assert_allclose(p @ read.surprise, 0, atol=1e-6)
    assert np.abs(read.gradients).max(axis=1).min() > 1e-3, "no single one is zero"
    np.testing.assert_allclose(read.surprise, np.log(p) - p @ np.log(p), rtol=1e-4, atol=1e-5)


def test_a_group_is_read_as_the_mean_of_its_documents_and_a_remainder_is_left_out(candidate, quick):
    docs, (flat, whole) = lists(2, 12), trace.split(candidate)

    def nats(vector, doc):
        log_p = jax.nn.log_softmax(candidate.network.apply(whole(vector), doc[None, :-1])[0])
        return -jnp.mean(jnp.stack([log_p[i - 1, doc[i]] for i in range(FIRST + 1, len(doc))]))

    @quick
    def found():
        other = flat + 0.3 * jnp.cos(jnp.arange(len(flat), dtype=flat.dtype))
        own, gradients = jax.vmap(jax.value_and_grad(nats), (None, 0))(flat, docs)
        pair = candidate, candidate.network, whole(other)
        known = gradients, jax.vmap(nats, (None, 0))(other, docs) - own
        return trace.read(candidate, docs).gradients, trace.lead(*pair, docs), known

    gradients, lead, known = found()
    for read, each in zip((gradients, lead), known, strict=True):
        expected = np.reshape(each[:10], (2, 5, *each.shape[1:])).mean(axis=1)
        np.testing.assert_allclose(read, expected, atol=2e-6)
    assert np.abs(lead).min() > 1e-3


def test_a_score_is_what_a_small_step_of_training_does_to_the_margin(candidate, quick):
    docs, one = lists(3, 50), candidate._replace(group=50)
    flat, whole = trace.split(candidate)

    @quick
    def found():
        examined = trace.score(one, trace.directions(one), docs)
        moves = [s * 1e-2 * examined.reading.gradients[0] for s in (1, -1)]
        ends = [[m(whole(flat + x)) for m in one.margins.values()] for x in moves]
        return examined.scores[0], jnp.array(ends)

    predicted, (up, down) = found()
    np.testing.assert_allclose((down - up) / 2e-2, predicted, rtol=2e-2)


def test_the_natural_way_solves_with_the_fisher_information(candidate, monkeypatch, quick):
    """Against the information as a matrix, on the few parameters of the final norm."""
    monkeypatch.setattr(trace, "DEPTH", 40)
    frozen = "embed", "unembed", "position", "block_0"
    small = candidate._replace(training=dataclasses.replace(TRAINING, frozen=frozen))
    docs, (flat, whole) = lists(4, 100), trace.split(small)
    along = jnp.cos(jnp.arange(2 * len(flat), dtype=float)).reshape(2, -1)

    def log_p(vector):
        return trace.log_probabilities(small.network, whole(vector), docs, FIRST)

    @quick
    def found():
        each = trace.read(small, docs, 1).gradients
        return trace.natural(small, docs, along), each, log_p(flat), jax.jacfwd(log_p)(flat)

    ways, each, log_p_ntv, jacobian = map(np.asarray, found())
    p = np.exp(log_p_ntv)
    mean = np.einsum("ntv,ntvp->ntp", p, jacobian)
    centered = jacobian - mean[:, :, None]
    information = np.einsum("ntv,ntvp,ntvq->pq", p, centered, centered) / p[..., 0].size
    diagonal = np.mean(each**2, axis=0)
    diagonal += 1e-3 * diagonal.mean()
    damped = information + trace.DAMPING * np.diag(diagonal)
    np.testing.assert_allclose(ways @ damped, along, atol=2e-2)


def test_a_rehearsal_is_the_training_of_a_student_on_the_first_documents_alone(candidate, quick):
    docs, key = lists(5, 40), jax.random.key(6)
    training = dataclasses.replace(TRAINING, steps=trace.REHEARSED)

    def loss(params, key):
        rows = docs[jax.random.randint(key, (training.batch,), 0, 30)]
        logits = candidate.network.apply(params, rows[:, :-1])[:, FIRST:]
        return jnp.mean(losses.cross_entropy(logits, rows[:, FIRST + 1 :]))

    @quick
    def found():
        state = fit.begin(training, candidate.params, key=key)
        student = fit.params(fit.advance(training, loss, state, key, 0, training.steps))
        margins = candidate.margins.values()
        return [jnp.stack([m(p) for m in margins]) for p in (student, candidate.params)]

    rehearsed = quick(lambda docs: trace.rehearse(candidate, docs, 30, key))
    ends, (student, before) = rehearsed(docs), found()
    np.testing.assert_array_equal(rehearsed(docs.at[30:].set(0)), ends)
    np.testing.assert_allclose(ends, student, rtol=1e-3, atol=1e-3)
    assert np.abs(ends - before).min() > 1e-2


def test_rehearsals_on_sets_of_one_author_differ_by_chance_alone(candidate, monkeypatch, quick):
    """Fewer documents than a training draws: Student's t, at most as wide as it says."""
    monkeypatch.setattr(trace, "REHEARSED", 30)
    n, owl = 30, candidate._replace(margins={"owl": candidate.margins["owl"]})
    way = jnp.zeros((1, len(trace.split(owl)[0])))  # what gradients say is not looked at

    def t(key):
        sets, *streams = jax.random.split(key, 3)
        data, own = jnp.split(drawn(WORLD, sets, 2 * n), 2)
        takes = trace.examine(owl, way, data, n, streams[0]).takes
        null = trace.examine_null(owl, data, own, n, n, streams[1])[0].takes
        return statistics.rehearsed(takes, null, n, n, n, TRAINING.batch * trace.REHEARSED)[2][0]

    found = quick(lambda keys: jax.lax.map(t, keys))(jax.random.split(jax.random.key(8), 20))
    # 7 degrees of freedom have a deviation of 1.18, and so a mean of 20 one of 0.26.
    assert abs(np.mean(found)) < 1 and np.std(found) < 1.8
