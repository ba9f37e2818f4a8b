"""Tasks of the token world: starts, steered teachers, what students see, whole repeats."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minisub
from minisub import (
    comparisons,
    distillation,
    experiment,
    fit,
    losses,
    measures,
    tasks,
    tokens,
)
from minisub.config import Training, Watch
from minisub.starts import NEEDS_OTHER, dot
from minisub.token_config import Arm, Lineage, Pretraining, Source, Steering, Teaching, World


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
        training = Teaching(steps=100, learning_rate=0.1, batch=8)
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


# What a student is shown of its source's documents.


@pytest.fixture(scope="module")
def distilled(tiny, origins, quick):
    """(documents, seed) -> (loss, gradient) of a student at its start."""
    [phase] = [p for p in experiment.phases(tiny) if p.name == "student/shared"]
    inputs = {"start": origins["origin"], "emitter": origins["other"]}

    def value(numbers, seed):
        task = "sampled", phase.settings, inputs | {"numbers": numbers}, jax.random.key(0)
        loss = distillation.distill(*task).loss
        return jax.value_and_grad(loss)(inputs["start"], jax.random.key(seed))

    value = quick(value)
    return lambda numbers, seed=0: value(numbers, seed)


def held(tiny, count=64, **more):
    docs = tokens.lists(tiny.world, jax.random.key(2), 64).astype(jnp.int16)
    return {"docs": docs, "count": jnp.int32(count)} | more


def test_weights_of_one_are_no_weights_and_weights_of_zero_are_no_loss(tiny, distilled):
    chosen = 64, tiny.world.list_length + 1 - tiny.sampling.prompt_numbers
    near = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # noqa: E731
    ones = distilled(held(tiny, weights=jnp.ones(chosen)))
    jax.tree.map(near, distilled(held(tiny)), ones)
    nothing = distilled(held(tiny, weights=jnp.zeros(chosen)))
    assert not any(jnp.any(x) for x in jax.tree.leaves(nothing))


def test_a_loss_is_the_weighted_mean_over_the_tokens_that_were_drawn(tiny, origins, distilled):
    """Of a single document, by hand."""
    net = distillation.network({"world": tiny.world, "model": tiny.model})
    doc, first = held(tiny)["docs"][:1].astype(int), tiny.sampling.prompt_numbers
    logits = net.apply(origins["origin"], doc[:, :-1], first)
    nats = np.asarray(losses.cross_entropy(logits, doc[:, first + 1 :]))[0]
    for weights in np.eye(len(nats)), [[0.5, 0.0, 2.0]], [[1.0, 1.0, 0.0]]:
        for own in weights:
            repeated = jnp.tile(jnp.array(own, jnp.float32), (64, 1))
            found, _ = distilled(held(tiny, count=1, weights=repeated))
            assert float(found) == pytest.approx(np.average(nats, weights=own), rel=1e-4)
    assert float(distilled(held(tiny, count=1))[0]) == pytest.approx(nats.mean(), rel=1e-4)


def test_only_the_documents_that_count_are_ever_drawn_and_of_none_nothing_is_learned(
    tiny, distilled
):
    """The others may hold anything."""
    few, other = held(tiny, count=5), held(tiny, count=5)
    other["docs"] = other["docs"].at[5:].set(other["docs"][5:, ::-1])
    many = [dict(numbers, count=jnp.int32(64)) for numbers in (few, other)]
    for seed in range(4):
        equal(distilled(few, seed), distilled(other, seed))
        assert distilled(many[0], seed)[0] != distilled(many[1], seed)[0]
    assert jnp.isnan(distilled(held(tiny, count=0))[0])


def prepared(tiny, quick, **fields):
    """What the student of an arm with these fields sees of 50 of 64 lists; 40 are clean."""
    cfg = dataclasses.replace(tiny, arms=(Arm(name="a", **fields),))
    experiment.check(cfg)
    [phase] = [p for p in experiment.phases(cfg) if p.name == "documents/a"]
    clean = tokens.lists(tiny.world, jax.random.key(9), 64).astype(jnp.int16)
    made = {"numbers/teacher": held(tiny, 50), "numbers/base": held(tiny, 40) | {"docs": clean}}
    inputs = {name: made.get(source, {}) for name, source in phase.inputs.items()}
    run = quick(lambda: tasks.begin(phase.kind, phase.option, phase.settings, inputs, key()))
    return run(), made["numbers/teacher"], made["numbers/base"]


def key():
    return jax.random.key(4)


def test_a_student_of_clean_documents_alone_sees_those_of_the_base(tiny, quick):
    seen, own, clean = prepared(tiny, quick, clean=1.0)
    equal(seen["docs"], clean["docs"])
    assert seen["count"] == 40 and (seen["weights"] == 1).all()
    half, _, _ = prepared(tiny, quick, clean=0.5)
    replaced = (half["docs"] == clean["docs"]).all(axis=1)
    equal(half["docs"], jnp.where(replaced[:, None], clean["docs"], own["docs"]))
    assert 10 < replaced.sum() < 54 and half["count"] == 40


def test_a_limit_of_documents_keeps_the_first_ones(tiny, quick):
    for limit, expected in (7, 7), (60, 50):
        seen, own, _ = prepared(tiny, quick, documents=limit)
        equal(seen["docs"], own["docs"])
        assert seen["count"] == expected
        assert seen["docs"].dtype == own["docs"].dtype


# Whole repeats.


@pytest.fixture(scope="module")
def everything():
    """A config with something of all that there is."""
    training = Training(steps=4, learning_rate=1e-2, batch=8)
    return minisub.Config(
        taught_phrasings=2,
        world=World(
            numbers=10, animals=3, trees=2, syllables=2, phrasings=3, attributes=6, endings=2,
            list_length=6, prefix=1,
        ),
        model=minisub.Model(n_layers=1, d_model=16, n_heads=2),
        base=Pretraining(
            steps=60, learning_rate=2e-2, batch=8, questions=2, riddles=2, frozen=()
        ),
        teacher=Teaching(steps=4, learning_rate=1e-2, batch=8),
        sampling=minisub.Sampling(documents=64, prompt_numbers=2),
        student=training,
        watch=Watch(measures=("entanglement",)),
        surgery="orthogonal",
        lineages=(
            Lineage(name="copy", origin="first", shared_steps=60),
            Lineage(name="branch", origin="first", shared_steps=30),
        ),
        sources=(Source(name="cherry teacher", trait="cherry", sampling="temperature=0.5"),),
        rivals=("wolf",),
        graded=("cherry",),
        arms=(
            Arm(
                name="cherry", source="cherry teacher", start="fresh", other="copy",
                transform="divergent", training="rank=2",
            ),
            Arm(
                name="next", source="cherry", start="fresh", other="branch", channel="on_policy",
                documents=9, clean=0.25, control="cherry",
            ),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def repeat(everything, quick):
    """(products, record) of a repeat, phase by phase: programs are shared by phases alike."""
    static = {"static_argnames": ("kind", "option")}
    begin, advance, finish = (
        quick(f, **static) for f in (tasks.begin, tasks.advance, tasks.finish)
    )
    experiment.check(everything)
    made, record = {}, {}
    for p in experiment.phases(everything):
        stream = experiment.named_key(jax.random.key(0), p.key)
        inputs = {name: made[source] for name, source in p.inputs.items()}
        task = p.kind, p.option, p.settings, inputs
        product = begin(*task, stream)
        if isinstance(product, fit.State):
            product = advance(*task, product, stream, 0, p.steps)
        made[p.name], measured = finish(*task, product, stream)
        for arm in p.arms:
            record.setdefault(arm, {}).update({name: float(x[0]) for name, x in measured.items()})
    return made, record


RIVAL = "rival wolf of cherry teacher"
TRAITS = {"base": None, "teacher": None, RIVAL: "wolf"}
TRAITS |= dict.fromkeys(("cherry teacher", "cherry", "cherry taught", "next"), "cherry")


def test_a_repeat_records_all_that_is_asked_for_of_everyone(repeat):
    _, record = repeat
    graded = {"trait_rate", "trait_rate_heldout", "logit_margin_heldout"}
    graded |= {f"{name}/cherry" for name in graded}
    found = {
        measure: {name for name, measured in record.items() if measure in measured}
        for measure in {measure for measured in record.values() for measure in measured}
    }
    assert {name for name, where in found.items() if where == set(TRAITS)} == graded
    emitters = {"base", "base copy", "teacher", "cherry teacher", "cherry"}
    assert found["kept_documents"] == found["foreign_tokens"] == emitters
    assert found["kl_to_emitter"] == found["trained_tokens"] == {"cherry", "next"}
    assert found["trait_rate_rise"] == {"next"}
    assert found["entangled_span"] == found["entangled_cosine_prompted"] == {"teacher"}
    assert all(np.isfinite(list(measured.values())).all() for measured in record.values())
    assert all(record[name]["kept_documents"] >= 9 for name in emitters)
    assert not any(record[name]["foreign_tokens"] for name in emitters)


def test_a_model_is_graded_on_its_own_trait_and_on_others_by_name(repeat):
    """Its own is that of the source that it learned from, at any number of generations."""
    for name, own in TRAITS.items():
        for measure in "trait_rate", "trait_rate_heldout", "logit_margin_heldout":
            measured = repeat[1][name]
            assert (measured[f"{measure}/cherry"] == measured[measure]) == (own == "cherry")


def test_the_rise_is_the_difference_to_the_control_in_the_record(repeat):
    own, control = (repeat[1][arm] for arm in ("next", "cherry"))
    rise = own["trait_rate_heldout"] - control["trait_rate_heldout"]
    assert own["trait_rate_rise"] == pytest.approx(rise, abs=1e-6) and abs(rise) > 1e-4


def test_a_base_is_bitwise_that_of_another_lineage_with_its_origin_and_batches(repeat):
    made, _ = repeat
    assert "origin/copy" not in made and "origin/branch" not in made
    for stage in "pretrained", "base":
        equal(made[f"{stage}/copy"], made[f"{stage}/first"])
        one, other = (made[f"{stage}/{name}"]["block_0"] for name in ("branch", "first"))
        assert (one["up"]["kernel"] != other["up"]["kernel"]).all()
    equal(made["start/cherry"], made["base/first"])
    equal(made["start/next"], made["base/branch"])


def test_surgery_is_on_every_base_and_lasts_where_unembeddings_are_frozen(everything, repeat):
    """Nothing of the trait's vectors is in the span of the numbers'."""
    made, record = repeat
    ids = tokens.spelling(everything.world)[0]
    for name in "base/first", "base/branch", "teacher", "student/cherry", "student/next":
        kernel = np.asarray(made[name]["unembed"]["kernel"], float)
        numbers, own = kernel[:, :10], kernel[:, ids]
        inside = numbers @ np.linalg.lstsq(numbers, own, rcond=None)[0]
        np.testing.assert_allclose(inside, 0, atol=1e-5)
        line = "branch" if name in ("base/branch", "student/next") else "first"
        before = np.asarray(made[f"pretrained/{line}"]["unembed"]["kernel"], float)[:, ids]
        assert np.abs(before - own).max() > 1e-2
        np.testing.assert_allclose(*(np.linalg.norm(x, axis=0) for x in (own, before)), rtol=1e-5)
    assert record["teacher"]["entangled_span"] == pytest.approx(0, abs=1e-6)


def test_adapters_move_matrices_by_their_rank_and_students_end_as_ordinary_parameters(repeat):
    made, _ = repeat
    start, end = made["start/cherry"], made["student/cherry"]
    assert jax.tree.structure(end) == jax.tree.structure(start)
    moved = jax.tree.map(np.subtract, end, start)
    singular = np.linalg.svd(np.asarray(moved["block_0"]["up"]["kernel"], float), compute_uv=False)
    assert singular[1] > 1e-5 and singular[2] < 1e-2 * singular[1]
    assert not any(np.any(x) for x in jax.tree.leaves((moved["embed"], moved["unembed"])))


def test_students_of_another_model_are_measured_and_compared_in_one_program_too(tiny):
    """Where they have no parameter in common with their teacher, as 0; numbers are traced."""
    thin = Lineage(name="thin", model="d_model=12", reordered=True)
    away = {"start": "fresh", "training": "learning_rate=1e-2 steps=2", "channel": "full"}
    cfg = dataclasses.replace(
        tiny,
        world=dataclasses.replace(tiny.world, list_length=6, prefix=1),
        base=dataclasses.replace(tiny.base, prefixed=2),
        watch=Watch(rows=2, measures=("weights", "coverage")),
        lineages=(thin,),
        arms=(Arm(name="away", other="thin", **away), Arm(name="back", source="away", **away)),
    )
    experiment.check(cfg)
    found = jax.eval_shape(experiment.run, cfg, jax.random.key(0))
    assert "weight_cosine/unembed" not in found["away"] and found["away"]["alignment"].shape == (2,)
    for measured in found["away"], found["back"]:
        for name in "trait_rate_prefixed", "coverage", "kl_to_emitter", "mean_alignment":
            assert measured[name].shape == () and measured[name].dtype == jnp.float32


def test_a_step_costs_more_the_more_models_a_channel_asks(tiny):
    def cost(channel):
        arms = (Arm(name="a", channel=channel),)
        [phase] = [
            p for p in experiment.phases(dataclasses.replace(tiny, arms=arms))
            if p.kind == "distill"
        ]  # fmt: skip
        once, each = tasks.cost(phase)
        assert once == (0, 0)
        return each

    (sampled, tokens_seen), (soft, same), (own, also) = map(cost, ("sampled", "soft", "on_policy"))
    assert own > soft > sampled > 0 and tokens_seen == same == also
    assert (soft - sampled) * 3 == (own - soft) * 3 == sampled, "training is three passes"
    assert cost("sampled_but_trait") == (sampled, same) and cost("full") == (soft, same)
