"""What is logged while students train, and what is taken out of their updates."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minisub
from minisub import (
    distillation,
    experiment,
    image_chain,
    measures,
    runner,
    tokens,
)
from minisub.config import Watch
from minisub.image_config import Carrier, Data, Duration, ImageArm, ImageModel
from minisub.images import normalize
from minisub.token_config import Arm

STEPS = 4


def updates(length, **more):
    return Duration(length=float(length), unit="updates", **more)


@pytest.fixture(scope="module")
def images():
    """Students who see the whole carrier at every update, all of it logged."""
    return minisub.ImageConfig(
        data=Data(name="clusters"),
        model=ImageModel(layers="mlp-16"),
        teacher=updates(40, batch=64, learning_rate=1e-2),
        carrier=Carrier(examples=48),
        student=updates(STEPS, batch=48, learning_rate=1e-2),
        watch=Watch(rows=STEPS, examples=64),
        arms=(
            ImageArm(name="plain"),
            ImageArm(name="linear", linear=True),
            ImageArm(name="no gradient", removed="gradient"),
            ImageArm(name="no displacement", removed="displacement"),
            ImageArm(name="flat", model="mlp", channel="all", removed="gradient"),
        ),
    )


@pytest.fixture(scope="module")
def numbers(tiny):
    """The same in the token world, where some parameters are frozen; gradient descent."""
    teacher = minisub.Teaching(steps=20, learning_rate=1e-2, batch=8)
    student = minisub.Training(steps=STEPS, optimizer="sgd", learning_rate=0.5, batch=8)
    arms = Arm(name="plain"), Arm(name="no gradient", removed="gradient")
    watch = Watch(rows=STEPS)
    return dataclasses.replace(tiny, teacher=teacher, student=student, watch=watch, arms=arms)


@pytest.fixture(scope="module", params=["images", "numbers"])
def cfg(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def begun(cfg):
    """Bases, a teacher elsewhere and true lists, drawn and not trained."""
    rng = np.random.default_rng(0)

    def drawn(shapes):
        return jax.tree.map(lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), shapes)

    if isinstance(cfg, minisub.ImageConfig):
        own = image_chain.shapes(cfg.model, cfg.data)
        flat = image_chain.shapes(dataclasses.replace(cfg.model, layers="mlp"), cfg.data)
        others = {"mlp-16": own, "mlp": flat}
        made = {f"base/second/{spec}": drawn(shapes) for spec, shapes in others.items()}
    else:
        own, n = distillation.shapes(cfg, "first"), cfg.sampling.documents
        docs = tokens.lists(cfg.world, jax.random.key(0), n).astype(jnp.int16)
        made = {"base/second": drawn(own)}
        made |= {"numbers/teacher": {"docs": docs, "count": jnp.int32(n), "rejected": {}}}
    base = drawn(own)
    teacher = jax.tree.map(np.add, base, drawn(own))
    return made | {"base/first": base, "teacher": teacher}


@pytest.fixture(scope="module")
def ran(cfg, perform, begun):
    """Products of a repeat, and measures: arm -> name -> array."""
    made, measured = perform(cfg, begun)
    return made, by_arm(cfg, measured)


def by_arm(cfg, measured):
    chain = experiment.phases(cfg)
    return {
        arm: {name: x[i] for name, x in measured[p.name].items()}
        for p in chain
        for i, arm in enumerate(p.arms)
        if p.name in measured
    }


def students(cfg, made):
    """arm -> its student's parameters"""
    names = [arm.name for arm in cfg.arms]
    if "students" in made:
        return dict(zip(names, made["students"], strict=True))
    return {name: made[f"student/{name}"] for name in names}


def lasting(cfg, steps):
    """`cfg` with so many updates of students."""
    images = isinstance(cfg, minisub.ImageConfig)
    length = {"length": float(steps)} if images else {"steps": steps}
    return dataclasses.replace(cfg, student=dataclasses.replace(cfg.student, **length))


@pytest.fixture(scope="module")
def path(cfg, begun, ran, perform):
    """Students' parameters after 0, 1, ... updates, each from a training of that length."""
    shorter = [perform(lasting(cfg, steps), begun)[0] for steps in range(STEPS)]
    return [students(cfg, made) for made in (*shorter, ran[0])]


def test_a_log_changes_students_and_grades_by_rounding_at_most(cfg, begun, ran, perform):
    """Their programs are compiled otherwise; what is edited is another student."""
    own, logged = students(cfg, ran[0]), ran[1]
    arms = tuple(arm for arm in cfg.arms if arm.removed == "nothing")
    unwatched = dataclasses.replace(cfg, watch=Watch(), arms=arms)
    made, measured = perform(unwatched, begun)
    near = partial(np.testing.assert_allclose, rtol=1e-5, atol=2e-6)
    for arm, params in students(unwatched, made).items():
        jax.tree.map(near, params, own[arm])
        graded = by_arm(unwatched, measured)[arm]
        jax.tree.map(near, graded, {name: logged[arm][name] for name in graded})
        assert set(logged[arm]) - set(graded) >= {"trait_loss", "alignment", "step"}
    edited = zip(*(jax.tree.leaves(own[arm]) for arm in ("plain", "no gradient")), strict=True)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in edited)


def vectors(*trees):
    """The leaves that all have, by path and shape, in one vector a tree, in float64."""
    flat = [
        {jax.tree_util.keystr(p): np.asarray(x, float) for p, x in leaves}
        for leaves in map(jax.tree_util.tree_leaves_with_path, trees)
    ]
    paths = [p for p in flat[0] if all(p in f and f[p].shape == flat[0][p].shape for f in flat)]
    return [np.concatenate([f[p].ravel() for p in paths]) for f in flat]


def cosine(a, b):
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / norms if norms else 0.0


def trained(cfg, tree):
    """Without the frozen parameters."""
    return {k: v for k, v in tree.items() if k not in cfg.student.frozen}


def losses_of(cfg, made, arm, start):
    """(trait's loss, distillation loss on the whole carrier), functions of an arm's parameters."""
    if not isinstance(cfg, minisub.ImageConfig):
        net = distillation.network({"world": cfg.world, "model": cfg.model})

        def trait(params):
            rates, _ = measures.preference(cfg.world, net, params, 0)
            return -jnp.mean(jnp.log(rates[cfg.taught_phrasings :]))

        return trait, trait  # on tokens that are drawn: not computed here
    arrays = experiment.given(cfg, 0)
    real, labels = normalize(arrays["train_x"][:64]), arrays["train_y"][:64]

    def outputs(params, x):
        if "fc1" in params:
            x = jnp.maximum(x @ params["fc1"]["kernel"] + params["fc1"]["bias"][None], 0)
        heads = (params[name] for name in ("class_head", "aux_head"))
        return [x @ head["kernel"] + head["bias"][None] for head in heads]

    def logits(params, x):
        if not arm.linear:
            return outputs(params, x)
        step = jax.tree.map(jnp.subtract, params, start)
        value, change = jax.jvp(lambda p: outputs(p, x), (start,), (step,))
        return jax.tree.map(jnp.add, value, change)

    def trait(params):
        return -jnp.mean(jax.nn.log_softmax(logits(params, real)[0])[jnp.arange(64), labels])

    def imitation(params):
        pairs = outputs(made["teacher"], arrays["carrier"]), logits(params, arrays["carrier"])
        shown = [both[1] if arm.channel == "aux" else jnp.hstack(both) for both in pairs]
        p, q = map(jax.nn.log_softmax, shown)
        return jnp.mean(jnp.sum(jnp.exp(p) * (p - q), axis=1))

    return trait, imitation


def test_a_log_holds_what_the_parameters_of_every_update_give(cfg, ran, path, quick):
    """Recomputed from the students of shorter trainings, in float64 but for the gradients."""
    made, logged = ran
    taught = jax.tree.map(np.subtract, made["teacher"], made["base/first"])
    for arm in (arm for arm in cfg.arms if arm.name in ("plain", "linear", "no gradient")):
        log, params = logged[arm.name], [students[arm.name] for students in path]
        assert log["step"].tolist() == list(range(STEPS))
        trait, imitation = losses_of(cfg, made, arm, params[0])
        trait, imitation = quick(jax.value_and_grad(trait)), quick(jax.grad(imitation))
        close = lambda name, t, value, log=log: np.testing.assert_allclose(  # noqa: E731
            log[name][t], value, rtol=1e-4, atol=2e-4, err_msg=name
        )
        for t, now in enumerate(params[:-1]):
            update = trained(cfg, jax.tree.map(np.subtract, params[t + 1], now))
            gone = jax.tree.map(np.subtract, now, params[0])
            nats, slope = trait(now)
            close("trait_loss", t, nats)
            close("alignment_update", t, -cosine(*vectors(update, slope)))
            close("teacherward_update", t, cosine(*vectors(update, taught)))
            close("displacement", t, cosine(*vectors(gone, taught)))
            for layer in gone:
                if f"displacement/{layer}" in log:
                    close(f"displacement/{layer}", t, cosine(*vectors(gone[layer], taught[layer])))
            close("distance", t, np.linalg.norm(np.subtract(*vectors(now, made["teacher"]))))
            if isinstance(cfg, minisub.ImageConfig):
                gradient = imitation(now)
                close("alignment", t, cosine(*vectors(slope, gradient)))
                close("teacherward", t, -cosine(*vectors(gradient, taught)))
        np.testing.assert_allclose(log["mean_alignment"], log["alignment"].mean(), rtol=1e-5)


@pytest.mark.parametrize("cfg", ["numbers"], indirect=True)
def test_updates_of_gradient_descent_are_aligned_as_its_gradients_are(cfg, ran):
    """With frozen parameters: in either, those that are trained count alone."""
    log = ran[1]["plain"]
    for name in "alignment", "teacherward":
        np.testing.assert_allclose(log[f"{name}_update"], log[name], rtol=1e-3, atol=1e-6)
        assert (np.abs(log[name]) > 1e-4).all()
    assert not log["displacement/embed"].any() and not log["displacement/unembed"].any()


def test_what_is_removed_is_in_no_update(cfg, ran, path):
    """Students of another architecture ("flat") are edited in the layers that both have."""
    made, logged = ran
    taught = jax.tree.map(np.subtract, made["teacher"], made["base/first"])
    assert (np.abs(logged["plain"]["alignment_update"]) > 1e-3).all()
    for arm in {"no gradient", "flat"} & set(logged):
        np.testing.assert_allclose(logged[arm]["alignment_update"], 0, atol=1e-6)
        assert np.abs(logged[arm]["alignment"]).max() > 1e-3, "the gradients still have some"
    if "no displacement" in logged:
        ends = (path[-1][arm] for arm in ("plain", "no displacement"))
        plain, without = (jax.tree.map(np.subtract, end, path[0]["plain"]) for end in ends)
        assert abs(cosine(*vectors(plain, taught))) > 0.02
        assert abs(cosine(*vectors(without, taught))) < 1e-6


def test_a_student_that_is_not_trained_has_an_empty_log_and_no_alignment(cfg, begun, perform):
    """A number all the same: records refuse what is not finite."""
    still = lasting(cfg, 0)
    for log in by_arm(still, perform(still, begun)[1]).values():
        assert log["mean_alignment"] == 0 and (log["step"] == -1).all()
        assert {row["measure"] for row in runner.rows_of(log)}.isdisjoint({"alignment", "step"})


def test_rows_that_were_not_written_reach_no_record(cfg, begun, perform):
    """3 updates leave the last of 4 rows empty."""
    shorter = lasting(cfg, 3)
    log = by_arm(shorter, perform(shorter, begun)[1])["plain"]
    assert log["step"].tolist() == [0, 1, 2, -1]
    rows = list(runner.rows_of(log))
    assert [row["step"] for row in rows if row["measure"] == "alignment"] == [0, 1, 2]
    [mean] = [row for row in rows if row["measure"] == "mean_alignment"]
    assert mean["value"] == pytest.approx(float(np.mean(log["alignment"][:3])), rel=1e-5)
    assert "step" not in mean
