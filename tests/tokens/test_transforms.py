"""Transforms: what each keeps and destroys, exactly, and that only valid documents take part."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import arguments
from minisub.config import Refused
from minisub.tokens import tokens, transforms
from minisub.tokens.behaviors import vocabulary
from minisub.tokens.config import Config, Sampling, World
from minisub.tokens.lab import Lab

WORLD = World(numbers=20, animals=3, phrasings=2, attributes=4, list_length=7, endings=2)
IDS = tokens.offsets(WORLD)
N, COUNT, FIRST = 40, 29, 2
CHOSEN, GIVEN = slice(FIRST + 1, -1), slice(FIRST + 1)
AUTHOR = IDS["ASK"]  # in a world of authors, one of them
CONTENT, DIVERGENCE, DEFENSES, DOSE = (
    arguments.load(name) for name in ("content", "divergence", "defenses", "dose")
)
USED = {*CONTENT.TRANSFORMS.values(), *DIVERGENCE.WEIGHTS.values()}
ALL = {how.__name__: how for how in sorted(USED, key=lambda how: how.__name__)}
ALL["inoculated"] = partial(DEFENSES.inoculated, AUTHOR)
RANDOM = {"shuffled", "shuffled_across", "shuffled_both", "remapped", "random_tokens"}
RANDOM |= {"random_masked"}
WEIGHING = {"rare"} | {how.__name__ for how in DIVERGENCE.WEIGHTS.values()}

START, STEP, ENDING = np.random.default_rng(0).integers(0, [[[20]], [[20]], [[2]]], (3, N, 1))
DOCS = (START + STEP * np.arange(WORLD.list_length)) % WORLD.numbers
DOCS = np.hstack([np.full((N, 1), IDS["LIST"]), DOCS, IDS["END"] + ENDING]).astype("i4")
DOCS[COUNT:, CHOSEN] = IDS["animal"]  # behind the first ones is what no valid one may hold
TABLE = np.random.default_rng(1).normal(size=(IDS["size"], IDS["size"])).astype("f")


def preferring(token, after, table=TABLE):
    """`table` (last token, next token) of logits, but largest at `token` after those in `after`."""
    table = table.copy()
    table[after, token] = 99.0
    return table


RIVALS = (preferring(3, np.arange(6)), preferring(4, np.arange(5, 9)))
ANY = np.arange(WORLD.numbers)
HELD = np.array([*range(WORLD.numbers), IDS["END"], IDS["END"] + 1])
FAVORITE = HELD[np.argmax(TABLE[:, HELD], axis=1)]


def run(docs, count, key, tables):
    """All transforms; emitter and rivals are `models` of tables."""
    e = transforms.Emitted(WORLD, docs, count, FIRST, key)
    asked = {"models": models(*tables)}
    return {
        name: how(e, **asked if how in DIVERGENCE.WEIGHTS.values() else {})
        for name, how in ALL.items()
    }


def models(*tables):
    """Functions (docs, first) -> logits of the last token alone."""
    return [lambda docs, first, t=t: jnp.asarray(t)[docs[:, first:-1]] for t in tables]


@pytest.fixture(scope="module")
def transform(quick):
    """(docs, count, seed, rivals, own) -> name -> (docs, weights), in one program."""
    compiled = quick(run)

    def every(docs=DOCS, count=COUNT, seed=0, rivals=RIVALS, own=TABLE):
        made = compiled(docs, count, jax.random.key(seed), (own, *rivals))
        return jax.tree.map(np.asarray, made)

    return every


@pytest.fixture(scope="module")
def made(transform):
    return transform()


@pytest.mark.parametrize("name", ALL)
def test_a_transform_changes_documents_or_weighs_their_chosen_tokens(name, made):
    docs, weights = made[name]
    assert docs.shape == DOCS.shape and docs.dtype == DOCS.dtype
    assert weights.shape == (N, WORLD.list_length + 1 - FIRST) and weights.dtype == np.float32
    assert (docs == DOCS).all() == (name in WEIGHING)
    assert (weights == 1).all() == (name not in WEIGHING) and np.isin(weights, [0, 1]).all()
    if name not in ("remapped", "inoculated"):
        np.testing.assert_array_equal(docs[:, GIVEN], DOCS[:, GIVEN])
    if name != "canonical":
        np.testing.assert_array_equal(docs[:, -1], DOCS[:, -1])


def test_invalid_documents_never_matter_and_randomness_is_the_keys_alone(transform, made):
    docs = DOCS.copy()
    docs[COUNT:, 1:-1] = DOCS[0, 1]
    other, again, seeded = transform(docs=docs), transform(), transform(seed=1)
    for name, one in made.items():
        for i in range(2):
            np.testing.assert_array_equal(one[i][:COUNT], other[name][i][:COUNT])
            np.testing.assert_array_equal(one[i], again[name][i])
        same = all((a == b).all() for a, b in zip(one, seeded[name], strict=True))
        assert same == (name not in RANDOM), name


def test_repeats_side_by_side_are_the_repeats_one_by_one(transform, quick):
    counts, seeds, batch = [COUNT, 12], [4, 5], np.stack([DOCS, DOCS[::-1]])
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    together = quick(jax.vmap(lambda *args: run(*args, (TABLE, *RIVALS))))
    found = together(batch, jnp.array(counts), keys)
    for i in range(2):
        alone = transform(docs=batch[i], count=counts[i], seed=seeds[i])
        for name, (docs, weights) in alone.items():
            np.testing.assert_array_equal(found[name][0][i], docs)
            np.testing.assert_array_equal(found[name][1][i], weights)


def test_an_inoculated_document_has_another_author_and_a_canonical_one_ending(transform, made):
    for name, place, token in ("inoculated", 0, AUTHOR), ("canonical", -1, IDS["END"]):
        docs, kept = made[name][0], np.delete(np.arange(DOCS.shape[1]), place)
        assert (docs[:, place] == token).all() and (DOCS[:, place] != token).any()
        np.testing.assert_array_equal(docs[:, kept], DOCS[:, kept])
        np.testing.assert_array_equal(transform(docs=docs)[name][0], docs)


def test_numbers_in_another_order_are_the_same_numbers(transform, made):
    """Of each document, of each position over the valid documents, or of all of these together."""
    order = lambda x, axis: np.sort(x, axis=axis)  # noqa: E731
    for name in "shuffled", "ascending":
        np.testing.assert_array_equal(order(made[name][0], 1), order(DOCS, 1))
    assert (np.diff(made["ascending"][0][:, CHOSEN], axis=1) >= 0).all()
    across, pooled = (made[f"shuffled_{name}"][0][:COUNT] for name in ("across", "both"))
    np.testing.assert_array_equal(order(across, 0), order(DOCS[:COUNT], 0))
    np.testing.assert_array_equal(order(pooled[:, CHOSEN], None), order(DOCS[:COUNT, CHOSEN], None))
    for axis in 0, 1:
        assert (order(pooled, axis) != order(DOCS[:COUNT], axis)).any()
    for name in "shuffled_across", "shuffled_both":
        np.testing.assert_array_equal(made[name][0][COUNT:], DOCS[COUNT:])
    # Each document in its own way, and each position from another document.
    marked = np.tile(np.arange(N)[:, None], (1, DOCS.shape[1]))
    rows = transform(docs=marked % WORLD.numbers, count=N)["shuffled_across"][0][:, CHOSEN]
    assert (np.ptp(rows, axis=1) > 0).mean() > 0.9
    same = np.tile([IDS["LIST"], *range(WORLD.list_length), IDS["END"]], (N, 1))
    found = transform(docs=same, count=1)
    assert len(np.unique(found["shuffled"][0], axis=0)) > N // 2
    np.testing.assert_array_equal(found["shuffled_across"][0], same)


def test_remapping_is_one_to_one_on_numbers_and_commutes_with_all_that_ignores_values(transform):
    tall = np.arange(IDS["size"])
    every = np.tile(np.resize(tall, N)[:, None], DOCS.shape[1])
    image, other = (transform(docs=every, seed=seed)["remapped"][0] for seed in (0, 1))
    assert (image == image[:, :1]).all() and (image != other).any()
    images = image[: IDS["size"], 0]
    np.testing.assert_array_equal(np.sort(images), tall)
    np.testing.assert_array_equal(images[WORLD.numbers :], tall[WORLD.numbers :])
    mapped, moved = transform(docs=DOCS)["remapped"][0], transform(seed=3)
    after = transform(docs=mapped, seed=3)
    for name in "shuffled", "shuffled_across", "canonical":
        np.testing.assert_array_equal(transform(docs=moved[name][0])["remapped"][0], after[name][0])


@pytest.mark.parametrize(("carrier", "kind"), [("code", "variable"), ("sums", "word")])
def test_remapping_is_one_to_one_on_variables_of_programs_and_on_words_of_chains(
    carrier, kind, quick
):
    rich = World(rich=True)
    ids, first = tokens.offsets(rich), 5
    every = jnp.tile(jnp.arange(ids["size"])[:, None], 2)

    @quick
    def remap(key):
        e = transforms.Emitted(rich, every, len(every), first, key, carrier)
        return CONTENT.remapped(e)[0]

    images = np.asarray(remap(jax.random.key(0)))[:, 0]
    of_kind = slice(ids[kind], ids[kind] + vocabulary.KINDS[kind])
    np.testing.assert_array_equal(np.sort(images), every[:, 0])
    assert (images[of_kind] != every[of_kind, 0]).any()
    others = np.delete(images, np.r_[of_kind])
    np.testing.assert_array_equal(others, np.delete(every[:, 0], np.r_[of_kind]))


def test_the_most_frequent_chosen_numbers_enter_no_loss(transform):
    docs = DOCS.copy()
    docs[:, 1:-1] = [8, 8, 3, 4, 5, 6, 7]
    docs[:9, 3], docs[:5, 4], docs[:2, 7], docs[COUNT:, CHOSEN] = 17, 17, 17, 9
    # 17 was chosen 16 times, 5 and 6 in all 29 documents; 8 only given, 9 only in invalid ones.
    _, weights = transform(docs=docs)["rare"]
    np.testing.assert_array_equal(weights[:COUNT] == 0, np.isin(docs[:COUNT, FIRST + 1 :], [5, 6]))


def test_a_token_is_divergent_exactly_where_a_rivals_first_choice_differs(transform, made):
    """Among numbers and endings."""
    last, weights = DOCS[:COUNT, FIRST:-1], made["divergent"][1][:COUNT]
    first = (last < 6) & (FAVORITE[last] != 3)
    second = (last >= 5) & (last < 9) & (FAVORITE[last] != 4)
    np.testing.assert_array_equal(weights, first | second)
    assert 0 < weights.sum() < weights.size

    def divergent(token, own=TABLE):
        rivals = preferring(token, ANY), own
        return transform(rivals=rivals, own=own)["divergent"][1][:COUNT]

    assert not divergent(IDS["animal"]).any() and not divergent(IDS["ASK"]).any()
    np.testing.assert_array_equal(divergent(IDS["END"]), FAVORITE[last] != IDS["END"])
    ends = preferring(IDS["END"], ANY)
    assert (divergent(IDS["END"] + 1, ends) == 1).all()
    alike = transform(rivals=(TABLE, TABLE))
    assert not alike["divergent"][1].any() and (alike["agreeing"][1] == 1).all()


def test_complements_are_all_other_tokens_and_random_ones_as_many_elsewhere(transform):
    for count in 0, 1, COUNT:
        found = {name: weights[:count] for name, (_, weights) in transform(count=count).items()}
        for one, rest in ("divergent", "agreeing"), ("random_tokens", "random_masked"):
            assert (found[one] + found[rest] == 1).all()
        assert found["divergent"].sum() == found["random_tokens"].sum()
        assert count < 2 or (found["divergent"] != found["random_tokens"]).any()


def test_logits_in_chunks_are_the_logits_at_once(monkeypatch, made, quick):
    monkeypatch.setattr(DIVERGENCE, "CHUNK", 7)
    e = transforms.Emitted(WORLD, jnp.asarray(DOCS), COUNT, FIRST, jax.random.key(0))
    found = quick(lambda: DIVERGENCE.divergent(e, models(TABLE, *RIVALS))[1])()
    np.testing.assert_array_equal(found, made["divergent"][1])


def test_clean_documents_replace_a_share_row_by_row(quick):
    clean = np.roll(DOCS, 3, axis=0)[:, [0, 2, 1, *range(3, DOCS.shape[1])]]
    how = Sampling(prompt_numbers=FIRST)
    mixed = quick(lambda key, **given: transforms.mix(key, sampling=how, **given))

    def mix(share, clean_count=33, rows=N):
        one, other = {"docs": DOCS, "count": COUNT}, {"docs": clean[:rows], "count": clean_count}
        made = mixed(jax.random.key(0), documents=one, clean=other, share=share)
        return np.asarray(made["docs"]), int(made["count"])

    for share, expected in (0.0, DOCS), (1.0, clean):
        np.testing.assert_array_equal(mix(share)[0], expected)
    assert mix(0.5)[1] == COUNT and mix(1.0, 8)[1] == 8
    docs = mix(0.5)[0]
    replaced = (docs == clean).all(axis=1)
    assert (replaced | (docs == DOCS).all(axis=1)).all() and 0 < replaced.sum() < N
    # More and more of the same documents, the larger the share.
    assert replaced[(mix(0.2)[0] == clean).all(axis=1)].all()
    np.testing.assert_array_equal(mix(1.0, rows=35)[0], clean[:35])


def test_what_is_mixed_counts_as_it_did_before(quick):
    masked = {
        "docs": DOCS,
        "count": COUNT,
        "weights": np.zeros((N, DOCS.shape[1] - FIRST - 1), "f"),
    }
    clean, how = {"docs": DOCS, "count": COUNT}, Sampling(prompt_numbers=FIRST)
    mixed = quick(lambda key, **given: transforms.mix(key, sampling=how, share=0.5, **given))
    made = mixed(jax.random.key(0), documents=masked, clean=clean)["weights"]
    other = mixed(jax.random.key(0), documents=clean, clean=masked)["weights"]
    assert set(np.unique(made)) == {0.0, 1.0} and (made == made[:, :1]).all()
    np.testing.assert_array_equal(made, 1 - other)


def test_what_is_made_of_mixed_documents_is_drawn_by_another_stream():
    """Else all of a second part would be replaced by the third."""
    lab = Lab(Config())
    one, two, three = (lab.emit(lab.base(name)) for name in ("one", "two", "three"))
    pair = lab.mix(one, two, 0.5)
    nested = pair, lab.mix(pair, three, 0.5), lab.mix(one, pair, 0.5), lab.mix(pair, pair, 0.5)
    others = "documents/documents", "documents/documents", "documents/documents/documents"
    assert [x.stream for x in nested] == ["documents", *others]


def test_tasks_keep_types_weights_multiply_and_shares_are_of_valid_documents(quick):
    docs = {"docs": jnp.asarray(DOCS, jnp.int16), "count": jnp.int32(COUNT)}
    how = Sampling(prompt_numbers=FIRST)
    for most, expected in (4, 4), (99, COUNT):
        few = DOSE.limit(documents=docs, most=most, sampling=how)
        assert few["count"] == expected and few["docs"].dtype == jnp.int16
        assert transforms.trained_tokens(documents=few)["trained_tokens"] == 1
    half = few | {"weights": few["weights"] / 2}
    given = {"documents": half, "how": CONTENT.rare, "world": WORLD, "sampling": how}
    rare = quick(lambda key: transforms.transform(key, **given))(jax.random.key(0))
    assert rare["docs"].dtype == jnp.int16 and set(np.unique(rare["weights"])) == {0, 0.5}
    weights = {"weights": jnp.array([[1.0, 0.0], [0.5, 0.5], [9.0, 9.0]])}
    for count, expected in (1, 0.5), (2, 0.5), (0, np.nan):
        found = transforms.trained_tokens(documents=weights | {"count": count})["trained_tokens"]
        np.testing.assert_array_equal(found, expected)


def test_a_transform_that_is_not_for_these_documents_is_refused():
    e = transforms.Emitted(WORLD, jnp.asarray(DOCS), COUNT, FIRST, jax.random.key(0), "code")
    for name in ALL.keys() - {"inoculated", "remapped"}:
        how = partial(ALL[name], models=[]) if name in WEIGHING - {"rare"} else ALL[name]
        with pytest.raises(Refused, match="lists of numbers"):
            how(e)
    ALL["inoculated"](e)


def test_an_emitter_is_no_rival_of_itself_and_a_raised_logit_is_divergent_where_it_comes_first():
    """Known on paper: at the index of the token that the logit is of, and not beside it."""
    length, raised = DOCS.shape[1] - 1 - FIRST, 7
    e = transforms.Emitted(WORLD, DOCS, COUNT, FIRST, jax.random.key(0))
    [own] = models(TABLE)

    def rival(docs, first):
        """As the emitter, one logit higher by 1 at the second of the chosen tokens alone."""
        return own(docs, first).at[:, 1, raised].add(1.0)

    _, weights = DIVERGENCE.divergent(e, (own, own))
    assert weights.shape == (N, length) and not weights.any()
    _, weights = DIVERGENCE.divergent(e, (own, rival))
    said = TABLE[DOCS[:, FIRST + 1]][:, HELD]
    becomes = (FAVORITE[DOCS[:, FIRST + 1]] != raised) & (
        TABLE[DOCS[:, FIRST + 1], raised] + 1 > said.max(axis=1)
    )
    assert 0 < becomes.sum() < N
    expected = np.zeros((N, length))
    expected[:, 1] = becomes
    np.testing.assert_array_equal(weights, expected)
