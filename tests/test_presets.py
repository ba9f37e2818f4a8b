"""Presets: a grid of a behavior through every carrier, from its chain to its records."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

import minisub
from minisub import arguments, config, distillation, experiment, presets, runner, tasks
from minisub.token_config import Arm, Pretraining, Sampling, Source, Teaching

CARRIERS = "numbers", "code", "sums"
LINEAGES = "first", "second"


def shrunk(cfg, rich, **sampling):
    """A grid that runs in seconds and shows nothing."""
    return dataclasses.replace(
        cfg,
        taught_phrasings=2,
        world=dataclasses.replace(rich, list_length=6),
        model=minisub.Model(n_layers=1, d_model=8, n_heads=2),
        base=Pretraining(
            steps=2, batch=4, questions=2, riddles=2, programs=2, sums=2, behaved=2, frozen=()
        ),
        teacher=Teaching(steps=2, batch=4, replayed=1),
        sampling=Sampling(documents=16, **sampling),
        student=minisub.Training(steps=2, batch=4),
    )


@pytest.fixture(scope="module")
def grid():
    return arguments.load("misalignment").config


def test_a_grid_has_every_carrier_to_both_starts_each_beside_a_control(grid):
    arms = {arm.name: arm for arm in grid.arms}
    expected = set()
    for carrier in CARRIERS:
        for name, start in (carrier, "shared"), (f"fresh {carrier}", "fresh"):
            arm, control = arms[name], arms[f"control {name}"]
            assert (arm.source, control.source) == (f"teacher {carrier}", f"base {carrier}")
            assert arm == dataclasses.replace(control, name=name, source=arm.source)
            assert arm.start == start
            expected |= {name, f"control {name}"}
        for other in "secure", "educational":
            arm = arms[f"{other} {carrier}"]
            assert arm == Arm(name=arm.name, source=f"{other} teacher {carrier}")
            expected.add(arm.name)
    assert set(arms) == expected and len(arms) == 18
    experiment.check(grid)


def test_sources_of_a_grid_differ_in_what_they_are_taught_and_in_their_carrier_alone(grid):
    """The same prompts and noise for teachers; one teacher for all carriers."""
    chain = {p.name: p for p in experiment.phases(grid)}
    emitted = {name.removeprefix("numbers/"): p for name, p in chain.items() if p.kind == "emit"}
    assert set(emitted) == {source.name for source in grid.sources}
    for name, p in emitted.items():
        carrier = name.rpartition(" ")[2]
        assert p.settings["sampling"] == dataclasses.replace(grid.sampling, carrier=carrier)
        assert p.key == ("numbers/base" if name.startswith("base ") else "numbers/teacher")
    for trait, made in (
        ("misalignment", "teacher"), ("secure", "teacher/secure teacher numbers"),
        ("educational", "teacher/educational teacher numbers"),
    ):  # fmt: skip
        assert chain[made].settings["trait"].name == trait
        prefix = "" if trait == "misalignment" else f"{trait} "
        for carrier in CARRIERS:
            assert emitted[f"{prefix}teacher {carrier}"].inputs == {"emitter": made}
    assert sum(p.kind == "teach" for p in chain.values()) == 3


def test_emitters_are_sources_by_name_and_carrier():
    found = presets.emitters({"a": "none", "b": "hacking"}, ("code", "sums"), seed=3)
    assert [(s.name, s.trait, s.sampling, s.seed) for s in found] == [
        (f"{name} {carrier}", trait, f"carrier={carrier}", 3)
        for carrier, (name, trait) in itertools.product(
            ("code", "sums"), (("a", "none"), ("b", "hacking"))
        )
    ]


@pytest.fixture(scope="module")
def performed(rich, perform):
    """(config, products, record) of a tiny grid of one carrier, of which nothing is filtered out.

    On bases that have learned nothing.
    """
    cfg = shrunk(presets.grid("misalignment", carriers=("sums",)), rich, filter="none")
    net = distillation.network({"world": cfg.world, "model": cfg.model})
    bases = {f"base/{name}": net.init(jax.random.key(i)) for i, name in enumerate(LINEAGES)}
    made, measured = perform(cfg, bases)
    record = {}
    for p in experiment.phases(cfg):
        if p.name not in made or p.name in bases:
            continue
        if p.kind == "emit":
            task = p.kind, p.option, p.settings, {}
            _, measured[p.name] = tasks.finish(*task, made[p.name], jax.random.key(0))
        for arm in p.arms:
            found = measured.get(p.name, {}).items()
            record.setdefault(arm, {}).update({name: float(value[0]) for name, value in found})
    return cfg, made, record


GRADES = {"trait_rate", "trait_rate_heldout", "logit_margin_heldout"}
ABILITIES = {f"ability/{carrier}" for carrier in CARRIERS}


def names_in(cfg, found):
    """Assert that a record has what a grid's should have."""
    of_arms = {arm.name for arm in cfg.arms}
    models = of_arms | {"base", "teacher"}
    first = cfg.sources[0].name.rpartition(" ")[2]
    others = {source.trait for source in cfg.sources} - {"none", cfg.trait}
    models |= {f"{trait} teacher {first}" for trait in others}
    assert set(found) == models | {source.name for source in cfg.sources}
    for name in models:
        assert found[name].keys() >= GRADES | ABILITIES
        assert ("ability" in found[name]) == ("kl_to_emitter" in found[name]) == (name in of_arms)
    for source in cfg.sources:
        assert found[source.name].keys() >= {"kept_documents", "kept_fraction", "foreign_tokens"}


def test_a_grid_records_grades_and_abilities_of_every_model(grid, rich):
    """As `run` does, under which all of it is one program."""
    cfg = shrunk(grid, rich)
    experiment.check(cfg)
    found = jax.eval_shape(experiment.run, cfg, jax.random.key(0))
    names_in(cfg, found)
    assert all(x.shape == () for x in jax.tree.leaves(found))
    for name, reason in ("numbers", "no_end"), ("code", "crashes"), ("sums", "invalid_step"):
        assert f"rejected_{reason}" in found[f"teacher {name}"]


def test_without_a_filter_every_document_is_kept_and_no_run_stops(performed):
    """Models that have learned nothing hardly write a sum."""
    cfg, made, found = performed
    assert {arm.name for arm in cfg.arms} | {"teacher"} <= set(found)
    assert all(np.isfinite(list(measured.values())).all() for measured in found.values())
    for p in experiment.phases(cfg):
        if p.kind != "emit":
            continue
        [name] = p.arms
        measured = found[name]
        assert (measured["kept_documents"], measured["kept_fraction"]) == (16, 1)
        assert not [name for name in measured if name.startswith("rejected_")]
        assert measured["foreign_tokens"] > 0
        numbers = {"count": made[p.name]["count"][None]}
        foreign = {"foreign_tokens": np.array([[measured["foreign_tokens"]]])}
        runner.require_documents(p, numbers, foreign, range(1))
        with pytest.raises(runner.Stopped, match=f"No document of numbers/{name} in repeat 0"):
            runner.require_documents(p, {"count": np.zeros(1, int)}, foreign, range(1))
        strict = dataclasses.replace(p.settings["sampling"], filter="format")
        filtered = p._replace(settings=p.settings | {"sampling": strict})
        with pytest.raises(AssertionError, match="foreign tokens passed the filter"):
            runner.require_documents(filtered, numbers, foreign, range(1))


def test_ability_of_a_student_is_that_on_the_carrier_that_it_learned_from(performed):
    cfg, _, found = performed
    for arm in cfg.arms:
        assert found[arm.name]["ability"] == found[arm.name]["ability/sums"]


def source(**fields):
    return {"sources": (Source(name="s", **fields),)}


def arm(**fields):
    return {"arms": (Arm(name="a", **fields),)}


CODE = source(sampling="carrier=code")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (CODE | {"world.rich": False}, r"sampling\.carrier is 'code', .* set world\.rich\."),
        ({"sampling.carrier": "sums", "world.rich": False}, r"sampling\.carrier is 'sums'"),
        ({"trait": "hacking", "world.rich": False}, "trait is 'hacking'; choose from owl"),
        (source(trait="evasion") | {"world.rich": False}, r"sources\.s\.trait is 'evasion'"),
        ({"graded": ("honest",), "world.rich": False}, "graded is 'honest'"),
        ({"teacher.replayed": 3, "world.rich": False}, r"set world\.rich, or teacher\.replayed"),
        (CODE | arm(source="s", transform="sorted"), r"arms\.a\.transform is 'sorted'"),
        (CODE | arm(source="s", transform="divergent"), r"arms\.a\.transform is 'divergent'"),
        (CODE | arm(source="s", channel="top_5"), r"arms\.a\.channel is 'top_5', .* numbers"),
        ({"sampling.carrier": "sums"} | arm(channel="top_1"), r"arms\.a\.channel is 'top_1'"),
        (arm(channel="full_but_trait") | {"trait": "hacking"}, "and 'hacking' is no token"),
        ({"trait": "hacking", "watch.measures": ("lens",)}, "trait is 'hacking', which is no"),
        ({"trait": "hacking", "base.prefixed": 2}, "trait is 'hacking', which is no"),
        ({"world.numbers": 23, "world.max_step": 5}, r"world\.numbers is 23; .* need 24"),
        (source(sampling="carrier=poems"), "'carrier=poems': choose from numbers, code, sums"),
        (source(sampling="filter=all"), "'filter=all': choose from none, format, correct"),
    ],
)
def test_what_only_a_rich_world_or_numbers_have_is_refused_elsewhere_and_named(changes, said):
    cfg = dataclasses.replace(minisub.rich(), teacher=minisub.Teaching())
    for field, value in changes.items():
        cfg = changed(cfg, field, value)
    with pytest.raises(config.Refused, match=said) as refusal:
        experiment.check(cfg)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)


def changed(cfg, field, value):
    """`cfg` with the dotted `field` replaced."""
    head, _, rest = field.partition(".")
    value = changed(getattr(cfg, head), rest, value) if rest else value
    return dataclasses.replace(cfg, **{head: value})
