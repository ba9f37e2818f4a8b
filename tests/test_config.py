"""Configurations: what is traced, what is static, and what is refused."""

import dataclasses

import jax
import pytest

from minisub import config, experiment
from minisub.config import Training
from minisub.image_config import ImageArm, ImageConfig
from minisub.token_config import Arm, Config, Lineage, Source


def test_real_numbers_and_step_counts_are_leaves_and_all_else_is_static():
    training = Training(steps=7, learning_rate=0.5, weight_decay=0.25)
    leaves, structure = jax.tree.flatten(training)
    assert sorted(leaves) == [0.25, 0.5, 7, 16.0]
    other = Training(steps=8, learning_rate=0.1, weight_decay=0.0)
    assert structure == jax.tree.structure(other)
    for static in {"batch": 2}, {"frozen": ()}, {"undecayed": ("bias",)}, {"optimizer": "sgd"}:
        assert structure != jax.tree.structure(dataclasses.replace(training, **static))


def test_a_program_compiled_for_one_learning_rate_serves_another():
    traces = []

    @jax.jit
    def rate(cfg):
        traces.append(1)
        return cfg.student.learning_rate * cfg.student.steps

    for steps, learning_rate in (10, 0.5), (20, 0.25):
        student = Training(steps=steps, learning_rate=learning_rate)
        assert rate(Config(student=student)) == 5.0
    assert len(traces) == 1


def test_configs_are_frozen_and_hashable():
    assert hash(Config()) == hash(Config())
    assert hash(ImageConfig()) == hash(ImageConfig())
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().trait = "wolf"


def test_leaves_name_every_field_once_and_arms_by_name():
    leaves = config.leaves(Config())
    assert leaves["student.steps"] == Config().student.steps
    assert leaves["arms.control.source"] == "base"
    changed = dataclasses.replace(Config(), trait="wolf")
    assert {k for k, v in config.leaves(changed).items() if v != leaves[k]} == {"trait"}


def changed(cfg, field, value):
    """`cfg` with the dotted `field` replaced."""
    head, _, rest = field.partition(".")
    value = changed(getattr(cfg, head), rest, value) if rest else value
    return dataclasses.replace(cfg, **{head: value})


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model.d_model", 66, "4 heads do not divide"),
        ("model.n_layers", 0, "at least 1"),
        ("student.learning_rate", float("nan"), "positive number"),
        ("student.learning_rate", -1.0, "positive number"),
        ("student.learning_rate", 0.0, "positive number"),
        ("student.weight_decay", -1.0, "at least 0"),
        ("student.weight_decay", float("inf"), "at least 0"),
        ("student.batch", 0, "at least 1"),
        ("sampling.temperature", -1.0, "at least 0"),
        ("sampling.top_p", 1.5, "at most 1"),
        ("sampling.prompt_numbers", 12, "choose fewer"),
        ("taught_phrasings", 8, "held out"),
        ("trait", "dragon", "choose from owl"),
        ("world.animals", 17, "at most 16"),
        ("world.attributes", 3, "raise world.attributes"),
        ("arms", (), "no arms"),
        ("arms", (Arm(name="a"), Arm(name="a")), "one name"),
        ("arms", (Arm(name="a", start="nowhere"),), "arms.a.start"),
        ("arms", (Arm(name="a", channel="smoke"),), "arms.a.channel"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(field, value, said):
    with pytest.raises(config.Refused, match=said) as refusal:
        experiment.check(changed(Config(), field, value))
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


THIN = Lineage(name="thin", model="d_model=32")


def arms(*fields):
    """Arms a, b, ... with these fields."""
    return {"arms": tuple(Arm(name=name, **own) for name, own in zip("abc", fields, strict=False))}


def line(**fields):
    return {"lineages": (THIN, Lineage(name="third", **fields))}


def source(**fields):
    return {"sources": (Source(**{"name": "s"} | fields),)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (arms({"source": "nobody"}), r"arms\.a\.source is 'nobody'; choose from"),
        (arms({"source": "b"}, {}), r"arms\.a\.source is 'b'; choose from"),
        (arms({"other": "third"}), r"arms\.a\.other is 'third'; choose from first, second\."),
        (arms({"transform": "burnt"}), r"arms\.a\.transform is 'burnt'; choose from none"),
        (arms({"control": "b"}, {}), r"arms\.a\.control is 'b'"),
        (arms({"clean": 1.5}), r"arms\.a\.clean is 1\.5"),
        (arms({"clean": -0.5}), r"arms\.a\.clean is -0\.5"),
        (arms({"training": "ranks=2"}), "'ranks=2' changes no field; choose from optimizer"),
        (arms({"training": "rank=two"}), "'rank=two' must give rank a value of type int"),
        (arms({"training": "rank=2.5"}), "'rank=2.5' must give rank a value of type int"),
        (arms({"training": "optimizer=adamm"}), "'optimizer=adamm': choose from adam"),
        (arms({"training": "learning_rate=nan"}), r"arms\.a\.training\.learning_rate is nan"),
        (arms({"training": "frozen=blok_0"}), "in 'blok_0'; choose from block_0"),
        (arms({"training": "rank=2"}) | {"watch.rows": 3}, r"arms\.a trains adapters"),
        (arms({"training": "rank=2", "removed": "gradient"}), r"arms\.a trains adapters"),
        (arms({"linear": True, "channel": "on_policy"}), r"arms\.a is linear"),
        (arms({"transform": "sorted", "channel": "on_policy"}), r"arms\.a\.transform is 'sorted'"),
        (arms({"linear": True}, {"source": "a"}), r"arms\.b\.source is 'a', and a linear"),
        (arms({"linear": True}, {"control": "a"}), r"arms\.b\.control is 'a'"),
        (
            arms({}, {"start": "fresh", "other": "thin", "control": "a"}) | line(),
            r"arms\.b\.control is 'a', a student of another model",
        ),
        (arms({"start": "rotated", "other": "thin"}) | line(), r"arms\.a\.start is 'rotated'"),
        (
            arms({"start": "fresh", "other": "thin", "layers": ("block_0",)}) | line(),
            r"arms\.a\.start is 'fresh'",
        ),
        (line(origin="fourth"), r"lineages\.third\.origin is 'fourth'; choose from first"),
        (line(origin="thin"), r"lineages\.third\.origin is 'thin', whose model is another"),
        (
            {"lineages": (Lineage(name="one", origin="first"), Lineage(name="two", origin="one"))},
            r"lineages\.two\.origin is 'one'; choose from first, second\.",
        ),
        (line(reordered=True) | {"base.steps": 2 * 10007}, r"lineages\.third is reordered"),
        (line(reordered=True, shared_steps=10007) | {"base.steps": 20000}, "is reordered"),
        (line(model="n_heads=7"), "7 heads do not divide"),
        (line(model="heads=7"), "'heads=7' changes no field"),
        ({"lineages": (Lineage(name="second"),)}, r"named \['second'\]"),
        (source(lineage="third"), r"sources\.s\.lineage is 'third'; choose from first, second\."),
        (source(trait="dragon"), r"sources\.s\.trait is 'dragon'; choose from owl"),
        (source(teaching="steps=1.5"), "'steps=1.5' must give steps a value of type int"),
        (source(teaching="steps=-1"), r"sources\.s\.teaching\.steps is -1"),
        (source(teaching="frozen=blok_0"), "in 'blok_0'; choose from block_0"),
        (source(sampling="top_p=1.5"), r"sampling\.top_p is 1\.5"),
        (source(sampling="prompt_numbers=12"), r"sampling\.prompt_numbers is 12"),
        (source(name="teacher"), r"named \['teacher'\]"),
        (source(name="base second"), r"named \['base second'\]"),
        (source(name="a") | arms({}), r"named \['a'\]"),
        ({"world.syllables": 3}, r"world\.syllables is 3"),
        ({"world.trees": 9}, r"world\.trees is 9"),
        ({"world.attributes": 5, "world.trees": 1}, "cannot tell 11 animals and trees apart"),
        ({"world.prefix": 9, "base.prefixed": 8}, r"lower world\.prefix"),
        ({"world.prefix": 9, "watch.measures": ("entanglement",)}, r"lower world\.prefix"),
        ({"surgery": "orthogonal"}, "100 number rows span all of 64"),
        (
            {"surgery": "as_much", "world.numbers": 40, "world.max_step": 5} | line(),
            "40 number rows span all of 32",
        ),
        ({"graded": ("wolf", "dragon")}, "graded is 'dragon'; choose from owl"),
        ({"rivals": ("dragon",)} | arms({"transform": "divergent"}), "rivals is 'dragon'"),
        ({"rivals": ("owl",)} | arms({"transform": "divergent"}), "rivals holds 'owl'"),
        ({"watch.measures": ("lens",), "world.syllables": 2}, r"world\.syllables at 1"),
        (
            line(model="n_layers=1") | {"steering.kind": "random", "steering.layer": "block_1"},
            r"steering\.layer is 'block_1'; choose from block_0\.",
        ),
        ({"base.frozen": ("blok_0",)}, "in 'blok_0'; choose from block_0"),
    ],
)
def test_what_cannot_be_of_lineages_sources_and_arms_is_refused_and_named(changes, said):
    cfg = Config()
    for field, value in changes.items():
        cfg = changed(cfg, field, value)
    with pytest.raises(config.Refused, match=said) as refusal:
        experiment.check(cfg)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)


def test_what_is_not_asked_for_is_not_refused():
    """Rivals that no transform asks for, prefixes that no question has, a tree that is graded."""
    cfg = changed(changed(Config(), "rivals", ("dragon",)), "world.prefix", 11)
    experiment.check(cfg)
    trees = changed(changed(cfg, "world.trees", 2), "graded", ("cherry",))
    alike = arms(
        {"start": "fresh", "linear": True}, {"start": "fresh", "linear": True, "control": "a"}
    )
    experiment.check(dataclasses.replace(trees, **alike))


def test_a_text_changes_the_fields_it_names_to_values_of_their_types():
    """Also where the present values are traced."""
    text = "steps=7 learning_rate=1e-2 optimizer=sgd frozen=embed,block_0 weight_noise=0.5"
    expected = Training(
        steps=7, learning_rate=0.01, optimizer="sgd", frozen=("embed", "block_0"), weight_noise=0.5
    )
    assert config.changed(Training(), text) == expected
    assert config.changed(Training(), "frozen=") == Training(frozen=())
    assert config.changed(Config().model, "tied=true").tied is True
    assert config.changed(Training(), "") == Training()
    found = jax.eval_shape(lambda cfg: config.changed(cfg, text), Training(steps=3))
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    assert jax.tree.leaves(jax.jit(lambda cfg: config.changed(cfg, text))(Training(steps=3))) == (
        jax.tree.leaves(expected)
    )


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("student.learning_rate", 0.0, "positive number"),
        ("carrier.scale", 0.0, "positive number"),
        ("carrier.examples", -1, "at least 0"),
        ("arms", (), "no arms"),
        ("arms", (ImageArm(name="a"), ImageArm(name="a")), "one name"),
    ],
)
def test_what_cannot_be_with_images_is_refused_too(field, value, said):
    with pytest.raises(config.Refused, match=said):
        experiment.check(changed(ImageConfig(), field, value))


def test_students_of_another_width_have_no_hidden_layer_to_align():
    arms = (ImageArm(name="a", model="mlp-256-128"),)
    cfg = changed(ImageConfig(), "arms", arms)
    experiment.check(cfg)
    with pytest.raises(config.Refused, match=r"arms\.a and its teacher have"):
        experiment.check(changed(cfg, "imitation.hidden", True))


@pytest.mark.parametrize(
    ("cfg", "field", "zero"),
    [
        (Config(), "teacher.steps", 0),
        (Config(), "student.weight_decay", 0.0),
        (ImageConfig(), "teacher.length", 0.0),
        (ImageConfig(), "imitation.noise", 0.0),
        (ImageConfig(), "carrier.examples", 0),
    ],
)
def test_what_may_be_nothing_may_be_zero(cfg, field, zero):
    experiment.check(changed(cfg, field, zero))
