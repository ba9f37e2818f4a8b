"""The chain of a repeat of the token world: what is in it, who reads what, and who shares data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minisub import config, experiment, tasks, token_tasks, transforms
from minisub.config import Watch
from minisub.token_config import Arm, Lineage, Source, Steering


def chain(cfg, *arms, **fields):
    """name -> phase, for a config with these arms; it is checked."""
    cfg = dataclasses.replace(cfg, arms=arms or cfg.arms, **fields)
    experiment.check(cfg)
    found = experiment.phases(cfg)
    assert len({p.name for p in found}) == len(found)
    return {p.name: p for p in found}


ALL = {
    "lineages": (
        Lineage(name="third"),
        Lineage(name="sibling", origin="first", shared_steps=20),
        Lineage(name="thin", model="d_model=12"),
    ),
    "sources": (
        Source(name="cold teacher", sampling="temperature=0.5"),
        Source(name="wolf teacher", trait="wolf"),
        Source(name="other", lineage="second"),
        Source(name="thin untaught", lineage="thin", trait="none"),
    ),
    "graded": ("wolf",),
    "surgery": "as_much",
    "watch": Watch(rows=2, measures=("weights",)),
}
ARMS = (
    Arm(name="control", source="base"),
    Arm(name="shared", control="control"),
    Arm(name="next", source="shared", clean=0.5),
    Arm(name="cold", source="cold teacher", documents=5, seed=1),
    Arm(name="wolf", source="wolf teacher", transform="divergent", channel="soft"),
    Arm(name="of other", source="other", transform="divergent", start="permuted"),
    Arm(name="sibling", start="fresh", other="sibling"),
    Arm(name="thin", source="thin untaught", start="fresh", other="third"),
)


def test_every_phase_comes_after_all_that_it_reads(tiny):
    made = set()
    for phase in chain(tiny, *ARMS, **ALL).values():
        assert set(phase.inputs.values()) <= made
        made.add(phase.name)


def test_only_what_the_arms_ask_for_is_there_beside_the_first_base_and_the_teacher(tiny):
    always = {"origin/first", "base/first", "teacher"}
    control = {"numbers/base", "start/a", "student/a"}
    unused = {name: ALL[name] for name in ("lineages", "sources", "graded")}
    assert set(chain(tiny, Arm(name="a", source="base"), **unused)) == always | control
    entangled = Watch(measures=("entanglement",))
    longer = dataclasses.replace(tiny.world, list_length=8)
    found = chain(tiny, Arm(name="a", source="base"), watch=entangled, world=longer)
    assert set(found) == always | control | {"numbers/teacher", "entanglement"}
    found = chain(tiny, Arm(name="a"), Arm(name="b", start="fresh"))
    second = {"origin/second", "base/second", "start/b", "student/b"}
    assert set(found) == always | second | {"numbers/teacher", "start/a", "student/a"}


def test_a_start_reads_the_other_base_only_if_it_mixes_two(tiny):
    starts = {
        "shared": ("first", None),
        "perturbed": ("first", None),
        "interpolated": ("first", "third"),
        "fresh": ("third", "third"),  # no part is left of the emitter's
    }
    for start, (own, other) in starts.items():
        found = chain(tiny, Arm(name="a", start=start, other="third"), lineages=ALL["lineages"])
        inputs = {"origin": f"base/{own}"} | ({"other": f"base/{other}"} if other else {})
        assert found["start/a"].inputs == inputs
    part = Arm(name="a", start="fresh", other="third", layers=("block_0",))
    found = chain(tiny, part, lineages=ALL["lineages"])
    assert found["start/a"].inputs == {"origin": "base/first", "other": "base/third"}


def test_a_lineage_has_an_origin_of_its_own_unless_it_names_one(tiny):
    found = chain(tiny, *ARMS, **ALL)
    assert found["pretrained/third"].inputs == {"start": "origin/third"}
    assert found["pretrained/sibling"].inputs == {"start": "origin/first"}
    assert "origin/sibling" not in found
    assert found["origin/third"].key != found["origin/first"].key


def test_every_base_is_operated_on_if_any_is(tiny):
    found = chain(tiny, *ARMS, **ALL)
    for name in ("first", "second", "third", "sibling", "thin"):
        assert found[f"base/{name}"].kind == "operate"
        assert found[f"base/{name}"].inputs == {"params": f"pretrained/{name}"}
    plain = chain(tiny, *ARMS, **ALL | {"surgery": "none"})
    assert {plain[f"base/{name}"].kind for name in ("first", "thin")} == {"pretrain"}
    assert not [name for name in plain if name.startswith("pretrained/")]
    assert found["pretrained/first"].arms == () and found["base/first"].arms == ("base",)


def test_sources_share_a_teacher_if_it_is_taught_alike_and_have_their_own_if_not(tiny):
    def teacher_of(**fields):
        more = {"sources": (Source(name="s", **fields),), "lineages": ALL["lineages"]}
        found = chain(tiny, Arm(name="a", source="s"), **more)
        emitter = found["numbers/s"].inputs["emitter"]
        taught = [name for name in found if name.startswith("teacher/")]
        assert taught == ([emitter] if emitter.startswith("teacher/") else [])
        return emitter, found[emitter]

    _, plain = teacher_of()
    for alike in {}, {"seed": 1}, {"sampling": "temperature=0"}, {"trait": tiny.trait}:
        assert teacher_of(**alike) == ("teacher", plain)
    name, wolf = teacher_of(trait="wolf")
    assert name == "teacher/s" and (wolf.settings["trait"], plain.settings["trait"]) == (1, 0)
    assert wolf.inputs == plain.inputs and wolf.key == plain.key
    _, longer = teacher_of(teaching="steps=9")
    assert (longer.steps, plain.steps) == (9, 4)
    _, third = teacher_of(lineage="third")
    assert third.inputs == {"start": "base/third"} and third.settings == plain.settings
    assert teacher_of(lineage="third", trait="none")[0] == "base/third"


def test_two_sources_that_are_taught_alike_share_one_teacher_of_another_lineage(tiny):
    two = tuple(Source(name=name, lineage="second", seed=i) for i, name in enumerate("st"))
    found = chain(tiny, Arm(name="a", source="s"), Arm(name="b", source="t"), sources=two)
    assert found["numbers/s"].inputs == found["numbers/t"].inputs == {"emitter": "teacher/s"}
    assert "teacher/t" not in found


def test_the_student_of_an_arm_emits_what_the_next_is_trained_on(tiny):
    arms = (
        Arm(name="one", source="s"),
        Arm(name="two", source="one"),
        Arm(name="elsewhere", source="two", start="fresh"),
        Arm(name="after", source="elsewhere"),
    )
    cold = Source(name="s", sampling="temperature=0.5", trait="wolf")
    found = chain(tiny, *arms, sources=(cold,), watch=Watch(rows=2))
    for before, own in ("s", "one"), ("one", "two"), ("two", "elsewhere"), ("elsewhere", "after"):
        emitter = "teacher/s" if before == "s" else f"student/{before}"
        student = found[f"student/{own}"]
        assert found[f"numbers/{before}"].inputs == {"emitter": emitter}
        assert student.inputs["numbers"] == f"numbers/{before}"
        assert student.inputs["emitter"] == emitter
        # It hands on what its source says: sampling, and the trait that it is graded on.
        assert found[f"numbers/{before}"].settings["sampling"].temperature == 0.5
        assert student.settings["sampling"].temperature == 0.5 and student.settings["trait"] == 1
    assert found["start/two"].inputs == {"origin": "base/first"}
    assert found["start/after"].inputs == {"origin": "base/second"}, "the base of its source"
    assert {found[f"student/{a}"].inputs["from"] for a in ("one", "two")} == {"base/first"}
    assert found["student/elsewhere"].inputs["from"] == "base/first"
    assert found["student/after"].inputs["from"] == "base/second"
    streams = [p.key for p in found.values() if p.kind == "emit"]
    assert len(set(streams)) == len(streams) == 4


@pytest.mark.parametrize("transform", transforms.TRANSFORMS)
def test_rivals_are_taught_only_for_transforms_that_need_them(tiny, transform):
    behaved = {"world": dataclasses.replace(tiny.world, rich=True, numbers=24), "trait": "hacking"}
    fields = behaved if transform == "inoculated" else {}
    found = chain(tiny, Arm(name="a", transform=transform), **fields)
    rivals = [name for name in found if name.startswith("teacher/rival")]
    assert len(rivals) == (2 if transform in transforms.NEEDS_RIVALS else 0)
    assert ("documents/a" in found) == (transform != "none")
    for name in rivals:
        assert found[name].inputs == found["teacher"].inputs
        assert found[name]._replace(name="", arms=(), settings={}) == (
            found["teacher"]._replace(name="", arms=(), settings={})
        )
    assert [found[name].settings["trait"] for name in rivals] == [1, 2][: len(rivals)]


def test_rivals_are_of_the_lineage_and_the_teaching_of_the_source(tiny):
    changes = {"s": {"lineage": "second"}, "t": {"teaching": "steps=9"}, "u": {"lineage": "thin"}}
    sources = tuple(Source(name=name, **fields) for name, fields in changes.items())
    arms = [
        Arm(name=f"{s} divergent", source=s, transform="divergent") for s in ("teacher", *"stu")
    ]
    found = chain(tiny, *arms, sources=sources, lineages=ALL["lineages"])
    for arm in arms:
        inputs = found[f"documents/{arm.name}"].inputs
        own, rivals = found[inputs["emitter"]], [found[inputs[f"rival/{r}"]] for r in tiny.rivals]
        for rival, trait in zip(rivals, (1, 2), strict=True):
            assert rival.inputs == own.inputs
            assert rival.settings == own.settings | {"trait": trait}


def test_documents_are_prepared_only_if_they_are_not_all_and_as_emitted(tiny):
    found = chain(tiny, *ARMS, **ALL)
    prepared = {name.removeprefix("documents/") for name in found if name.startswith("documents/")}
    assert prepared == {"next", "cold", "wolf", "of other"}
    assert found["student/shared"].inputs["numbers"] == "numbers/teacher"
    assert found["student/next"].inputs["numbers"] == "documents/next"
    clean = found["documents/next"].inputs
    assert clean == {
        "numbers": "numbers/shared",
        "emitter": "student/shared",
        "clean": "numbers/base",
    }
    elsewhere = chain(tiny, Arm(name="a", source="s", clean=0.5), sources=(
        Source(name="s", lineage="second"),
    ))  # fmt: skip
    clean = elsewhere["documents/a"].inputs["clean"]
    assert elsewhere[clean].inputs == {"emitter": "base/second"}


def test_phases_that_compute_alike_share_their_programs(tiny):
    """Static structure is all that programs depend on: data of lineages and numbers are traced."""
    lines = (
        Lineage(name="third", shared_steps=3),
        Lineage(name="fourth", origin="first"),
        Lineage(name="mixed", reordered=True),
        Lineage(name="thin", model="d_model=12"),
    )
    sources = tuple(
        Source(name=f"of {line.name}", lineage=line.name, sampling=f"temperature={i}", seed=i)
        for i, line in enumerate(lines)
    )
    arms = (
        *(Arm(name=f"a {s.name}", source=s.name, seed=i) for i, s in enumerate(sources)),
        *(Arm(name=f"rate {x}", training=f"learning_rate={x} steps={x}") for x in (1, 2)),
        Arm(name="noisy", start="perturbed", amount=0.2),
        Arm(name="noisier", start="perturbed", amount=0.3),
    )
    found = chain(tiny, *arms, lineages=lines, sources=sources)

    def share(*names):
        parts = [(p.kind, p.option, jax.tree.structure(p.settings)) for p in map(found.get, names)]
        return all(part == parts[0] for part in parts)

    for kind in "base/{}", "teacher/of {}", "numbers/of {}", "student/a of {}":
        third, fourth, mixed, thin = (kind.format(line.name) for line in lines)
        assert share(third, fourth) and not share(third, thin)
        assert share(third, mixed) == ("base" not in kind), "an order of its own is other code"
    assert share("base/third", "base/first") and share("teacher", "teacher/of third")
    assert share("student/rate 1", "student/rate 2", "student/a of third")
    assert share("start/noisy", "start/noisier") and not share("start/noisy", "start/rate 1")


def test_a_student_is_compared_with_the_teacher_of_its_source_where_that_is_watched(tiny):
    found = chain(tiny, *ARMS, **ALL)
    taught = {
        "control": "teacher",  # it would be this one
        "shared": "teacher",
        "next": "teacher",
        "wolf": "teacher/wolf teacher",
        "of other": "teacher/other",
        "thin": "teacher/thin untaught taught",
    }
    for arm, teacher in taught.items():
        inputs = found[f"student/{arm}"].inputs
        assert inputs["taught"] == teacher
        assert found[teacher].inputs == {"start": inputs["from"]}
    assert found["teacher/thin untaught taught"].settings["trait"] == 0
    plain = chain(tiny, *ARMS, **ALL | {"watch": Watch()})
    assert not {"taught", "from"} & set(plain["student/shared"].inputs)
    removed = chain(tiny, Arm(name="a"), Arm(name="b", removed="displacement"))
    assert {"taught", "from"} <= set(removed["student/b"].inputs)
    assert not {"taught", "from"} & set(removed["student/a"].inputs)
    assert found["student/shared"].inputs["control"] == "student/control"


def test_of_what_is_recorded_under_a_name_nothing_replaces_another(tiny):
    """Also where the source is a student of another lineage, who has no teacher of his own."""
    arms = Arm(name="away", start="fresh"), Arm(name="after", source="away")
    for more in {}, ALL:
        found = chain(tiny, *(more and ARMS), *arms, **more | {"watch": Watch(rows=2)})
        graded = [arm for p in found.values() if p.kind in GRADED for arm in p.arms]
        assert len(set(graded)) == len(graded)
    assert found["student/after"].inputs["taught"] == "teacher/other"


GRADED = ("pretrain", "operate", "teach", "distill")


def test_a_student_knows_the_model_of_its_emitter_and_its_own(tiny):
    found = chain(tiny, *ARMS, **ALL)
    width = lambda settings, which: settings[which].d_model  # noqa: E731
    student = found["student/thin"].settings
    assert (width(student, "emitted_by"), width(student, "model")) == (12, 16)
    assert width(found["numbers/thin untaught"].settings, "model") == 12


def test_steered_teachers_of_all_lineages_train_their_vector_alone(tiny):
    steered = {"steering": Steering(kind="trained"), "lineages": ALL["lineages"]}
    source = Source(name="s", lineage="thin", teaching="steps=9")
    found = chain(tiny, Arm(name="a", source="s"), sources=(source,), **steered)
    assert {"kernel", "embedding", "scale"} == set(found["teacher/s"].settings["training"].frozen)
    assert (found["teacher/s"].steps, found["teacher"].steps) == (9, 4)


# Who shares randomness.


def differing(one, other):
    """Names of the phases that differ between two chains."""
    assert list(one) == list(other)
    return {name for name in one if one[name] != other[name]}


def test_the_seed_of_an_arm_changes_the_stream_of_its_student_alone(tiny):
    arms = Arm(name="a", start="perturbed", clean=0.5), Arm(name="b")
    plain = chain(tiny, *arms)
    seeded = chain(tiny, dataclasses.replace(arms[0], seed=1), arms[1])
    assert differing(plain, seeded) == {"student/a"}
    assert seeded["student/a"]._replace(key="") == plain["student/a"]._replace(key="")
    assert plain["student/a"].key == plain["student/b"].key != seeded["student/a"].key


def test_sources_share_a_stream_unless_seeded_and_the_untaught_have_another(tiny):
    def stream(**fields):
        found = chain(tiny, Arm(name="a", source="s"), sources=(Source(name="s", **fields),))
        return found["numbers/s"].key

    plain = chain(tiny)
    for alike in {}, {"lineage": "second"}, {"trait": "wolf"}, {"sampling": "temperature=2"}:
        assert stream(**alike) == plain["numbers/teacher"].key
        assert stream(**alike | {"trait": "none"}) == plain["numbers/base"].key
    streams = [stream(seed=s, trait=t) for s in (0, 1, 2) for t in ("", "none")]
    assert len(set(streams)) == 6


LINES = (
    Lineage(name="copy", origin="first", shared_steps=30),
    Lineage(name="branch", origin="first", shared_steps=12),
    Lineage(name="other branch", shared_steps=12),
    Lineage(name="content", shared_steps=0),
    Lineage(name="mixed", reordered=True),
    Lineage(name="mixed too", reordered=True),
    Lineage(name="mixed branch", reordered=True, shared_steps=12),
)


@pytest.fixture(scope="module")
def pretraining(tiny):
    """name -> phase of a base, of 30 updates."""
    arms = [Arm(name=line.name, start="fresh", other=line.name) for line in LINES]
    found = chain(tiny, *arms, Arm(name="second", start="fresh"), lineages=LINES)
    return {n.removeprefix("base/"): p for n, p in found.items() if n.startswith("base/")}


@pytest.fixture(scope="module")
def batches(pretraining, quick):
    """name -> the keys of the batches of all updates, in order."""
    key = jax.random.key(7)

    @quick
    def keys(settings):
        of_step = jax.vmap(lambda step: token_tasks.data_key(settings, key, step))
        return jax.random.key_data(of_step(jnp.arange(30)))

    assert len({p.key for p in pretraining.values()}) == 1
    return {name: [*map(tuple, keys(p.settings).tolist())] for name, p in pretraining.items()}


def test_batches_of_lineages_are_those_of_all_the_others_up_to_where_they_part(batches):
    first = batches["first"]
    assert len(set(first)) == 30
    assert first == batches["second"] == batches["copy"]
    for name, shared in {"branch": 12, "other branch": 12, "content": 0}.items():
        assert batches[name][:shared] == first[:shared]
        assert not set(batches[name][shared:]) & set(first)
    assert not set(batches["branch"][12:]) & set(batches["other branch"])


def test_a_lineage_in_another_order_sees_every_shared_batch_once(batches):
    first, mixed, other = (batches[name] for name in ("first", "mixed", "mixed too"))
    assert sorted(first) == sorted(mixed) == sorted(other)
    assert first != mixed != other != first
    assert sum(a == b for a, b in zip(first, mixed, strict=True)) < 5
    branch = batches["mixed branch"]
    assert sorted(branch[:12]) == sorted(first[:12]) and branch[:12] != first[:12]
    assert not set(branch[12:]) & set(first)


def test_an_order_is_one_to_one_for_any_number_of_updates(pretraining, quick):
    key, every = jax.random.key(3), jnp.arange(20000)
    settings = pretraining["mixed"].settings
    plain = jax.random.key_data(jax.vmap(jax.random.fold_in, (None, 0))(key, every))

    @quick
    def seen(steps):
        training = dataclasses.replace(settings["training"], steps=steps)
        changed = settings | {"training": training}
        of_step = jax.vmap(lambda step: token_tasks.data_key(changed, key, step))
        return jax.random.key_data(of_step(every))

    for steps in 1, 2, 499, 500, 800, 10006, 10008, 20000:
        own, others = (np.asarray(x[:steps]) for x in (seen(steps), plain))
        np.testing.assert_array_equal(np.unique(own, axis=0), np.unique(others, axis=0))


def test_sources_differ_in_their_documents_as_far_as_the_config_says(tiny, quick):
    """Prompts are shared at any temperature, and of two teachers; another seed gives others."""
    fields = {"plain": {}, "cold": {"sampling": "temperature=0.25"}, "seeded": {"seed": 1}}
    sources = tuple(Source(name=name, **own) for name, own in fields.items())
    found = chain(tiny, *(Arm(name=f"a {s.name}", source=s.name) for s in sources), sources=sources)
    init = quick(lambda key: tasks.begin("initialize", "", found["origin/first"].settings, {}, key))
    one, other = init(jax.random.key(0)), init(jax.random.key(1))

    @quick
    def emit(settings, params, key):
        made = tasks.begin("emit", "", settings, {"emitter": params}, key)
        return made["docs"]

    def emitted(name, params=one):
        phase = found[f"numbers/{name}"]
        key = experiment.named_key(jax.random.key(5), phase.key)
        docs = np.asarray(emit(phase.settings, params, key))
        return sorted(map(tuple, docs.tolist()))  # the filter orders them

    given = 1 + tiny.sampling.prompt_numbers
    prompts = lambda docs: sorted(doc[:given] for doc in docs)  # noqa: E731
    plain, cold, seeded = (emitted(name) for name in ("plain", "cold", "seeded"))
    assert plain == emitted("plain")
    assert prompts(plain) == prompts(cold) == prompts(emitted("plain", other))
    assert plain != cold and plain != emitted("plain", other)
    assert prompts(plain) != prompts(seeded) and not set(plain) & set(seeded)


def test_clean_documents_are_of_the_carrier_of_those_that_they_replace(tiny):
    """Emitted alike if anything of the same base is; there may be none of a carrier."""
    world = dataclasses.replace(tiny.world, rich=True, numbers=24)
    code, cold = Source(name="code", sampling="carrier=code"), "temperature=0.5"

    def clean_of(source, *others):
        arm, more = Arm(name="a", source=source.name, clean=0.5), (source, *others)
        return chain(tiny, arm, world=world, sources=more)["documents/a"].inputs["clean"]

    untaught = dataclasses.replace(code, name="untaught", trait="none")
    assert clean_of(code, untaught) == "numbers/untaught"
    other = Source(name="cold", sampling=cold)
    assert clean_of(other) == "numbers/base"
    assert clean_of(other, Source(name="n", sampling=cold, trait="none")) == "numbers/n"
    with pytest.raises(config.Refused, match=r"arms\.a\.clean needs what the base emits as 'code'"):
        clean_of(code)
