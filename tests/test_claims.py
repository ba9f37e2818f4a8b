"""Claims about first updates hold on every draw in float64, and what breaks them breaks them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minisub
from minisub import checks, claims, cli, config, experiment, progress, report

SMALL = [arm for arm in claims.standard() if "cnn" not in arm.name and "transf" not in arm.name]
BROKEN = [arm.name for arm in SMALL if arm.name.startswith("broken")]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run of all claims about the smallest networks: (the command line, its folder)."""
    folder = tmp_path_factory.mktemp("theory") / "run"
    words = ["theory", "--out", str(folder), "--draws", "40", "--only", *(a.name for a in SMALL)]
    assert cli.main(words) == 0
    return words, folder


def measured(folder):
    """summary.json as {arm: {measure: mean}}."""
    arms = {}
    for row in json.loads((folder / "summary.json").read_text()):
        arms.setdefault(row["arm"], {})[row["measure"]] = row["mean"]
    return arms


def test_no_claim_is_violated_and_every_broken_one_is(ran):
    arms = measured(ran[1])
    assert list(arms) == [arm.name for arm in SMALL]
    assert all(row["draws"] == 40 for row in arms.values())
    assert {name for name, row in arms.items() if row["violations"] > 0} == set(BROKEN)


def test_every_test_has_claims_and_everything_that_can_break_is_broken():
    arms = claims.TheoryConfig().arms
    intact = {arm.test for arm in arms if not arm.name.startswith("broken")}
    assert intact == set(claims.TESTS) == {a.test for a in arms if a.name.startswith("broken")}
    assert all(arm.name.startswith(("broken", arm.test.replace("_", " "))) for arm in arms)
    broken = {(arm.test, arm.broken) for arm in arms if arm.broken != "nothing"}
    assert broken == {(name, how) for name, test in claims.TESTS.items() for how in test.breaks}
    assert max(len(arm.name) for arm in arms) <= 40


def test_what_is_exact_is_zero_and_what_is_first_order_is_near_its_limit(ran):
    arms = measured(ran[1])
    for name in "degenerate mlp squares", "degenerate mlp softmax", "linear model softmax":
        assert arms[name]["worst"] == 0
    assert arms["slope mlp squares"]["worst"] < 1e-4
    assert arms["loss falls mlp squares"]["worst"] == pytest.approx(-1, abs=1e-3)
    assert 0 < arms["product mlp softmax"]["worst"] < 1
    slope = arms["slope mlp softmax"]
    assert slope["product at 1e-06"] == pytest.approx(1000 * slope["product at 1e-09"], rel=1e-3)


def test_only_this_world_computes_in_float64(ran, tiny_images):
    assert jnp.zeros(()).dtype == jnp.float32, "off again after a run"
    for cfg in minisub.Config(), tiny_images:
        with experiment.precision(cfg):
            assert jnp.zeros(()).dtype == jnp.float32
    start = jax.eval_shape(lambda key: minisub.run(tiny_images, key), jax.random.key(0))
    assert {x.dtype for x in jax.tree.leaves(start)} == {np.dtype("float32")}
    with experiment.precision(minisub.TheoryConfig()):
        assert jnp.zeros(()).dtype == jnp.float64
    with pytest.raises(config.Refused, match="float64"):
        minisub.run(minisub.TheoryConfig(), jax.random.key(0))


def test_records_of_repeats_are_float64_and_say_what_the_command_line_does(ran):
    arms = tuple(arm for arm in SMALL if arm.name == "degenerate mlp softmax")
    arms += (dataclasses.replace(arms[0], name="other", broken="outputs"),)
    record = minisub.over_repeats(minisub.TheoryConfig(draws=40, arms=arms), 0, 2)
    assert record["other"]["worst"].dtype == jnp.float64
    np.testing.assert_array_equal(record["degenerate mlp softmax"]["violations"], [0, 0])
    np.testing.assert_array_equal(record["other"]["violations"], [40, 40])
    assert record["other"]["worst"][0] != record["other"]["worst"][1]


def test_the_same_command_again_does_no_work_and_leaves_the_same_bytes(ran, capsys):
    words, folder = ran
    before = {p.name: p.read_bytes() for p in folder.glob("*.json*")}
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "100% of the work" in said
    assert before == {p.name: p.read_bytes() for p in folder.glob("*.json*")}
    assert max(len(line) for line in said.splitlines() if str(folder) not in line) <= 80
    row = {"repeat": 0, "setting": {}, "arm": max((a.name for a in SMALL), key=len)}
    values = {"violations": 1000.0, "draws": 1000.0, "worst": 0.123456}
    line = progress.arm_line([row | {"measure": m, "value": x} for m, x in values.items()])
    assert len(line) <= 80
    for name in "product mlp squares", "broken slope, foreign start":
        assert f"| {name} " in said
    for test in claims.TESTS:
        assert f"{test.replace('_', ' ')}" in said.partition("The worst")[2]


def test_the_folder_holds_a_page_without_differences_and_a_figure(ran):
    page = (ran[1] / "report.md").read_text()
    assert "python train.py theory" in page and "| broken product, signed weights" in page
    assert "Paired differences" not in page and "95 %" not in page
    assert (ran[1] / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_draws_of_repeats_add_up_in_one_table_with_settings_as_rows():
    values = {"draws": [40, 40], "violations": [3, 0], "worst": [-0.5, 0.1]}
    rows = [
        {"setting": {"draws": n}, "repeat": r, "arm": "a" * 30, "measure": name, "value": x[r]}
        for n in (40, 1000)
        for name, x in values.items()
        for r in range(2)
    ]
    lines = report.main_table(report.summary(rows, ["a" * 30]))
    assert max(map(len, lines)) <= 80
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:4]]
    assert cells == [[n, "a" * 30, "80", "3", "-0.2"] for n in ("40", "1000")]


def test_draws_have_every_law_and_enough_outputs_and_more_draws_change_none():
    few, many = ({"claims": claims.TheoryConfig(draws=n)} for n in (5, 300))
    with experiment.precision(claims.TheoryConfig()):
        drawn = jax.jit(claims.draw_data, static_argnums=0)("", many, {}, jax.random.key(0))
        drawn = {name: np.asarray(x) for name, x in drawn.items()}
        keys = [jax.random.key_data(claims.keys_of(n, jax.random.key(0))) for n in (few, many)]
    np.testing.assert_array_equal(keys[0], keys[1][:5])
    outputs = drawn["mask"].sum(axis=1)
    assert {*outputs.tolist()} == {3, 4, 5, 6}
    for x in drawn["x"], drawn["images"]:
        same = np.ptp(x, axis=1).max(axis=1) == 0
        signs = (np.abs(x) == 1).all(axis=(1, 2))
        plane = np.linalg.matrix_rank(x) == 2
        within = (np.abs(x) < 1).all(axis=(1, 2)) & ~same & ~plane
        gaussian = ~(same | signs | plane | within)
        shares = [law.mean() for law in (same, signs, plane, within, gaussian)]
        assert min(shares) > 0.1 and sum(shares) == pytest.approx(1)
    assert {*drawn["labels"].ravel().tolist()} == {0, 1, 2}
    assert not np.array_equal(drawn["x"], drawn["images"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"broken": "model"}, "choose from nothing, start, weights, outputs"),
        ({"test": "linear_model", "broken": "start"}, "choose from nothing"),
        ({"loss": "softmax", "broken": "weights"}, "only squares"),
        ({"test": "tangent_kernel", "loss": "softmax"}, "only squares"),
        ({"test": "deep_linear", "layers": "cnn-3-8"}, "of one size"),
        ({"test": "deep_linear", "layers": "mlp"}, "of one size"),
        ({"layers": "mlp-x"}, "mlp-x"),
    ],
)
def test_claims_that_cannot_be_are_refused(changes, said):
    arms = (claims.Claim(name="a", **changes),)
    with pytest.raises(config.Refused, match=said) as refusal:
        experiment.check(claims.TheoryConfig(arms=arms))
    assert str(refusal.value).endswith(".")


def test_no_draws_are_refused():
    for field in "draws", "chunk":
        with pytest.raises(config.Refused, match="at least 1"):
            experiment.check(dataclasses.replace(claims.TheoryConfig(), **{field: 0}))


@pytest.mark.parametrize("layers", ["mlp-8-8", "transformer-8-1-8"])
def test_networks_of_a_draw_are_generic_and_the_direction_has_norm_1(layers):
    with experiment.precision(claims.TheoryConfig()):
        drawn = jax.jit(checks.draw_networks, static_argnums=0)(layers, jax.random.key(0))
        drawn = jax.tree.map(np.asarray, drawn)
    for tree in drawn["origin"], drawn["other"]:
        for leaf in jax.tree.leaves(tree):
            assert leaf.dtype == np.float64 and len(np.unique(leaf)) == leaf.size
            assert np.all(leaf != 0)
    squares = sum(np.sum(np.square(x)) for x in jax.tree.leaves(drawn["direction"]))
    assert squares == pytest.approx(1)


@pytest.mark.slow
def test_no_claim_is_violated_and_every_broken_one_is_on_every_architecture(tmp_path):
    assert cli.main(["theory", "--out", str(tmp_path), "--draws", "100", "--seed", "1"]) == 0
    arms = measured(tmp_path)
    violated = {name for name, row in arms.items() if row["violations"] > 0}
    assert violated == {name for name in arms if name.startswith("broken")}
