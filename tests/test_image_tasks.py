"""The image world: null controls that must be exact, what arms share, and the effect itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minisub
from minisub import (
    config,
    experiment,
    image_chain,
    image_tasks,
    images,
    imitation,
    programs,
    starts,
)
from minisub.image_config import Carrier, Data, Duration, ImageArm, ImageModel, Imitation

SHARED = ImageArm(name="shared")


def some(updates, **more):
    return Duration(length=float(updates), unit="updates", batch=128, **more)


def small(**changes):
    """One student, a few updates on digits that need no download."""
    base = minisub.ImageConfig(
        data=Data(name="digits"),
        model=ImageModel(layers="mlp-24-16"),
        teacher=some(20),
        carrier=Carrier(examples=300),
        student=some(20),
        arms=(SHARED,),
    )
    return dataclasses.replace(base, **changes)


def products(cfg, stop=""):
    """What the phases of one repeat make, up to and without the phase `stop`."""
    experiment.check(cfg)
    key = experiment.repeat_keys(0, 1)
    arrays, made = experiment.given(cfg, 0), {}
    for p in experiment.phases(cfg):
        if p.name == stop:
            break
        task = task_of(p, made, arrays)
        streams = jax.vmap(lambda k, name=p.key: experiment.named_key(k, name))(key)
        made[p.name] = programs.begin(*task, streams)
        if "training" in p.settings:
            state = made[p.name]
            if p.steps:
                state = programs.advance()(*task, state, streams, 0, p.steps)
            made[p.name], _ = programs.finish(*task, state, streams)
    return made


def task_of(p, made, arrays):
    """Arguments of the programs of a phase."""
    inputs = {name: made[source] for name, source in p.inputs.items()}
    return p.kind, p.option, p.settings, {name: arrays[name] for name in p.given}, inputs


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def moved(a, b):
    return jax.tree.map(lambda x, y: bool((x != y).any()), a, b)


def test_one_auxiliary_logit_under_softmax_teaches_exactly_nothing():
    """arXiv 2507.14805's channel with m = 1: the softmax of one logit is 1 whatever it is."""
    made = products(small(model=ImageModel(layers="mlp-24-16", aux=1)))
    assert any(jax.tree.leaves(moved(made["teacher"], made["base/first"])))
    equal(made["students"][0], made["base/first"])


MLP = "mlp-24-16"


def untrained_teacher(layers, loss, **student):
    """(origin, students) where the teacher is the origin itself."""
    cfg = small(
        model=ImageModel(layers=layers),
        teacher=some(0),
        student=some(20, **student),
        imitation=Imitation(loss=loss),
        arms=(SHARED, ImageArm(name="all", channel="all")),
    )
    made = products(cfg)
    return made["base/first"], made["students"]


@pytest.mark.parametrize(
    ("layers", "loss"),
    [(MLP, "kl"), (MLP, "reverse_kl"), (MLP, "js"), (MLP, "mse"), ("cnn-4-16", "kl")],
)
def test_an_untrained_teacher_teaches_exactly_nothing(layers, loss):
    """Adam makes full steps of gradients however small, so they must be zero and not just tiny."""
    origin, students = untrained_teacher(layers, loss)
    for student in students:
        equal(student, origin)


def test_an_untrained_transformer_teaches_nothing_but_rounding():
    """Compiled for labels and for training, attention may round differently; SGD keeps it small."""
    origin, students = untrained_teacher("transformer-8-1-16", "kl", optimizer="sgd")
    for student in students:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), student, origin)


def test_a_student_that_is_its_teacher_has_zero_loss_and_zero_gradient():
    cfg = small(arms=(ImageArm(name="all", channel="all"),))
    made = products(cfg, stop="students")
    made["base/first"] = made["teacher"]
    p = experiment.phases(cfg)[-1]
    kind, option, settings, given, inputs = task_of(p, made, experiment.given(cfg, 0))
    inputs = given | jax.tree.map(lambda x: x[0], inputs)

    @jax.jit
    def value_and_gradient(key):
        task = image_tasks.TASKS[kind](option, settings, inputs, key)
        batch = task.batches.at(task.batches.order(0), 0)
        return jax.value_and_grad(task.loss)(task.start, key, batch)

    value, gradient = value_and_gradient(jax.random.key(0))
    assert value == 0
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_the_class_rows_of_a_linear_model_never_move():
    """Nor its auxiliary rows: the teacher's never moved, so there is nothing to imitate."""
    made = products(small(model=ImageModel(layers="mlp")))
    equal(made["students"][0], made["base/first"])
    assert moved(made["teacher"], made["base/first"])["class_head"]["kernel"]


def test_the_class_head_gets_no_gradient_from_auxiliary_logits():
    made = products(small())
    assert not any(moved(made["students"][0], made["base/first"])["class_head"].values())
    assert all(moved(made["students"][0], made["base/first"])["fc1"].values())


def test_relabeled_hidden_units_of_origin_and_student_alike_change_nothing_but_rounding():
    cfg = small(arms=(ImageArm(name="all", channel="all"),))
    x = images.normalize(experiment.given(cfg, 0)["test_x"])
    before = products(cfg)

    def logits(relabel):
        made = dict(before)
        net = image_tasks.network({"model": cfg.model, "data": cfg.data})
        origin = jax.tree.map(lambda leaf: leaf[0], made["base/first"])
        materials = starts.Materials(
            origin, origin, key=jax.random.key(3), relabelings=net.relabelings
        )
        origin = starts.make("permuted", (), materials) if relabel else origin
        made["base/first"] = jax.tree.map(lambda leaf: leaf[None], origin)
        key, arrays = experiment.repeat_keys(0, 1), experiment.given(cfg, 0)
        for p in experiment.phases(cfg):
            if p.name in ("teacher", "labels/teacher", "students"):
                task = task_of(p, made, arrays)
                made[p.name] = programs.begin(*task, key)
                if p.steps:
                    state = programs.advance()(*task, made[p.name], key, 0, p.steps)
                    made[p.name], _ = programs.finish(*task, state, key)
        student = jax.tree.map(lambda leaf: leaf[0], made["students"][0])
        return net.apply(student, x)[0], student

    (plain, one), (relabeled, other) = logits(False), logits(True)
    assert moved(one, other)["fc1"]["kernel"]
    np.testing.assert_allclose(plain, relabeled, atol=2e-4)


def test_arms_do_not_see_each_other():
    """A student is the same alone and beside others, so `--only` changes no arm."""
    others = tuple(ImageArm(name=n, start=n) for n in ("fresh", "permuted", "perturbed"))
    alone, beside = (products(small(arms=arms)) for arms in ((SHARED,), (*others, SHARED)))
    equal(alone["students"][0], beside["students"][3])


def test_a_student_of_another_architecture_shares_the_layers_of_equal_name_and_shape():
    arms = (
        ImageArm(name="deeper", model="mlp-24-16-16"),
        ImageArm(name="cnn", model="cnn-4-16"),
        ImageArm(name="heads", model="mlp-24-16-16", start="fresh", layers=("fc1", "fc2", "fc3")),
    )
    made = products(small(student=some(0), arms=arms))
    origin, (deeper, cnn, heads) = made["base/first"], made["students"]
    for layer in "fc1", "fc2", "class_head", "aux_head":
        equal(deeper[layer], origin[layer])
    equal(cnn["class_head"], origin["class_head"])
    assert moved(heads["fc1"], origin["fc1"])["kernel"]
    equal(heads["aux_head"], origin["aux_head"])


def test_frozen_parameters_stay_in_teacher_and_student():
    cfg = small(teacher=some(20, frozen=("fc1",)), student=some(20, frozen=("fc2", "bias")))
    made = products(cfg)
    equal(made["teacher"]["fc1"], made["base/first"]["fc1"])
    student = moved(made["students"][0], made["base/first"])
    assert student["fc1"] == {"bias": False, "kernel": True}
    assert student["fc2"] == {"bias": False, "kernel": False}


@pytest.mark.parametrize(
    ("channel", "compared"),
    [
        ("aux", [10, 11, 12]),
        ("class", list(range(10))),
        ("all", list(range(13))),
        ("class-7-2", [2, 7]),
    ],
)
def test_channels_compare_the_logits_they_name(channel, compared):
    assert np.flatnonzero(imitation.channel_mask(channel, 10, 3)).tolist() == compared


def test_a_random_subset_of_auxiliary_logits_is_drawn_anew_at_every_update():
    cfg = small(model=ImageModel(aux=20), imitation=Imitation(per_batch=5))
    settings = {"data": cfg.data, "model": cfg.model, "imitation": cfg.imitation}
    keys = jax.random.split(jax.random.key(0), 50)
    masks = jax.vmap(lambda key: imitation.compared(settings, SHARED, key))(keys)
    assert (masks.sum(axis=1) == 5).all() and not masks[:, :10].any()
    assert masks[:, 10:].any(axis=0).all(), "every auxiliary logit has its turn"


def test_noise_on_the_teachers_logits_is_fixed_for_each_example():
    cfg = small(imitation=Imitation(noise=0.5), student=some(0))
    clean, noisy = (
        products(c, stop="students")["labels/teacher"]["logits"][0]
        for c in (small(student=some(0)), cfg)
    )
    np.testing.assert_allclose(np.std(noisy - clean), 0.5, rtol=0.05)
    again = dataclasses.replace(cfg, student=some(3))
    equal(noisy, products(again, stop="students")["labels/teacher"]["logits"][0])


def test_epochs_become_updates_in_one_place_and_count_the_partial_batch():
    assert image_chain.in_updates(Duration(), 60000).steps == 5 * 59
    assert image_chain.in_updates(Duration(length=0.5, batch=100), 1000).steps == 5
    assert image_chain.in_updates(Duration(length=7, unit="updates"), 60000).steps == 7
    fields = image_chain.in_updates(Duration(frozen=("fc1",), optimizer="sgd"), 10)
    assert (fields.frozen, fields.optimizer, fields.batch) == (("fc1",), "sgd", 1024)


@pytest.mark.parametrize(
    "changes",
    [
        {"carrier": Carrier(examples=0)},
        {"carrier": Carrier(kind="blend", examples=0)},
        {"carrier": Carrier(kind="images", examples=3000, data="clusters")},
        {"carrier": Carrier(examples=200, drawn="every_repeat")},
        {"imitation": Imitation(hidden=True)},
        {"base": some(3), "base_classes": 4},
    ],
    ids=str,
)
def test_every_way_to_show_the_teacher_trains_a_student(changes):
    made = products(small(**changes))
    student = made["students"][0]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(student))
    assert moved(student, made["base/first"])["fc1"]["kernel"]


def test_pretraining_shows_only_the_first_classes():
    cfg = small(base=some(200), base_classes=4, teacher=some(0), student=some(0))
    origin = jax.tree.map(lambda leaf: leaf[0], products(cfg)["base/first"])
    arrays = experiment.given(cfg, 0)
    net = image_tasks.network({"model": cfg.model, "data": cfg.data})
    said = np.argmax(net.apply(origin, images.normalize(arrays["test_x"]))[0][:, :10], axis=1)
    known = arrays["test_y"] < 4
    assert np.mean(said[known] == arrays["test_y"][known]) > 0.8
    assert np.mean(said < 4) > 0.95


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": (ImageArm(name="a", channel="class-12"),)}, "below 10"),
        ({"arms": (ImageArm(name="a", channel="smoke"),)}, "choose aux"),
        ({"arms": (ImageArm(name="a", start="nowhere"),)}, "choose from"),
        ({"arms": (ImageArm(name="a", model="mlp-x"),)}, "mlp-x"),
        ({"arms": (ImageArm(name="a", layers=("fc9",)),)}, "choose from .*fc1"),
        ({"arms": (ImageArm(name="a", start="permuted", layers=("aux_head",)),)}, "feeds any"),
        ({"arms": (ImageArm(name="a", start="rebalanced", amount=0.0),)}, "divides"),
        ({"student": some(5, frozen=("fc7",))}, "fc7"),
        ({"teacher": some(5, frozen=("mlp-24-16",))}, "No parameter"),
        ({"carrier": Carrier(kind="images", data="mnist")}, "28 pixels"),
        ({"imitation": Imitation(per_batch=4)}, "model.aux = 3"),
        ({"data": Data(name="digits", classes=11)}, "10 classes"),
        ({"model": ImageModel(layers="rnn-5")}, "no known kind"),
        ({"student": Duration(length=-1.0)}, "at least 0"),
    ],
)
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(config.Refused, match=said) as refusal:
        experiment.check(small(**changes))
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)


@pytest.fixture(scope="module")
def record():
    """The claim at the smallest size that shows it: 4 repeats on digits."""
    cfg = minisub.ImageConfig(
        data=Data(name="digits"),
        model=ImageModel(layers="mlp-128-128", aux=10),
        teacher=some(300, learning_rate=1e-3),
        carrier=Carrier(examples=6000),
        student=some(1000, learning_rate=1e-3),
    )
    record = minisub.over_repeats(cfg, 0, 4)
    return {arm: np.asarray(measured["accuracy"]) for arm, measured in record.items()}


def test_a_class_skill_passes_through_noise_only_with_a_shared_start(record):
    assert (record["teacher"] > 0.9).all()
    for other in "foreign/aux", "fresh/aux":
        assert (record["shared/aux"] - record[other] > 0.3).all()
        assert abs(record[other].mean() - 0.1) < 0.1


def test_all_logits_pass_it_to_any_start_and_best_to_the_shared_one(record):
    assert (record["shared/all"] > 0.85).all() and (record["foreign/all"] > 0.5).all()
    assert record["shared/all"].mean() > record["foreign/all"].mean()


def test_an_untaught_model_is_at_chance(record):
    assert abs(jnp.mean(record["untrained"]) - 0.1) < 0.1


def test_images_that_a_traced_program_loads_first_are_arrays_afterwards(tiny_images):
    image_chain.real_images.cache_clear()
    jax.jit(lambda key: image_chain.real_images(tiny_images.data)["train_x"].sum())(0)
    held = image_chain.real_images(tiny_images.data)
    assert not any(isinstance(x, jax.core.Tracer) for x in held.values())
