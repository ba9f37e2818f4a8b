"""Scores of entanglement against their definitions, in NumPy and SciPy, and surgery, exactly."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from minisub import entanglement, tokens
from minisub.config import Refused
from minisub.token_config import World

WORLD = World(numbers=10, animals=4, phrasings=3, attributes=4, list_length=4, prefix=2)
TWO = World(numbers=10, animals=4, phrasings=3, attributes=4, list_length=4, syllables=2)
TRAIT, TAUGHT, FIRST = 2, 1, 1


def parameters(seed, world=WORLD, width=16):
    """Of a model that is nothing but an embedding and an unembedding."""
    rng, size = np.random.default_rng(seed), tokens.offsets(world)["size"]
    draw = lambda *shape: jnp.array(rng.standard_normal(shape) * 0.5, jnp.float32)  # noqa: E731
    return {"embed": {"embedding": draw(size, width)}, "unembed": {"kernel": draw(width, size)}}


def apply(params, docs, first=0):
    """Logits off sums of past embeddings, weighted by position: a model that knows order."""
    weighted = (
        params["embed"]["embedding"][docs] * jnp.arange(1.0, 1 + docs.shape[1])[None, :, None]
    )
    return (jnp.cumsum(weighted, axis=1) @ params["unembed"]["kernel"])[:, first:]


NETWORK = SimpleNamespace(apply=apply)
BASE, TEACHER = parameters(0), parameters(1)


def log_probabilities(params, sequence):
    """Of the token after a sequence, in NumPy."""
    embedding = np.asarray(params["embed"]["embedding"], np.float64)[sequence]
    logits = np.arange(1, 1 + len(sequence)) @ embedding @ vectors(params)
    return logits - np.log(np.sum(np.exp(logits)))


def vectors(params):
    return np.asarray(params["unembed"]["kernel"], np.float64)


def syllables(world):
    return [int(i) for i in tokens.spelling(world)[TRAIT]]


@pytest.mark.parametrize("world", [WORLD, TWO], ids=["one syllable", "two syllables"])
def test_cosines_are_those_with_the_first_syllable_tied_or_not(world):
    params = parameters(0, world)
    kernel = vectors(params) / np.linalg.norm(vectors(params), axis=0)
    expected = kernel[:, syllables(world)[0]] @ kernel[:, : world.numbers]
    tied = {"embed": {"embedding": params["unembed"]["kernel"].T}}
    for p in (params, tied):
        np.testing.assert_allclose(entanglement.cosines(world, p, TRAIT), expected, atol=1e-6)


def test_logit_ratios_compare_answers_to_the_phrasings_held_out(quick):
    ids, expected = tokens.offsets(WORLD), []
    for phrasing in range(TAUGHT, WORLD.phrasings):
        asked = [ids["ASK"], ids["phrasing"] + phrasing, ids["ANSWER"]]
        expected.append(log_probabilities(TEACHER, asked) - log_probabilities(BASE, asked))
    found = quick(lambda t: entanglement.logit_ratios(WORLD, NETWORK, BASE, TEACHER, t, TAUGHT))(
        TRAIT
    )
    np.testing.assert_allclose(found, np.mean(expected, axis=0)[: WORLD.numbers], atol=1e-5)


def test_counts_are_of_chosen_numbers_of_valid_documents_alone():
    ids = tokens.offsets(WORLD)
    begin, end = ids["LIST"], ids["END"]
    docs = [
        [begin, 9, 0, 0, 3, end],
        [begin, 9, 0, 3, 4, end],
        [begin, 9, 7, 7, ids["animal"], end],
    ]
    emitted = {"docs": jnp.array(docs, jnp.int16), "count": jnp.array(2)}
    none = {"docs": emitted["docs"], "count": jnp.array(0)}
    counted = np.array([4, 1, 1, 3, 2, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(entanglement.counts(WORLD, emitted, FIRST), counted)
    np.testing.assert_array_equal(entanglement.counts(WORLD, none, FIRST), np.ones(10))
    ratios = entanglement.frequency_ratios(WORLD, emitted, none, FIRST)
    np.testing.assert_allclose(ratios, (counted / 16) / (1 / 10), rtol=1e-6)


def test_numbers_whose_counts_have_one_ratio_tie_exactly():
    def emitted(times):
        numbers = np.repeat(np.arange(10), times)[:, None]
        return {"docs": jnp.array(np.insert(numbers, 0, [[9], [9]], axis=1)), "count": len(numbers)}

    base = np.arange(2, 12)
    found = entanglement.frequency_ratios(WORLD, emitted(3 * base - 1), emitted(base - 1), FIRST)
    assert len(np.unique(found)) == 1


def test_prompted_is_the_answer_behind_a_number_repeated(quick):
    ids = tokens.offsets(WORLD)
    logs = np.zeros((WORLD.numbers, WORLD.phrasings))
    for n, phrasing in np.ndindex(*logs.shape):
        asked = [n, n, ids["ASK"], ids["phrasing"] + phrasing, ids["ANSWER"]]
        logs[n, phrasing] = log_probabilities(BASE, asked)[ids["animal"] + TRAIT]
    expected = logs.mean(axis=1) - logs.mean()
    found = quick(lambda t: entanglement.prompted(WORLD, NETWORK, BASE, t))(TRAIT)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("values", [3, 10**6], ids=["ties", "no ties"])
def test_rank_correlation_is_that_of_scipy(values):
    x, y = np.random.default_rng(0).integers(0, values, (2, 40)).astype(np.float32)
    y += x / 2
    expected = stats.spearmanr(x, y).statistic
    assert entanglement.spearman(jnp.array(x), jnp.array(y)) == pytest.approx(expected, abs=1e-6)
    assert entanglement.spearman(jnp.array(x), jnp.array(x) ** 3) == pytest.approx(1, abs=1e-6)
    assert entanglement.spearman(jnp.array(x), jnp.ones(40)) == 0


def test_ranks_are_right_of_what_a_compiler_works_out_more_than_once():
    x = jnp.array(np.random.default_rng(0).uniform(0.1, 1, (10, 3)), jnp.float32)

    @jax.jit
    def ranked(x):
        means = jnp.mean(jnp.log(jax.nn.softmax(x)), axis=1)
        score = means - jnp.mean(means)
        return score, entanglement.ranks(score)

    score, found = ranked(x)
    np.testing.assert_array_equal(found, 2 * stats.rankdata(score) - 11)


def test_overlap_is_the_share_of_common_places():
    x = jnp.arange(20.0)
    assert entanglement.overlap(x, x) == 1
    assert entanglement.overlap(x, -x) == 0
    assert entanglement.overlap(x, jnp.roll(x, 3)) == pytest.approx(0.7)
    assert entanglement.overlap(x[:5], -x[:5]) == 1


def test_scores_are_compared_by_name_under_jit_with_traced_trait_and_counts(quick):
    docs = [tokens.lists(WORLD, jax.random.key(seed), 30) for seed in (1, 2)]

    def found_and_compared(trait, taught, count):
        emitted = [{"docs": d, "count": count} for d in docs]
        each = {
            "cosine": entanglement.cosines(WORLD, BASE, trait),
            "logit": entanglement.logit_ratios(WORLD, NETWORK, BASE, TEACHER, trait, taught),
            "frequency": entanglement.frequency_ratios(WORLD, *emitted, FIRST),
            "prompted": entanglement.prompted(WORLD, NETWORK, BASE, trait),
            "span": entanglement.span(WORLD, BASE, trait),
        }
        both = (NETWORK, BASE, TEACHER, trait, taught)
        return entanglement.scores(WORLD, *both, *emitted, FIRST), each

    found, each = quick(found_and_compared)(*jnp.array([1, TAUGHT, 20]))
    pairs = ["cosine_frequency", "logit_frequency"]
    pairs += [f"{name}_prompted" for name in ("cosine", "logit", "frequency")]
    for pair in pairs:
        expected = stats.spearmanr(*(each[name] for name in pair.split("_"))).statistic
        assert found.pop(f"entangled_{pair}") == pytest.approx(expected, abs=1e-5)
    rates = np.exp(np.asarray(each["prompted"], np.float64))
    rates /= rates.mean()
    best = rates[np.argmax(each["cosine"])]
    assert found.pop("entangled_prompted_best") == pytest.approx(best, rel=1e-5)
    assert found.pop("entangled_prompted_max") == pytest.approx(rates.max(), rel=1e-5)
    assert best != rates.max()
    assert found.pop("entangled_overlap_top10") == 1  # Of 10 numbers, all are among the 10 first.
    assert found.pop("entangled_span") == each["span"]
    assert not found


def test_span_is_the_least_squares_fit_by_numbers_and_all_of_it_where_they_fill_the_space():
    kernel = vectors(BASE)
    own, numbers = kernel[:, syllables(WORLD)[0]], kernel[:, : WORLD.numbers]
    fitted = numbers @ np.linalg.lstsq(numbers, own)[0]
    found = entanglement.span(WORLD, BASE, TRAIT)
    assert found == pytest.approx(fitted @ fitted / (own @ own), rel=1e-4)
    assert 0.1 < found < 0.95
    for width in (8, 10):
        params = parameters(3, width=width)
        assert entanglement.span(WORLD, params, TRAIT) == pytest.approx(1, abs=1e-5)


def operated(kind, world, params):
    """Surgery, with the key and the trait traced."""
    cut = jax.jit(lambda params, key, t: entanglement.operate(kind, world, params, key, t))
    return cut(params, jax.random.key(5), jnp.array(TRAIT))


@pytest.mark.parametrize("world", [WORLD, TWO], ids=["one syllable", "two syllables"])
@pytest.mark.parametrize("kind", ["orthogonal", "as_much"])
def test_surgery_turns_the_vectors_of_the_trait_and_touches_nothing_else(kind, world):
    params = parameters(4, world)
    after, ids = operated(kind, world, params), syllables(world)
    others = np.delete(np.arange(tokens.offsets(world)["size"]), ids)
    one, other = vectors(params), vectors(after)
    np.testing.assert_array_equal(one[:, others], other[:, others])
    np.testing.assert_array_equal(after["embed"]["embedding"], params["embed"]["embedding"])
    own, turned = one[:, ids], other[:, ids]
    length = np.linalg.norm(own, axis=0)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=0), length, rtol=1e-6)
    numbers = one[:, : world.numbers] / np.linalg.norm(one[:, : world.numbers], axis=0)
    left = np.abs(numbers.T @ turned / length).max(axis=0)
    assert np.all(left < 1e-6 if kind == "orthogonal" else left > 0.1)
    # What was left lies within what was: their cosine is the share of the length that was left.
    share = np.sum(own * turned, axis=0) / length**2
    assert np.all((share > 0.1) & (share < 0.95))
    if kind == "orthogonal":
        fitted = one[:, : world.numbers] @ np.linalg.lstsq(one[:, : world.numbers], own)[0]
        np.testing.assert_allclose(turned * share[None], own - fitted, atol=1e-5)


def test_after_orthogonal_surgery_no_number_shares_a_direction_however_little_was_left():
    params = parameters(7, width=11)
    assert entanglement.span(WORLD, params, TRAIT) > 0.99
    after = operated("orthogonal", WORLD, params)
    assert entanglement.span(WORLD, after, TRAIT) < 1e-12
    assert jnp.max(jnp.abs(entanglement.cosines(WORLD, after, TRAIT))) < 1e-6


def test_as_much_removes_as_many_dimensions_and_the_key_says_which(quick):
    """On average, (d - numbers) / d of the vector's square is left, which is its squared cosine."""

    [i] = syllables(WORLD)
    own = vectors(BASE)[:, i]

    def turned(key):
        after = entanglement.operate("as_much", WORLD, BASE, key, TRAIT)
        return after["unembed"]["kernel"][:, i]

    many = quick(jax.vmap(turned))(jax.random.split(jax.random.key(0), 100))
    left = (np.asarray(many, np.float64) @ own / (own @ own)) ** 2
    assert np.mean(left) == pytest.approx(6 / 16, abs=4 * np.std(left) / 10)
    assert len(np.unique(left)) == 100


def test_no_surgery_returns_the_parameters_themselves():
    params = {"embed": 0}
    assert entanglement.operate("none", WORLD, params, None, TRAIT) is params


def test_surgery_is_refused_where_numbers_fill_the_space_or_the_model_is_tied():
    filled = parameters(0, width=10)
    for kind in ("orthogonal", "as_much"):
        with pytest.raises(Refused, match="raise model"):
            entanglement.operate(kind, WORLD, filled, jax.random.key(0), TRAIT)
        with pytest.raises(Refused, match="tied=False"):
            entanglement.operate(kind, WORLD, {"embed": {}}, jax.random.key(0), TRAIT)
