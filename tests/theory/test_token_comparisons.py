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
from minisub.tokens import channels, grading, number_lists


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
            world=tiny.world, model=tiny.model, emitted_by=tiny.model, sampling=tiny.sampling,
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
    kept = [name for name in gradient if name not in ("embed", "unembed")]
    slope = vector([gradient[name] for name in kept])
    taught = vector([jax.tree.map(np.subtract, moved[name], origin[name]) for name in kept])
    expected = -slope @ taught / np.linalg.norm(slope) / np.linalg.norm(taught)
    for name in "coverage", "coverage_update":
        assert float(found[name]) == pytest.approx(expected, rel=1e-3)
    assert np.linalg.norm(vector(gradient)) > 1.01 * np.linalg.norm(slope)
    untaught = compare(origin, origin, token_comparisons.coverage)
    assert untaught["coverage"] == untaught["coverage_update"] == 0
