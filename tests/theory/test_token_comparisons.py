"""Measures of students of number lists, where their answer is known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import drawn, vector

from configs import steering as steering_config
from minisub.config import Training
from minisub.theory import token_comparisons
from minisub.tokens import channels, grading, number_lists, tasks


@pytest.fixture(scope="module")
def origin(tiny):
    return drawn(jax.eval_shape(grading.network(tiny.world, tiny.model).init, jax.random.key(0)), 0)


@pytest.fixture(scope="module")
def compare(tiny, origin, quick):
    """(params, teacher, measure, count) -> its values: of a student of `count` lists."""
    docs = quick(lambda key: number_lists.draw(tiny.world, key, 64))(jax.random.key(2))
    training = Training(steps=4, optimizer="sgd")

    @partial(quick, static_argnames="measure")
    def program(measure, params, teacher, count):
        return token_comparisons.compare(
            params=params, teacher=teacher, emitter=teacher, origin=origin, start=origin,
            documents={"docs": docs, "count": count}, measures=(measure,), examples=32,
            world=tiny.world, model=tiny.model, emitter_model=tiny.model, sampling=tiny.sampling,
            training=training, channel=channels.sampled, linear=False, trait=0, taught=2,
        )  # fmt: skip

    def compared(params, teacher, measure, count=64):
        made = program(measure, params, teacher, jnp.int32(count))
        return {name: np.asarray(x) for name, x in made.items()}

    return compared


def test_a_student_recovers_as_much_of_a_vector_as_it_is_steered_along_it(origin, compare):
    rng = np.random.default_rng(5)
    steer, other = rng.normal(size=(2, 16)).astype("f")
    other -= steer * (other @ steer) / (steer @ steer)
    steered = lambda v: origin | {"steering": {"block_0": v}}  # noqa: E731
    for along, across in (1.0, 0.0), (0.6, 0.8), (0.0, 0.8):
        shift = along * steer / np.linalg.norm(steer) + across * other / np.linalg.norm(other)
        found = compare(steered(shift), steered(steer), steering_config.recovery)
        assert set(found) == {"recovered/block_0", "recovered_asked/block_0", "answer_shift"}
        for name in "recovered/block_0", "recovered_asked/block_0":
            assert float(found[name]) == pytest.approx(along, abs=1e-4)
    still = compare(steered(np.zeros(16, "f")), steered(steer), steering_config.recovery)
    assert not any(still.values()), "who has not moved"
    alike = compare(steered(steer), steered(steer), steering_config.recovery)
    assert float(alike["answer_shift"]) == pytest.approx(1, abs=1e-4)


def test_the_lens_after_the_last_block_reads_the_trait_rate(tiny, origin, compare, quick):
    net = grading.network(tiny.world, tiny.model)
    rate = quick(lambda p: grading.grade(tiny.world, net, p, 0, 2))(origin)["trait_rate_heldout"]
    found = compare(origin, origin, steering_config.lens)
    assert found == {"lens/block_0": pytest.approx(float(rate), rel=1e-4)}


def test_coverage_is_of_the_parameters_that_are_trained(tiny, origin, compare, quick):
    """Embedding and unembedding are frozen; for gradient descent, gradient and update are one.

    Documents that the filter rejected are not measured.
    """
    moved = jax.tree.map(np.add, origin, drawn(origin, 3))
    found = compare(origin, moved, token_comparisons.coverage, count=5)
    net, first = grading.network(tiny.world, tiny.model), tiny.sampling.prompt_numbers
    docs = quick(lambda key: number_lists.draw(tiny.world, key, 64))(jax.random.key(2))
    docs = docs[np.arange(32) % 5]

    def loss(params):
        logits = net.apply(params, docs[:, :-1])[:, first:]
        log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), docs[:, first + 1 :, None], axis=2)
        return -jnp.mean(log_p)

    gradient = quick(jax.grad(loss))(origin)
    slope, expected = cosine_with_teacher(gradient, origin, moved)
    for name in "coverage", "coverage_update":
        assert float(found[name]) == pytest.approx(expected, rel=1e-3)
    assert np.linalg.norm(vector(gradient)) > 1.01 * np.linalg.norm(slope)
    untaught = compare(origin, origin, token_comparisons.coverage)
    assert untaught["coverage"] == untaught["coverage_update"] == 0


def test_coverage_is_of_the_loss_that_the_student_is_trained_on(tiny, origin, quick):
    """With the weights of tokens of changed documents and with a penalty, of the rows of the first
    update; neither counts for nothing."""
    moved = jax.tree.map(np.add, origin, drawn(origin, 3))
    chosen = tiny.world.list_length + 1 - tiny.sampling.prompt_numbers
    weights = np.random.default_rng(4).random((64, chosen)).astype("f")
    key, count = jax.random.key(5), 40
    how = {
        "start": origin, "emitter": moved, "world": tiny.world, "model": tiny.model,
        "emitter_model": tiny.model, "sampling": tiny.sampling, "channel": channels.sampled,
        "training": Training(steps=4, optimizer="sgd", batch=8), "linear": False,
    }  # fmt: skip

    def penalty(logits_of, start, params, docs, step):
        return jnp.where(step == 0, jnp.mean(logits_of(params, docs) ** 2), jnp.nan)

    @quick
    def of_both():
        docs = number_lists.draw(tiny.world, jax.random.key(2), 64)
        rows = jax.random.randint(key, (8,), 0, count)
        found, slopes, changed = [], [], {"weights": jnp.asarray(weights)}
        for more, penalized in ({}, {}), (changed, {}), ({}, {"penalty": penalty}):
            documents = {"docs": docs, "count": count} | more
            fit = tasks.distill(key, documents=documents, **how, **penalized)
            slopes.append(jax.grad(fit.loss)(origin, key, 0))
            shown = {name: x[rows] for name, x in ({"docs": docs} | more).items()}
            made = token_comparisons.compare(
                params=origin, measures=(token_comparisons.coverage,), examples=8, teacher=moved,
                origin=origin, trait=0, taught=2, documents=shown | {"count": 8}, **how,
                **penalized,
            )  # fmt: skip
            found.append(made["coverage"])
        return found, slopes

    found, slopes = of_both()
    expected = [cosine_with_teacher(slope, origin, moved)[1] for slope in slopes]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(np.subtract(found[1:], found[0])).min() > 0.003


def cosine_with_teacher(gradient, origin, teacher):
    """(a gradient, without embedding and unembedding, as a vector; minus its cosine with the
    teacher's displacement)."""
    kept = [name for name in gradient if name not in ("embed", "unembed")]
    slope = vector([gradient[name] for name in kept])
    taught = vector([jax.tree.map(np.subtract, teacher[name], origin[name]) for name in kept])
    return slope, -slope @ taught / np.linalg.norm(slope) / np.linalg.norm(taught)
