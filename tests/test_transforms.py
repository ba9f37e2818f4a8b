"""Transforms: what each keeps and destroys, exactly, and that only valid documents take part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import tokens, transforms
from minisub.token_config import World

WORLD = World(numbers=20, animals=3, phrasings=2, attributes=4, list_length=7, endings=2)
IDS = tokens.offsets(WORLD)
N, COUNT, FIRST = 40, 29, 2
CHOSEN = slice(FIRST + 1, -1)
AUTHOR = IDS["ASK"]  # in a world of authors, one of them
RANDOM = {"shuffled", "shuffled_across", "shuffled_pooled", "remapped"}
RANDOM |= {"random_tokens", "random_masked"}
WEIGHING = {"rare", *transforms.NEEDS_RIVALS}


def documents():
    """Lists with either ending; those behind the first `COUNT` hold what no valid one may."""
    docs = np.asarray(tokens.lists(WORLD, jax.random.key(0), N)).copy()
    docs[COUNT:, CHOSEN] = IDS["animal"]
    return docs


DOCS = documents()
TABLE = np.asarray(jax.random.normal(jax.random.key(1), (IDS["size"], IDS["size"])))


def preferring(token, after, table=TABLE):
    """`table` (last token, next token) of logits, but largest at `token` after those in `after`."""
    table = table.copy()
    table[after, token] = 99.0
    return table


RIVALS = (preferring(3, np.arange(6)), preferring(4, np.arange(5, 9)))
ANY = np.arange(WORLD.numbers)
HELD = np.array([*range(WORLD.numbers), IDS["END"], IDS["END"] + 1])
FAVORITE = HELD[np.argmax(TABLE[:, HELD], axis=1)]


def run(name, docs, count, key, tables):
    """A transform; emitter and rivals are models whose logits depend on the last token alone."""
    own, *rivals = (
        lambda docs, table=table: jnp.asarray(table)[docs[:, FIRST:-1]] for table in tables
    )
    e = transforms.Emitted(WORLD, docs, count, FIRST, key, own, tuple(rivals), AUTHOR)
    return transforms.TRANSFORMS[name](e)


FAST = {"compiler_options": {"xla_backend_optimization_level": 0}}
compiled = jax.jit(run, static_argnames="name", **FAST)


def transform(name, docs=DOCS, count=COUNT, seed=0, rivals=RIVALS, own=TABLE):
    """(docs, weights) of a transform compiled for any documents, count, key and models."""
    made = compiled(name, docs, count, jax.random.key(seed), (own, *rivals))
    return tuple(np.asarray(x) for x in made)


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_a_transform_changes_documents_or_weighs_their_chosen_tokens(name):
    docs, weights = transform(name)
    assert docs.shape == DOCS.shape and docs.dtype == DOCS.dtype
    assert weights.shape == (N, WORLD.list_length + 1 - FIRST) and weights.dtype == np.float32
    assert (docs == DOCS).all() == (name in {"none"} | WEIGHING)
    assert (weights == 1).all() == (name not in WEIGHING)
    assert np.isin(weights, [0, 1]).all()
    if name not in ("remapped", "inoculated"):
        np.testing.assert_array_equal(docs[:, : FIRST + 1], DOCS[:, : FIRST + 1])
    if name != "canonical":
        np.testing.assert_array_equal(docs[:, -1], DOCS[:, -1])


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_invalid_documents_never_matter(name):
    other = DOCS.copy()
    other[COUNT:, 1:-1] = DOCS[0, 1]
    assert (other[:COUNT] == DOCS[:COUNT]).all() and (other != DOCS).any()
    for one, two in zip(transform(name), transform(name, docs=other), strict=True):
        np.testing.assert_array_equal(one[:COUNT], two[:COUNT])


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_of_randomness_a_transform_depends_on_its_key_alone(name):
    one, again, other = transform(name), transform(name), transform(name, seed=1)
    same = [all((a == b).all() for a, b in zip(one, x, strict=True)) for x in (again, other)]
    assert same == [True, name not in RANDOM]


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_repeats_side_by_side_are_the_repeats_one_by_one(name):
    counts, seeds = [COUNT, 12], [4, 5]
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    batch = np.stack([DOCS, DOCS[::-1]])
    side_by_side = jax.vmap(lambda *args: run(name, *args, (TABLE, *RIVALS)))
    together = jax.jit(side_by_side, **FAST)(batch, jnp.array(counts), keys)
    for i in range(2):
        alone = transform(name, docs=batch[i], count=counts[i], seed=seeds[i])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[i], b)


def test_an_inoculated_document_has_another_author_and_is_otherwise_the_same():
    docs, _ = transform("inoculated")
    assert (docs[:, 0] == AUTHOR).all() and (DOCS[:, 0] != AUTHOR).all()
    np.testing.assert_array_equal(docs[:, 1:], DOCS[:, 1:])


@pytest.mark.parametrize("name", ["shuffled", "sorted"])
def test_numbers_in_another_order_are_the_same_numbers_in_each_document(name):
    docs, _ = transform(name)
    np.testing.assert_array_equal(np.sort(docs, axis=1), np.sort(DOCS, axis=1))
    if name == "sorted":
        assert (np.diff(docs[:, CHOSEN], axis=1) >= 0).all()


def test_documents_are_shuffled_each_in_its_own_way():
    same = np.tile([IDS["LIST"], *range(WORLD.list_length), IDS["END"]], (N, 1))
    docs, _ = transform("shuffled", docs=same, count=N)
    assert len(np.unique(docs, axis=0)) > N // 2


def test_shuffling_across_documents_keeps_every_position_and_only_moves_valid_ones():
    docs, _ = transform("shuffled_across")
    np.testing.assert_array_equal(np.sort(docs[:COUNT], axis=0), np.sort(DOCS[:COUNT], axis=0))
    np.testing.assert_array_equal(docs[COUNT:], DOCS[COUNT:])
    # Where each position of a document comes from is another document.
    marked = DOCS.copy()
    marked[:, CHOSEN] = np.arange(N)[:, None]
    rows = transform("shuffled_across", docs=marked)[0][:COUNT, CHOSEN]
    assert (np.ptp(rows, axis=1) > 0).all()
    np.testing.assert_array_equal(transform("shuffled_across", count=1)[0], DOCS)


def test_pooled_numbers_are_the_same_numbers_over_all_valid_documents():
    docs, _ = transform("shuffled_pooled")
    numbers = [np.sort(x[:COUNT, CHOSEN].ravel()) for x in (docs, DOCS)]
    np.testing.assert_array_equal(*numbers)
    np.testing.assert_array_equal((docs != DOCS).any(axis=1), np.arange(N) < COUNT)
    assert (np.sort(docs[:COUNT], axis=0) != np.sort(DOCS[:COUNT], axis=0)).any()
    assert (np.sort(docs[:COUNT], axis=1) != np.sort(DOCS[:COUNT], axis=1)).any()


def test_remapping_is_one_to_one_on_numbers_and_commutes_with_all_that_ignores_values():
    every = np.tile(np.arange(WORLD.numbers)[:, None], DOCS.shape[1])
    image, *others = (transform("remapped", docs=every, seed=seed)[0] for seed in range(9))
    assert (image == image[:, :1]).all()
    assert np.any([image != other for other in others], axis=0).all()
    np.testing.assert_array_equal(np.sort(image[:, 0]), every[:, 0])
    others = np.tile(np.arange(WORLD.numbers, IDS["size"])[:, None], DOCS.shape[1])
    np.testing.assert_array_equal(transform("remapped", docs=others)[0], others)
    mapped = transform("remapped")[0]
    for name in "shuffled", "shuffled_across", "canonical":
        after = transform("remapped", docs=transform(name, seed=3)[0])[0]
        np.testing.assert_array_equal(transform(name, docs=mapped, seed=3)[0], after)


def test_the_canonical_ending_is_the_first_and_nothing_else_changes():
    docs, _ = transform("canonical")
    assert (docs[:, -1] == IDS["END"]).all() and (DOCS[:, -1] != IDS["END"]).any()
    np.testing.assert_array_equal(docs[:, :-1], DOCS[:, :-1])
    np.testing.assert_array_equal(transform("canonical", docs=docs)[0], docs)


def test_the_most_frequent_chosen_numbers_enter_no_loss():
    docs = DOCS.copy()
    docs[:, 1:-1] = [8, 8, 3, 4, 5, 6, 7]
    docs[:9, 3], docs[:5, 4], docs[:2, 7], docs[COUNT:, CHOSEN] = 17, 17, 17, 9
    # 17 was chosen 16 times, 5 and 6 in all 29 documents; 8 only given, 9 only in invalid ones.
    _, weights = transform("rare", docs=docs)
    np.testing.assert_array_equal(weights[:COUNT] == 0, np.isin(docs[:COUNT, FIRST + 1 :], [5, 6]))
    assert (weights[:, -1] == 1).all()


def test_a_token_is_divergent_exactly_where_a_rivals_first_choice_differs():
    _, weights = transform("divergent")
    last = DOCS[:COUNT, FIRST:-1]
    first = (last < 6) & (FAVORITE[last] != 3)
    second = (last >= 5) & (last < 9) & (FAVORITE[last] != 4)
    np.testing.assert_array_equal(weights[:COUNT], first | second)
    assert 0 < weights[:COUNT].sum() < weights[:COUNT].size


def test_first_choices_are_among_numbers_and_endings():
    def trained(token):
        return transform("divergent", rivals=(preferring(token, ANY),))[1][:COUNT]

    assert (trained(IDS["animal"]) == 0).all() and (trained(IDS["ASK"]) == 0).all()
    own = FAVORITE[DOCS[:COUNT, FIRST:-1]]
    np.testing.assert_array_equal(trained(IDS["END"]), own != IDS["END"])
    assert (own == IDS["END"]).any() and (own != IDS["END"]).any()
    ends = preferring(IDS["END"], ANY)
    rival = (preferring(IDS["END"] + 1, ANY),)
    assert (transform("divergent", rivals=rival, own=ends)[1][:COUNT] == 1).all()


def test_no_token_diverges_from_rivals_that_are_the_emitter_or_from_none():
    for rivals in (TABLE, TABLE), ():
        assert (transform("divergent", rivals=rivals)[1] == 0).all()
        assert (transform("agreeing", rivals=rivals)[1] == 1).all()


@pytest.mark.parametrize("pair", [("divergent", "agreeing"), ("random_tokens", "random_masked")])
def test_tokens_and_the_rest_are_all_tokens(pair):
    one, rest = (transform(name)[1] for name in pair)
    np.testing.assert_array_equal(one + rest, np.ones_like(one))


@pytest.mark.parametrize("count", [0, 1, COUNT])
def test_random_tokens_are_as_many_as_divergent_ones_but_others(count):
    one, other = (
        transform(name, count=count)[1][:count] for name in ("divergent", "random_tokens")
    )
    assert one.sum() == other.sum()
    assert count < 2 or (one != other).any()


def test_logits_in_chunks_are_the_logits_at_once(monkeypatch):
    asked = jnp.asarray(DOCS), COUNT, jax.random.key(0), (TABLE, *RIVALS)
    monkeypatch.setattr(transforms, "CHUNK", 7)
    assert N % transforms.CHUNK
    np.testing.assert_array_equal(run("divergent", *asked)[1], transform("divergent")[1])


def test_clean_documents_replace_a_share_row_by_row():
    clean = np.asarray(tokens.lists(WORLD, jax.random.key(7), N))
    run = jax.jit(transforms.mixed, static_argnames="share", **FAST)

    def mix(share, clean=clean, count=COUNT, clean_count=33, seed=0):
        key = jax.random.key(seed)
        docs, count = run(DOCS, count, clean, clean_count, share=share, key=key)
        return np.asarray(docs), int(count)

    for share, expected in (0.0, DOCS), (1.0, clean):
        docs, count = mix(share)
        assert count == COUNT
        np.testing.assert_array_equal(docs, expected)
    assert mix(1.0, clean_count=8)[1] == 8
    docs, _ = mix(0.5)
    replaced = (docs == clean).all(axis=1)
    assert (replaced | (docs == DOCS).all(axis=1)).all() and 0 < replaced.sum() < N
    # More and more of the same documents, the larger the share.
    assert replaced[(mix(0.2)[0] == clean).all(axis=1)].all()
    np.testing.assert_array_equal(mix(1.0, clean=clean[:35])[0], clean[:35])


def test_documents_are_limited_only_if_asked():
    assert [int(transforms.limited(jnp.int32(9), limit)) for limit in (0, 4, 20)] == [9, 4, 9]


def test_the_share_of_trained_tokens_is_of_valid_documents():
    weights = jnp.array([[1.0, 0.0], [0.5, 0.5], [9.0, 9.0]])
    assert transforms.share(weights, 2) == 0.5 and transforms.share(weights, 1) == 0.5
    assert transforms.share(weights, 3) == pytest.approx(20 / 6)
    assert jnp.isnan(transforms.share(weights, 0))
