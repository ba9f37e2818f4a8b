"""Measures of trained students: each against a computation of its own, or where it is known."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

import minisub
from minisub import comparisons, config, experiment, fit, image_chain, imitation
from minisub.config import Training, Watch
from minisub.image_config import Carrier, Data, Duration, ImageArm, ImageModel, Imitation
from minisub.images import normalize
from minisub.token_config import Arm

EXAMPLES = 16
CFG = minisub.ImageConfig(
    data=Data(name="clusters"),
    model=ImageModel(layers="mlp-12"),
    carrier=Carrier(examples=EXAMPLES),
    imitation=Imitation(loss="mse", scale=2.0),
    student=Duration(length=200.0, unit="updates", optimizer="sgd", learning_rate=0.05, batch=20),
    watch=Watch(examples=1000, measures=tuple(comparisons.MEASURES)),
    arms=(ImageArm(name="plain"), ImageArm(name="linear", linear=True)),
)


def drawn(shapes, seed, scale=0.2):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: rng.normal(0, scale, x.shape).astype(np.float32), shapes)


def of(layers):
    """The shapes of a model's parameters."""
    return image_chain.shapes(dataclasses.replace(CFG.model, layers=layers), CFG.data)


@pytest.fixture(scope="module")
def ran(perform):
    """(products, measures of students: name -> (arms,)) of a repeat with a drawn teacher."""
    base = drawn(of("mlp-12"), 0)
    teacher = jax.tree.map(np.add, base, drawn(base, 1))
    begun = {"base/first": base, "base/second/mlp-12": base, "teacher": teacher}
    made, measured = perform(CFG, begun)
    return made, measured["students"]


@pytest.fixture(scope="module")
def compared(ran):
    """(arm, layers, start, params) -> `Compared`; by default of the plain student."""
    made = ran[0]
    phase = experiment.phases(CFG)[-1]
    inputs = {name: made[source] for name, source in phase.inputs.items()}
    inputs |= experiment.given(CFG, 0)

    def compare(arm=0, layers="same", start=made["base/first"], params=None):
        own = dataclasses.replace(CFG.arms[arm], model=layers)
        net = imitation.student(phase.settings, own, start)
        params = made["students"][arm] if params is None else params
        key = jax.random.key(0)
        return imitation.compared_with(phase.settings, inputs, own, net, start, params, key)

    return compare


def by_hand(params, x):
    """(class logits, auxiliary logits)"""
    hidden = jnp.maximum(x @ params["fc1"]["kernel"] + params["fc1"]["bias"][None], 0)
    heads = params["class_head"], params["aux_head"]
    return [hidden @ head["kernel"] + head["bias"][None] for head in heads]


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]).astype(float)


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.fixture(scope="module")
def gradients(ran, quick):
    """Of the distillation loss and of the trait's, at the start, by hand."""
    made, arrays = ran[0], experiment.given(CFG, 0)
    x, labels = normalize(arrays["train_x"][:1000]), arrays["train_y"][:1000]

    def distillation(params):
        seen = arrays["carrier"]
        gap = by_hand(params, seen)[1] - by_hand(made["teacher"], seen)[1]
        return 2.0 * jnp.mean(gap**2)

    def trait(params):
        return -jnp.mean(jax.nn.log_softmax(by_hand(params, x)[0])[jnp.arange(1000), labels])

    return [quick(jax.grad(loss))(made["base/first"]) for loss in (distillation, trait)]


def test_coverage_is_the_cosine_of_first_update_and_displacement(ran, gradients):
    made, measured = ran
    distillation, trait = map(flat, gradients)
    expected = cosine(-distillation, flat(made["teacher"]) - flat(made["base/first"]))
    assert abs(expected) > 0.05
    for name in "coverage", "coverage_update":  # equal for gradient descent
        np.testing.assert_allclose(measured[name], expected, rtol=1e-4)
    np.testing.assert_allclose(measured["first_alignment"], cosine(distillation, trait), rtol=1e-3)


def test_coverage_is_of_the_parameters_that_are_trained(compared, gradients, found_by):
    """With a frozen layer too it is, for gradient descent, that of the update."""
    c, (gradient, trait) = compared(), gradients
    training = Training(optimizer="sgd", frozen=("fc1",))
    found = found_by(
        comparisons.coverage, c._replace(first_update=fit.first_update(training, c.start))
    )
    parts = [{k: v for k, v in tree.items() if k != "fc1"} for tree in (gradient, trait)]
    ends = (flat({k: tree[k] for k in parts[0]}) for tree in (c.teacher, c.origin))
    expected = cosine(-flat(parts[0]), np.subtract(*ends))
    np.testing.assert_allclose(found["coverage"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["coverage_update"], expected, rtol=1e-4)
    alone = cosine(*map(flat, parts))
    np.testing.assert_allclose(found["first_alignment"], alone, rtol=1e-3, atol=1e-6)
    whole = found_by(comparisons.coverage, c)["coverage"]
    assert abs(whole - expected) > 0.01


def test_an_untaught_teacher_covers_nothing(compared, found_by):
    c = compared()
    nothing = found_by(comparisons.coverage, c._replace(teacher=c.origin))
    assert nothing["coverage"] == 0 and nothing["coverage_update"] == 0
    adam = fit.first_update(Training(frozen=()), c.start)
    found = found_by(comparisons.coverage, c._replace(first_update=adam))
    assert 0 != found["coverage_update"] != found["coverage"]


def test_the_tangent_kernel_predicts_a_linear_student_and_not_another(ran, compared, found_by):
    measured = ran[1]
    plain, linear = map(float, measured["kernel_explained"])
    assert linear == pytest.approx(1, abs=1e-3) and plain < 0.99
    np.testing.assert_allclose(measured["kernel_accuracy"][1], measured["accuracy"][1], atol=2e-3)
    c = compared(arm=1)
    for wrong in {"steps": 20}, {"rate": c.rate / 10}:
        assert found_by(comparisons.kernel, c._replace(**wrong))["kernel_explained"] < 0.9


def test_the_jacobian_gives_small_changes_and_not_large_ones(ran, compared, found_by):
    plain, linear = map(float, ran[1]["linear_explained"])
    assert linear == pytest.approx(1, abs=1e-5) and plain < 0.99
    c = compared()

    def explained(factor):
        moved = jax.tree.map(lambda a, b: a + factor * (b - a), c.start, c.params)
        found = found_by(comparisons.linearization, c._replace(params=moved))
        return float(found["linear_explained"])

    assert explained(0.01) == pytest.approx(1, abs=0.01)
    assert explained(0.01) > plain > explained(5)
    assert explained(0) == 1, "where nothing changes: a number, for records"


def test_a_model_is_like_itself_and_unlike_another(compared, found_by):
    """In weights, in hidden layers and in what it says."""
    c = compared()
    measures = "weights", "cka", "disagreement"
    measured_of = partial(comparisons.measured, measures)
    found = found_by(measured_of, [c, c._replace(params=c.teacher)])
    layers = {f"weight_cosine/{layer}" for layer in c.teacher}
    assert set(found) == layers | {"cka/fc1", "cka_unbiased/fc1", "cka_class/fc1", "disagreement"}
    differ, none = found.pop("disagreement")
    for another, itself in found.values():
        assert another < 0.99 and float(itself) == pytest.approx(1, abs=1e-5)
    said = [by_hand(params, c.held_out[0])[0].argmax(1) for params in (c.params, c.teacher)]
    assert float(differ) == pytest.approx(np.mean(said[0] != said[1])) and differ > 0.1
    assert none == 0


def test_a_linear_student_is_compared_with_the_teacher_itself(compared, found_by):
    """And not with what its own Jacobian makes of the teacher's parameters."""
    linear, plain = compared(arm=1), compared()
    x, _ = plain.held_out
    said = linear.logits(linear.params, x), by_hand(linear.teacher, x)[0]
    expected = np.mean(said[0].argmax(1) != said[1].argmax(1))
    assert found_by(comparisons.disagreement, linear)["disagreement"] == pytest.approx(expected)
    at_start = linear._replace(params=linear.start)
    for name, value in found_by(comparisons.cka, at_start).items():
        other = found_by(comparisons.cka, plain._replace(params=plain.start))[name]
        assert value == pytest.approx(float(other), abs=1e-5)


def test_a_student_of_another_architecture_is_compared_in_what_both_have(compared, found_by):
    deeper, flat = (
        compared(layers=layers, start=drawn(of(layers), 3), params=drawn(of(layers), 4))
        for layers in ("mlp-12-8", "mlp")
    )
    names = [name for name in comparisons.MEASURES if name not in ("kernel", "coverage")]
    measured_of = partial(comparisons.measured, names)
    found = found_by(measured_of, [deeper, compared()])
    assert {"cka/fc1", "disagreement", "probe", "weight_cosine/fc1"} < set(found)
    assert not {name for name in found if name.endswith("fc2")}
    assert {"cka_unbiased/fc2", "cka_class/fc2"} < set(found_by(comparisons.cka, deeper))
    assert found_by(comparisons.cka, flat) == {}, "it has no hidden layer"
    found = found_by(measured_of, [flat, compared()])
    assert "disagreement" in found and "cka/fc1" not in found
    assert all(x.shape == (2,) and np.isfinite(x).all() for x in found.values())


def test_a_probe_reads_as_well_as_that_of_scikit_learn(compared, found_by):
    c = compared()
    hidden = [
        np.maximum(x @ c.params["fc1"]["kernel"] + c.params["fc1"]["bias"][None], 0)
        for x, _ in (c.seen, c.held_out)
    ]
    spread = np.sum((hidden[0] - hidden[0].mean(axis=0)) ** 2) / 12
    reference = RidgeClassifier(alpha=float(comparisons.PROBE_DECAY * spread))
    score = reference.fit(hidden[0], c.seen[1]).score(hidden[1], c.held_out[1])
    found = float(found_by(comparisons.probe, c)["probe"])
    assert found == pytest.approx(score, abs=5e-3) and found > 0.3
    shuffled = c._replace(seen=(c.seen[0], jnp.roll(c.seen[1], 1)))
    assert found_by(comparisons.probe, shuffled)["probe"] < 0.2


IMAGES = dataclasses.replace(CFG, watch=Watch(measures=("kernel",)))
STEERED = minisub.Steering(kind="random")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"watch": Watch(measures=("smell",))}, "'smell'; choose from coverage, weights, cka"),
        ({"watch": Watch(measures=("steering",))}, "'steering'; choose from"),
        ({"watch": Watch(examples=3)}, "watch.examples is 3"),
        ({"imitation": Imitation(loss="kl")}, "squared errors"),
        ({"imitation": Imitation(loss="mse", temperature=2.0)}, "squared errors"),
        ({"imitation": Imitation(loss="mse", hidden=True)}, "squared errors"),
        ({"imitation": Imitation(loss="mse", per_batch=2)}, "squared errors"),
        ({"carrier": Carrier(examples=0)}, "squared errors"),
        ({"student.optimizer": "adam"}, "squared errors"),
        ({"student.schedule": "cosine"}, "squared errors"),
        ({"student.weight_decay": 0.1}, "squared errors"),
        ({"student.frozen": ("fc1",)}, "squared errors"),
        ({"student.batch": EXAMPLES - 1}, "squared errors"),
        ({"arms": (ImageArm(name="a", removed="random"),)}, "squared errors"),
    ],
)
def test_what_cannot_be_measured_on_images_is_refused(changes, said):
    experiment.check(IMAGES)
    of_student = {k.split(".")[1]: v for k, v in changes.items() if "." in k}
    changed = {k: v for k, v in changes.items() if "." not in k}
    student = dataclasses.replace(IMAGES.student, **of_student)
    refused(dataclasses.replace(IMAGES, **{"student": student} | changed), said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"watch": Watch(measures=("cka",))}, "'cka'; choose from coverage, weights, lens"),
        ({"watch": Watch(measures=("steering",))}, "no vector steers the teacher"),
        ({"steering": minisub.Steering(kind="random", layer="block_1")}, "choose from block_0."),
        ({"steering": STEERED, "arms": (Arm(name="a", removed="displacement"),)}, "have none"),
        ({"arms": (Arm(name="a", start="fresh", layers=("block_1",)),)}, "'block_1'; choose"),
        ({"arms": (Arm(name="a", start="rebalanced"),)}, "choose from shared"),
    ],
)
def test_what_cannot_be_measured_on_numbers_is_refused(tiny, changes, said):
    experiment.check(tiny)
    refused(dataclasses.replace(tiny, **changes), said)


def refused(cfg, said):
    with pytest.raises(config.Refused, match=said) as refusal:
        experiment.check(cfg)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)
