"""Measures of trained image students: each against a computation of its own, or where it is known.

A student of squared errors by gradient descent on all inputs at once, and one linear in its
parameters, both from the origin of a drawn teacher.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import cosine, drawn, vector
from sklearn.linear_model import RidgeClassifier

from configs import kernel as kernel_config
from configs import similarity as similarity_config
from minisub.config import Refused, Training
from minisub.images import pictures, tasks
from minisub.images.config import Carrier, Config, Data, Duration, ImageModel, Imitation
from minisub.images.lab import Lab
from minisub.nets import fit
from minisub.theory import comparisons, vectors

EXAMPLES, SEEN = 16, 400
CFG = Config(
    data=Data(name="clusters"),
    model=ImageModel(layers="mlp-12"),
    carrier=Carrier(examples=EXAMPLES),
    imitation=Imitation(loss="mse", scale=2.0),
    student=Duration(length=100.0, unit="updates", optimizer="sgd", learning_rate=0.05, batch=20),
    examples=SEEN,
)
REAL = {name: jnp.asarray(x) for name, x in pictures.load(CFG.data).items()}
NET = tasks.network(CFG.data, CFG.model)
ORIGIN = drawn(jax.eval_shape(NET.init, jax.random.key(0)), 0, 0.2)
TEACHER = jax.tree.map(np.add, ORIGIN, drawn(ORIGIN, 1, 0.2))
CARRIER = jnp.asarray(np.random.default_rng(2).uniform(-1, 1, (EXAMPLES, 64)).astype("f"))
SHOWN = NET.apply(TEACHER, CARRIER)[0]


def imitated(linear=False, model=CFG.model, start=ORIGIN, training=None):
    """The arguments of `tasks.imitate` of a student."""
    how = training or Lab(CFG).training
    return {
        "start": start, "shown": SHOWN, "carrier": CARRIER, "data": CFG.data, "model": model,
        "imitation": CFG.imitation, "training": how, "channel": "aux", "linear": linear,
        "divergence": tasks.divergence,
    }  # fmt: skip


@pytest.fixture(scope="module")
def students(quick):
    """linear -> the student's last parameters."""

    @quick
    def trained():
        found = {}
        for linear in False, True:
            made = tasks.imitate(jax.random.key(0), **imitated(linear))
            state = fit.begin(made.training, made.start)
            state = fit.advance(
                made.training, made.loss, state, jax.random.key(0), 0, 100, made.batches
            )
            found[linear] = fit.params(state)
        return found

    return trained()


@pytest.fixture(scope="module")
def measured(quick):
    """(measures, params, teacher, **of `imitated`) -> their values, in one program."""

    def found(measures, params, teacher=TEACHER, **changes):
        how = imitated(**changes)
        compare = partial(
            comparisons.compare, measures=measures, origin=ORIGIN, taught_model=CFG.model,
            images=REAL, examples=SEEN, **how,
        )  # fmt: skip
        made = quick(lambda params, teacher: compare(params=params, teacher=teacher))(
            params, teacher
        )
        return {name: float(x) for name, x in made.items()}

    return found


PLAIN = (
    comparisons.coverage,
    similarity_config.weights,
    similarity_config.cka,
    similarity_config.disagreement,
    kernel_config.linearization,
    kernel_config.kernel,
)


@pytest.fixture(scope="module")
def plain(students, measured):
    """All measures of the student that is not linear."""
    return measured(PLAIN, students[False])


@pytest.fixture(scope="module")
def linear(students, measured):
    measures = kernel_config.linearization, kernel_config.kernel, similarity_config.disagreement
    return measured(measures, students[True], linear=True)


def by_hand(params, x):
    """(class logits, auxiliary logits)"""
    hidden = jnp.maximum(x @ params["fc1"]["kernel"] + params["fc1"]["bias"][None], 0)
    return [
        hidden @ params[h]["kernel"] + params[h]["bias"][None] for h in ("class_head", "aux_head")
    ]


@pytest.fixture(scope="module")
def gradients(quick):
    """Of the distillation loss and of the trait's, at the start, by hand."""
    x, labels = pictures.normalize(REAL["train_x"][:SEEN]), REAL["train_y"][:SEEN]

    def distillation(params):
        gap = by_hand(params, CARRIER)[1] - by_hand(TEACHER, CARRIER)[1]
        return 2.0 * jnp.mean(gap**2)

    def trait(params):
        return -jnp.mean(jax.nn.log_softmax(by_hand(params, x)[0])[jnp.arange(SEEN), labels])

    return quick(lambda p: [jax.grad(loss)(p) for loss in (distillation, trait)])(ORIGIN)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_first_update_is_what_the_optimizer_makes_of_a_gradient(optimizer):
    w = np.linspace(-1, 1, 6, dtype="f")
    training = Training(learning_rate=0.1, optimizer=optimizer, frozen=("head",))
    params = {"head": {"w": w}, "body": {"w": w}}
    update = comparisons.first_update(training, params)(params)
    assert update["head"]["w"] is None
    expected = -0.1 * (w if optimizer == "sgd" else np.sign(w))
    np.testing.assert_allclose(update["body"]["w"], expected, rtol=1e-5)


def test_coverage_is_the_cosine_of_first_update_and_displacement(plain, gradients):
    distillation, trait = map(vector, gradients)
    expected = cosine(-distillation, vector(TEACHER) - vector(ORIGIN))
    assert abs(expected) > 0.02
    for name in "coverage", "coverage_update":  # equal for gradient descent
        assert plain[name] == pytest.approx(expected, rel=1e-4)
    assert plain["first_alignment"] == pytest.approx(
        cosine(distillation, trait), rel=1e-3, abs=1e-5
    )


def test_coverage_is_of_the_parameters_that_are_trained_and_nothing_if_nothing_was_taught(
    plain, gradients, measured
):
    training = Training(optimizer="sgd", frozen=("fc1",))
    found = measured((comparisons.coverage,), ORIGIN, training=training)
    parts = [{k: v for k, v in tree.items() if k != "fc1"} for tree in gradients]
    taught = np.subtract(*(vector({k: t[k] for k in parts[0]}) for t in (TEACHER, ORIGIN)))
    expected = cosine(-vector(parts[0]), taught)
    for name in "coverage", "coverage_update":
        assert found[name] == pytest.approx(expected, rel=1e-4)
    alone = cosine(*map(vector, parts))
    assert found["first_alignment"] == pytest.approx(alone, rel=1e-3, abs=1e-5)
    assert abs(plain["coverage"] - expected) > 0.01
    adam = Training(frozen=())
    nothing = measured((comparisons.coverage,), ORIGIN, ORIGIN, training=adam)
    assert nothing["coverage"] == nothing["coverage_update"] == 0


def test_kernel_and_jacobian_predict_a_linear_student_and_not_another(
    plain, linear, measured, students
):
    for name, atol in ("kernel_explained", 1e-3), ("linear_explained", 1e-4):
        assert linear[name] == pytest.approx(1, abs=atol) and plain[name] < 0.99
    shorter = dataclasses.replace(Lab(CFG).training, steps=10)
    wrong = measured((kernel_config.kernel,), students[True], linear=True, training=shorter)
    assert wrong["kernel_explained"] < 0.9
    near = vectors.moved(ORIGIN, vectors.difference(students[False], ORIGIN), 0.01)
    found = measured((kernel_config.linearization,), near)
    assert found["linear_explained"] > plain["linear_explained"]
    still = jnp.zeros(3)
    assert kernel_config.explained(still, still) == 1, "where nothing changes, a number"
    assert kernel_config.explained(still, still + 1) == 0


def test_a_model_is_like_itself_and_unlike_another(plain, measured, students):
    """In weights, in hidden layers and in what it says."""
    likeness = similarity_config.weights, similarity_config.cka, similarity_config.disagreement
    found = measured(likeness, TEACHER)
    layers = {f"weight_cosine/{layer}" for layer in TEACHER}
    assert found.keys() == layers | {"cka/fc1", "cka_unbiased/fc1", "cka_class/fc1", "disagreement"}
    assert found.pop("disagreement") == 0
    for name, itself in found.items():
        assert plain[name] < 0.99 and itself == pytest.approx(1, abs=1e-5)
    x = pictures.normalize(REAL["test_x"][:SEEN])
    said = [by_hand(params, x)[0].argmax(1) for params in (students[False], TEACHER)]
    assert (
        plain["disagreement"] == pytest.approx(np.mean(said[0] != said[1]))
        and plain["disagreement"] > 0.1
    )


def test_a_linear_student_is_compared_with_the_teacher_itself(linear, students):
    """And not with what its own Jacobian makes of the teacher's parameters."""
    x = pictures.normalize(REAL["test_x"][:SEEN])
    net = tasks.student_network(CFG.data, CFG.model, True, ORIGIN)
    said = net.apply(students[True], x)[0][:, :10], by_hand(TEACHER, x)[0]
    expected = np.mean(said[0].argmax(1) != said[1].argmax(1))
    assert linear["disagreement"] == pytest.approx(expected)


@pytest.mark.parametrize("layers", ["mlp-12-8", "mlp"])
def test_a_student_of_another_architecture_is_compared_in_what_both_have(layers, measured):
    model = dataclasses.replace(CFG.model, layers=layers)
    shapes = jax.eval_shape(tasks.network(CFG.data, model).init, jax.random.key(0))
    start, params = drawn(shapes, 3, 0.2), drawn(shapes, 4, 0.2)
    measures = similarity_config.weights, similarity_config.cka, similarity_config.disagreement
    found = measured(measures, params, model=model, start=start)
    assert np.isfinite(list(found.values())).all() and "disagreement" in found
    names = {name for name in found if name.startswith("cka")}
    deeper = {"cka/fc1", "cka_unbiased/fc2", "cka_class/fc2"}
    assert names == (deeper if layers == "mlp-12-8" else set())
    assert not {"weight_cosine/fc2"} & found.keys()


def test_a_probe_reads_as_well_as_that_of_scikit_learn(students, quick):
    def hidden(x):
        fc1 = students[False]["fc1"]
        return np.maximum(pictures.normalize(x) @ fc1["kernel"] + fc1["bias"][None], 0)

    train, test = (hidden(REAL[f"{which}_x"][:SEEN]) for which in ("train", "test"))
    labels, test_labels = (np.asarray(REAL[f"{which}_y"][:SEEN]) for which in ("train", "test"))
    spread = np.sum((train - train.mean(axis=0)) ** 2) / 12
    reference = RidgeClassifier(alpha=float(similarity_config.PROBE_DECAY * spread))
    score = reference.fit(train, labels).score(test, test_labels)
    how = {"examples": SEEN, "data": CFG.data, "model": CFG.model}
    probe = quick(
        lambda real: similarity_config.probe(params=students[False], images=real, **how)["probe"]
    )
    assert float(probe(REAL)) == pytest.approx(score, abs=5e-3) and score > 0.3
    assert probe(REAL | {"train_y": jnp.roll(REAL["train_y"], 1)}) < 0.25


@pytest.mark.parametrize(
    "changes",
    [
        {"imitation": Imitation(loss="kl")},
        {"imitation": Imitation(loss="mse", temperature=2.0)},
        {"student": {"optimizer": "adam"}},
        {"student": {"schedule": "cosine"}},
        {"student": {"weight_decay": 0.1}},
        {"student": {"frozen": ("fc1",)}},
        {"student": {"batch": EXAMPLES - 1}},
        {"watch": comparisons.watch_images},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_the_kernel_is_refused_where_it_says_nothing(changes):
    student = dataclasses.replace(CFG.student, **changes.get("student", {}))
    how = {"imitation": changes.get("imitation", CFG.imitation), "student": student}
    lab = Lab(dataclasses.replace(CFG, **how))
    first = lab.origin("first")
    made = lab.student(first, lab.teach(first), watch=changes.get("watch"))
    with pytest.raises(Refused, match="squared errors"):
        kernel_config.require_descent(lab.cfg.carrier.examples, made.arguments)
