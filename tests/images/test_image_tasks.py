"""The image world: null controls that must be exact, what students share, and the effect itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from same import differing, equal, near
from scipy import special

from configs import losses
from minisub.config import Refused
from minisub.images import pictures, tasks
from minisub.images.config import (
    Carrier,
    Config,
    Data,
    Duration,
    ImageModel,
    Imitation,
    in_updates,
)
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.lab import run
from minisub.nets import starts
from minisub.theory import units
from minisub.theory.comparisons import watched


def some(updates, **more):
    return Duration(length=float(updates), unit="updates", batch=128, **more)


def small(layers="mlp-24-16", aux=3, divergence=tasks.divergence, **changes):
    """A lab of few updates on digits, which need no download; half of the carrier's an update."""
    cfg = Config(
        data=Data(name="digits"),
        model=ImageModel(layers=layers, aux=aux),
        teacher=some(5),
        carrier=Carrier(examples=200),
        student=some(5),
    )
    return Lab(dataclasses.replace(cfg, **changes), divergence=divergence)


def test_one_auxiliary_logit_under_softmax_teaches_exactly_nothing(made):
    """arXiv 2507.14805's channel with m = 1: the softmax of one logit is 1 whatever it is."""
    lab = small(aux=1)
    first, other = lab.origin("first"), lab.origin("other")
    equal(made(lab.student(first, other)), made(first))
    assert differing(made(lab.student(first, other, "all")), made(first))


def test_a_student_that_is_its_teacher_learns_exactly_nothing_whatever_the_loss(made):
    """Adam makes full steps of gradients however small, so they must be zero and not just tiny."""
    students = {}
    for loss in losses.LOSSES:
        lab = small(imitation=Imitation(loss=loss), divergence=losses.divergence)
        first = lab.origin("first")
        students[loss] = lab.student(first, first, "all")
    for loss, student in together(students).items():
        moved = differing(made(student), made(first))
        assert bool(moved) == (loss == "hard"), "the largest logit is not all that it says"


def test_that_holds_alone_and_as_runs_are_compiled(really_made):
    lab = small()
    first = lab.origin("first")
    equal(really_made(lab.student(first, first, "all")), really_made(first))


def test_a_linear_model_has_nothing_to_imitate_if_its_class_head_alone_was_taught(made):
    lab = small("mlp")
    first = lab.origin("first")
    teacher = lab.start(starts.fresh, first, lab.origin("second"), layers=("class_head",))
    assert differing(made(teacher), made(first)) == {"class_head/kernel"}
    equal(made(lab.student(first, teacher)), made(first))


def test_auxiliary_logits_move_all_but_the_class_head_alone_or_beside_others(made):
    """A student is the same bit for bit, so `--only` changes none."""
    lab = small()
    first, second = lab.origin("first"), lab.origin("second")
    student = lab.student(first, second)
    layers = {f"{layer}/{x}" for layer in ("fc1", "fc2", "aux_head") for x in ("kernel", "bias")}
    assert differing(made(student), made(first)) == layers
    both = together({"all": lab.student(first, second, "all"), "aux": student})
    equal(made(both["aux"]), made(student))
    assert differing(made(both["all"]), made(student))


def test_the_log_of_a_student_is_its_own_where_the_name_of_another_begins_with_its_name(made):
    lab = small()
    first, second = lab.origin("first"), lab.origin("second")
    students = [watched(lab, first, lab.teach(x), rows=2) for x in (first, second)]
    record = run.run(together({"one": students[0], "one/other": students[1]}), jax.random.key(0))
    assert record["one"].keys() == record["one/other"].keys() >= {"trait_loss", "distance"}
    alone = run.run({"one": students[0]}, jax.random.key(0))
    near(record["one"]["distance"], alone["one"]["distance"], rtol=1e-5)


def test_relabeled_hidden_units_of_origin_and_student_alike_change_nothing_but_rounding(made):
    lab = small()
    first, x = lab.origin("first"), pictures.normalize(pictures.load(Data(name="digits"))["test_x"])
    other = lab.start(units.permuted(), first)

    def logits(origin):
        student = made(lab.student(origin, lab.teach(origin), "all"))
        return tasks.network(lab.data, lab.cfg.model).apply(student, x)[0]

    assert differing(made(other), made(first))
    np.testing.assert_allclose(logits(first), logits(other), atol=2e-4)


def unchanged(materials):
    """A start: the origin itself."""
    return materials.origin


def test_a_start_of_another_architecture_shares_the_layers_of_equal_name_and_shape(made):
    lab = small()
    first, deeper, cnn = (
        lab.origin(name, layers)
        for name, layers in (("first", None), ("second", "mlp-24-16-16"), ("third", "cnn-4-16"))
    )
    origin = made(first)
    start = made(lab.start(unchanged, first, deeper))
    equal({name: start[name] for name in origin}, origin)
    equal(start["fc3"], made(deeper)["fc3"])
    equal(made(lab.start(unchanged, first, cnn))["class_head"], origin["class_head"])
    heads = made(lab.start(starts.fresh, first, deeper, layers=("~aux_head", "~class_head")))
    equal(heads, made(deeper) | {name: origin[name] for name in ("class_head", "aux_head")})


def test_a_teacher_shows_its_logits_of_every_example_once_however_long_students_train(made):
    """Also of those in the last batch, which they do not fill."""
    lab, longer = small(), small(student=some(7))
    first, second = lab.origin("first"), lab.origin("second")
    shown, again = (x.student(first, second).arguments["shown"] for x in (lab, longer))
    assert shown.digest == again.digest
    logits, _ = tasks.network(lab.data, lab.cfg.model).apply(made(second), made(lab.carrier))
    assert logits.shape == (200, 13)
    np.testing.assert_allclose(made(shown), logits, rtol=1e-4, atol=1e-5)


def test_a_temperature_divides_both_logits_and_a_scale_multiplies_the_mean_of_the_batch(quick):
    data, model, key = Data(name="digits"), ImageModel(layers="mlp-8", aux=3), jax.random.key(0)
    net, rng = tasks.network(data, model), np.random.default_rng(0)
    carrier, shown = rng.normal(size=(6, 64)).astype("f"), 3 * rng.normal(size=(6, 13)).astype("f")
    imitation, weight = Imitation(temperature=2.0, scale=3.0), np.array([1, 1, 0, 1, 0, 1.0])
    params = quick(net.init)(key)
    fit = tasks.imitate(
        key, start=params, shown=jnp.asarray(shown), carrier=jnp.asarray(carrier), data=data,
        model=model, channel="aux", imitation=imitation, divergence=tasks.divergence,
        training=in_updates(some(1), 6),
    )  # fmt: skip
    logits = np.asarray(quick(net.apply)(params, carrier)[0])
    log_p, log_q = (special.log_softmax(x[:, 10:] / 2, axis=1) for x in (shown, logits))
    nats = np.sum(np.exp(log_p) * (log_p - log_q), axis=1)
    found = quick(lambda: fit.loss(params, key, (jnp.arange(6), jnp.asarray(weight))))()
    assert float(found) == pytest.approx(3 * np.average(nats, weights=weight), rel=1e-5)


@pytest.mark.parametrize(("drawn", "place"), [("once", "once"), ("every_repeat", "here")])
def test_a_carrier_is_drawn_once_or_in_every_repeat(drawn, place):
    assert small(carrier=Carrier(examples=200, drawn=drawn)).carrier.place == place


def test_epochs_become_updates_in_one_place_and_count_the_partial_batch():
    assert in_updates(Duration(), 60000).steps == 5 * 59
    assert in_updates(Duration(length=0.5, batch=100), 1000).steps == 5
    assert in_updates(Duration(length=7.0, unit="updates"), 60000).steps == 7
    fields = in_updates(Duration(frozen=("fc1",), optimizer="sgd"), 10)
    assert (fields.frozen, fields.optimizer, fields.batch) == (("fc1",), "sgd", 1024)
    lengths = jax.vmap(lambda x: in_updates(Duration(length=x, batch=100), 250).steps)
    assert lengths(jnp.array([1.0, 2.4])).tolist() == [3, 7], "traced, for a sweep"


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("aux", [10, 11, 12]), ("class", [*range(10)]), ("all", [*range(13)]), ((7, 2), [2, 7])],
)
def test_channels_compare_the_logits_they_name(channel, expected):
    assert list(tasks.logits_of(channel, 10, 3)) == expected


def test_what_is_removed_from_a_students_updates_is_not_in_them(made):
    """As its log says, of all updates; the gradient still has some."""
    lab = small(examples=100)
    first = lab.origin("first")
    student = watched(lab, first, lab.teach(first), channel="all", rows=5, removed="gradient")
    [log] = [made(of) for m in student.measures if (of := m(student)).task.__name__ == "logged"]
    assert log["step"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(log["alignment_update"], 0, atol=1e-5)
    assert np.abs(log["alignment"]).min() > 1e-3
    assert log["displacement"][0] == 0 and log["trait_loss"][-1] > 0


def test_images_that_a_traced_program_loads_first_are_arrays_afterwards():
    tasks.load.cache_clear()
    data = Data(name="clusters")
    jax.make_jaxpr(lambda key: tasks.load(data=data)["train_x"].sum())(0)
    assert not any(isinstance(x, jax.core.Tracer) for x in tasks.load(data=data).values())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"student": Duration(length=-1.0)}, "at least 0"),
        ({"carrier": Carrier(examples=0)}, "at least 1"),
        ({"model": ImageModel(init_scale=float("nan"))}, "finite"),
    ],
)
def test_sizes_that_cannot_be_are_refused_with_a_remedy(changes, said):
    with pytest.raises(Refused, match=said) as refusal:
        small(**changes)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)


def beside(lab, other=None, **how):
    """Two students in one loop, the second one of another lab."""
    labs = {"one": lab, "two": other or lab}
    return together({n: x.student(*[x.origin("first")] * 2, **how) for n, x in labs.items()})


def test_students_that_cannot_be_are_refused_where_they_are_asked_for(made):
    lab, odd = small(), small(imitation=Imitation(loss="hard"))
    first = lab.origin("first")
    for ask, said in (
        (lambda: lab.start(starts.fresh, first), "another one"),
        (lambda: lab.student(first, "teacher"), "must be Parameters"),
        (lambda: lab.student(first, first, learning_rat=1.0), "did you mean learning_rate"),
        (lambda: made(lab.student(first, first, "smoke")), "smoke"),
        (lambda: made(odd.student(first, first)), "imitation.loss is 'hard'; choose from kl, mse"),
        (lambda: made(lab.student(first, first, (13,))), "13"),
        (lambda: made(lab.student(first, first, frozen=("fc7",))), "fc7"),
        (lambda: made(lab.origin("x", "rnn-5")), "'rnn-5' are no kind"),
        (lambda: beside(lab, optimizer="normalized"), "norm of all parameters"),
        (lambda: beside(lab, small(carrier=Carrier(examples=300))), "one carrier"),
        (lambda: watched(lab, first, first, removed="graded gradient"), "never used in training"),
    ):
        with pytest.raises(Refused, match=said):
            ask()


def test_a_class_skill_passes_through_noise_to_a_shared_start_alone(quick):
    """The claim at the smallest size that shows it: two repeats side by side."""
    lab = Lab(
        Config(
            data=Data(name="digits"),
            model=ImageModel(layers="mlp-64-64", aux=20),
            teacher=some(120, learning_rate=3e-3),
            carrier=Carrier(examples=2048),
            student=some(200, learning_rate=3e-3),
        )
    )
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)
    students = {"shared": lab.student(first, teacher), "fresh": lab.student(second, teacher)}
    named = {"untaught": first, "teacher": teacher, **together(students)}
    record = quick(jax.vmap(lambda key: run.run(named, key)))(run.repeat_keys(0, 2))
    found = {name: np.asarray(record[name]["accuracy"]) for name in named}
    assert (found["teacher"] > 0.85).all() and (found["untaught"] < 0.3).all()
    assert (found["shared"] - found["fresh"] > 0.2).all() and found["fresh"].mean() < 0.3
