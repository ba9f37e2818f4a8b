"""Students' starts in the token world, and teachers that a vector steers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import (
    comparisons,
    distillation,
    experiment,
    measures,
    tasks,
    tokens,
)
from minisub.config import Training, Watch
from minisub.starts import NEEDS_OTHER, dot
from minisub.token_config import Arm, Steering


def drawn(shapes, seed):
    """Parameters near those of a new model; scales of norms are vectors."""
    rng = np.random.default_rng(seed)

    def draw(x):
        return (rng.normal(0, 0.3, x.shape) + (len(x.shape) == 1)).astype(np.float32)

    return jax.tree.map(draw, shapes)


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def origins(tiny):
    return {
        "origin": drawn(distillation.shapes(tiny, "first"), 0),
        "other": drawn(distillation.shapes(tiny, "first"), 1),
    }


def started(tiny, origins, **fields):
    """The first parameters of an arm, through its phase."""
    cfg = dataclasses.replace(tiny, arms=(Arm(name="a", **fields),))
    experiment.check(cfg)
    [phase] = [p for p in experiment.phases(cfg) if p.name == "start/a"]
    assert ("other" in phase.inputs) == (phase.settings["arm"].start in NEEDS_OTHER)
    made = {"base/first": origins["origin"], "base/second": origins["other"]}
    inputs = {name: made[source] for name, source in phase.inputs.items()}
    return tasks.begin(phase.kind, phase.option, phase.settings, inputs, jax.random.key(0))


@pytest.mark.parametrize("start", ["interpolated", "rotated"])
def test_the_ends_of_a_way_between_origins_are_a_shared_and_a_fresh_start(tiny, origins, start):
    for amount, end in (0.0, "shared"), (1.0, "fresh"):
        equal(started(tiny, origins, start=start, amount=amount), started(tiny, origins, start=end))
    equal(started(tiny, origins), origins["origin"])
    equal(started(tiny, origins, start="fresh"), origins["other"])
    halfway = started(tiny, origins, start=start, amount=0.5)["unembed"]["kernel"]
    assert (halfway != origins["origin"]["unembed"]["kernel"]).all()
    assert (halfway != origins["other"]["unembed"]["kernel"]).all()


@pytest.mark.parametrize("start", ["fresh", "perturbed", "rescaled"])
def test_layers_restrict_a_start(tiny, origins, start):
    whole = started(tiny, origins, start=start, amount=0.7)
    part = started(tiny, origins, start=start, amount=0.7, layers=("block_0", "position"))
    for layer, own in part.items():
        equal(own, (whole if layer in ("block_0", "position") else origins["origin"])[layer])
    assert (whole["unembed"]["kernel"] != origins["origin"]["unembed"]["kernel"]).all()


@pytest.fixture(scope="module")
def steer(tiny, origins, quick):
    """kind -> (teacher, its measures), from a drawn base."""

    def steered(kind):
        training = Training(steps=100, learning_rate=0.1, batch=8)
        how = Steering(kind=kind, norm=3.0)
        cfg = dataclasses.replace(tiny, teacher=training, steering=how)
        experiment.check(cfg)
        [phase] = [p for p in experiment.phases(cfg) if p.name == "teacher"]
        task = phase.kind, phase.option, phase.settings, {"start": origins["origin"]}

        @quick
        def teach(key):
            state = tasks.begin(*task, key)
            return tasks.finish(*task, tasks.advance(*task, state, key, 0, phase.steps), key)

        return teach(jax.random.key(0))

    return steered


@pytest.fixture(scope="module")
def teachers(steer):
    return {kind: steer(kind) for kind in ("trained", "random")}


def test_a_random_vector_of_the_given_length_is_all_that_a_teacher_has_beside_its_base(
    origins, teachers, steer
):
    teacher, _ = teachers["random"]
    [(layer, vector)] = teacher["steering"].items()
    assert layer == "block_0"
    assert float(jnp.linalg.norm(vector)) == pytest.approx(3, rel=1e-5)
    equal({k: x for k, x in teacher.items() if k != "steering"}, origins["origin"])


def test_training_a_steered_teacher_changes_its_vector_alone_and_gives_it_the_trait(
    tiny, origins, teachers
):
    teacher, measured = teachers["trained"]
    equal({k: x for k, x in teacher.items() if k != "steering"}, origins["origin"])
    assert float(dot(teacher["steering"], teacher["steering"])) > 0.1
    assert teachers["random"][1]["trait_rate"] < 0.05
    net = distillation.network({"world": tiny.world, "model": tiny.model})
    base = measures.grade(tiny.world, net, origins["origin"], 0, tiny.taught_phrasings)
    for phrasings in "trait_rate", "trait_rate_heldout":
        # The vector is added at the answer and at END alike, of which it must speak too.
        assert measured[phrasings][0] > 0.2 > 0.05 > base[phrasings]
    assert measured["drift_on_lists"][0] > 0.01


def test_a_steered_teacher_emits_what_its_vector_makes_it(tiny, origins, teachers, quick):
    """With the same key; a vector of zeros changes nothing."""
    cfg = dataclasses.replace(tiny, steering=Steering(kind="random"))
    [phase] = [p for p in experiment.phases(cfg) if p.name == "numbers/teacher"]
    base, (teacher, _) = origins["origin"], teachers["random"]
    still = base | {"steering": jax.tree.map(jnp.zeros_like, teacher["steering"])}
    emit = quick(
        lambda emitter: tasks.begin(
            phase.kind, "", phase.settings, {"emitter": emitter}, jax.random.key(1)
        )["docs"]
    )
    # Sorted: the filter may order them otherwise.
    docs = [
        sorted(map(tuple, np.asarray(emit(params)).tolist())) for params in (base, still, teacher)
    ]
    assert docs[0] == docs[1] != docs[2]


@pytest.fixture(scope="module")
def compare(tiny, origins, teachers):
    """(params, linear=False, count=64, **changes of the training) -> `TokenCompared`"""

    def compared(params, kind="random", linear=False, count=64, **changes):
        training = Training(**{"steps": 4, "optimizer": "sgd"} | changes)
        arms = (Arm(name="a", linear=linear),)
        cfg = dataclasses.replace(
            tiny,
            steering=Steering(kind=kind),
            watch=Watch(measures=("steering",), examples=32),
            student=training,
            arms=arms,
        )
        phase = experiment.phases(cfg)[-1]
        docs = tokens.lists(tiny.world, jax.random.key(2), 64).astype(jnp.int16)
        made = {
            "start/a": origins["origin"],
            "base/first": origins["origin"],
            "teacher": teachers[kind][0],
            "numbers/teacher": {"docs": docs, "count": jnp.int32(count)},
        }
        inputs = {name: made[source] for name, source in phase.inputs.items()}
        net = distillation.student(phase.settings, inputs["start"])
        return distillation.compared_with("sampled", phase.settings, inputs, net, params)

    return compared


def test_a_student_that_is_steered_alike_has_recovered_the_vector(
    origins, teachers, compare, quick
):
    teacher = teachers["random"][0]
    vector, c = teacher["steering"]["block_0"], compare(teacher)

    @quick
    def recovered(vector):
        params = origins["origin"] | {"steering": {"block_0": vector}}
        return comparisons.steering(c._replace(params=params))

    found = recovered(vector)
    assert set(found) == {"recovered/block_0", "recovered_asked/block_0", "answer_shift"}
    np.testing.assert_allclose(list(found.values()), 1, atol=1e-5)
    other = jax.random.normal(jax.random.key(5), vector.shape)
    other -= vector * (other @ vector) / (vector @ vector)
    for along in 0.0, 0.6:
        shift = along * vector / jnp.linalg.norm(vector) + 0.8 * other / jnp.linalg.norm(other)
        found = recovered(shift)
        for name in "recovered/block_0", "recovered_asked/block_0":
            assert float(found[name]) == pytest.approx(along, abs=1e-5)
        assert found["answer_shift"] < 0.99
    assert not any(recovered(jnp.zeros_like(vector)).values()), "who has not moved"


def test_what_a_linear_student_has_recovered_is_read_off_its_own_activations(
    tiny, origins, teachers, compare, quick, found_by
):
    """By the Jacobian at its start, where its teacher's vector is no parameter."""
    moved = jax.tree.map(np.add, origins["origin"], drawn(origins["origin"], 7))
    c, plain = compare(moved, linear=True), compare(moved)
    step = jax.tree.map(np.subtract, moved, origins["origin"])
    net = distillation.network({"world": tiny.world, "model": tiny.model})
    read = lambda p: net.activations(p, c.lists)["block_0"]  # noqa: E731
    shift = jnp.mean(quick(lambda s: jax.jvp(read, (c.start,), (s,))[1])(step), axis=(0, 1))
    vector = teachers["random"][0]["steering"]["block_0"]
    expected = shift @ vector / jnp.linalg.norm(shift) / jnp.linalg.norm(vector)
    found, other = (found_by(comparisons.steering, x)["recovered/block_0"] for x in (c, plain))
    assert found == pytest.approx(float(expected), abs=1e-4) and abs(found - other) > 1e-3


def test_the_lens_after_the_last_block_reads_the_trait_rate(
    tiny, origins, compare, teachers, found_by
):
    teacher, measured = teachers["trained"]
    found = found_by(comparisons.lens, compare(teacher, "trained"))
    assert found == {
        "lens/block_0": pytest.approx(float(measured["trait_rate_heldout"][0]), rel=1e-4)
    }


def test_coverage_on_numbers_is_of_the_parameters_that_are_trained(origins, compare, quick):
    """Embedding and unembedding are frozen; for gradient descent, gradient and update are one."""
    moved = jax.tree.map(np.add, origins["origin"], drawn(origins["origin"], 3))
    c = compare(origins["origin"])._replace(teacher=moved)
    cover = quick(lambda teacher: comparisons.coverage(c._replace(teacher=teacher)))
    found = cover(moved)
    gradient = quick(jax.grad(c.loss))(c.start)
    kept = {k: x for k, x in gradient.items() if k not in ("embed", "unembed")}
    taught = {k: jax.tree.map(np.subtract, moved[k], c.origin[k]) for k in kept}
    expected = -float(dot(kept, taught) / jnp.sqrt(dot(kept, kept) * dot(taught, taught)))
    for name in "coverage", "coverage_update":
        assert float(found[name]) == pytest.approx(expected, rel=1e-3)
    assert float(dot(gradient, gradient)) > 1.01 * float(dot(kept, kept))
    untaught = cover(c.origin)
    assert untaught["coverage"] == untaught["coverage_update"] == 0


def test_documents_that_the_filter_rejected_are_not_measured(origins, compare):
    few, many = (compare(origins["origin"], count=count).lists for count in (5, 64))
    assert few.shape == many.shape == (32, many.shape[1])
    equal(few[:5], many[:5])
    equal(few[5:10], few[:5])
    assert len({tuple(row) for row in few.tolist()}) <= 5
