"""Matrices of arms: tests that are exact where counting is, and what is shown of them."""

import itertools
import json

import numpy as np
import pytest
from scipy import stats

from minisub import figures, matrices, report

TRAITS = ["owl", "wolf", "cat", "eagle", "elephant", "dolphin", "lion", "fox", "oak", "maple"]


def row(repeat, arm, measure, value, setting=None):
    """A row of records."""
    at = {"setting": setting or {}, "repeat": repeat, "arm": arm, "measure": measure}
    return at | {"value": float(value)}


def of_pairs(values, names, setting=None):
    """Records of students named after teachers, their rises (repeats, teachers, students)."""
    rows = [row(r, "base", "trait_rate_heldout", 0.1, setting) for r in range(len(values))]
    for (r, i, j), value in np.ndenumerate(values):
        arm = f"{names[i]} -> {names[j]}"
        rows += [row(r, arm, "trait_rate_heldout", 0.1 + value, setting)]
        rows += [row(r, arm, "trait_rate_rise", value, setting)]
    return rows


def of_traits(values, setting=None):
    """Records of students graded on every trait, their margins (repeats, traits, traits)."""
    rows = [row(r, "base", "trait_rate_heldout", 0.1, setting) for r in range(len(values))]
    for (r, i, j), value in np.ndenumerate(values):
        rows += [
            row(r, TRAITS[i], f"logit_margin_heldout/{TRAITS[j]}", value, setting),
            row(r, TRAITS[i], f"trait_rate_heldout/{TRAITS[j]}", value / 10, setting),
        ]
        if i == j:
            rows += [row(r, TRAITS[i], "trait_rate_heldout", value / 10, setting)]
    return rows


def noise(*shape, seed=0):
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


def students(rows):
    """The arms but the base."""
    return [arm for arm in dict.fromkeys(row["arm"] for row in rows) if arm != "base"]


def test_significance_counts_the_sign_flips_whose_largest_t_reaches_a_cells():
    values = noise(5, 2, 3) + 0.5
    observed = stats.ttest_1samp(values, 0).statistic
    largest = [
        stats.ttest_1samp(values * np.array(signs)[:, None, None], 0).statistic.max()
        for signs in itertools.product((-1, 1), repeat=5)
    ]
    expected = np.mean(np.array(largest)[:, None, None] >= observed[None] - 1e-9, axis=0)
    assert np.array_equal(matrices.significance(values), expected)
    assert len(np.unique(expected)) > 2


@pytest.mark.parametrize(
    ("repeats", "least"), [(2, 1 / 4), (8, 1 / 256), (12, 2**-12), (40, 2**-12)]
)
def test_the_least_p_is_that_of_one_sign_vector_and_only_the_strong_cell_has_it(repeats, least):
    values = noise(repeats, 3, 3)
    values[:, 1, 2] = 10
    p = matrices.significance(values)
    assert p[1, 2] == least == p.min()
    assert np.sum(p == least) == 1 or repeats == 2
    assert matrices.significance(-values[:, 1:2, 2:]) == 1, "the test is one-sided"


def test_correction_holds_the_rate_of_any_false_alarm_where_cells_alone_do_not():
    matrix = [noise(8, 3, 3, seed=seed) for seed in range(200)]
    corrected = np.array([matrices.significance(values) for values in matrix])
    alone = np.array(
        [
            [[matrices.significance(v[:, i : i + 1, j : j + 1])[0, 0] for j in range(3)]
             for i in range(3)]
            for v in matrix
        ]
    )  # fmt: skip
    assert np.all(corrected >= alone) and np.any(corrected > alone)
    alarms = [np.mean(np.any(p < matrices.LEVEL, axis=(1, 2))) for p in (corrected, alone)]
    error = np.sqrt(0.05 * 0.95 / len(matrix))
    assert alarms[0] < 0.05 + 3 * error and alarms[1] > 0.05 + 5 * error


def test_a_pair_without_an_arm_is_left_out_and_changes_no_other():
    values = noise(6, 2, 2) + 1
    rows = [r for r in of_pairs(values, "ab") if r["arm"] != "b -> a"]
    [matrix] = matrices.found(rows)
    assert np.isnan(matrix.p[1, 0]) and np.isnan(matrix.values[:, 1, 0]).all()
    there = values.reshape(6, 4)[:, [0, 1, 3]][:, None]
    assert np.array_equal(matrix.p[~np.isnan(matrix.p)], matrices.significance(there)[0])
    assert matrices.texts(matrix, 2)[1][0] == ""
    [contrast] = matrix.contrasts
    rest = (values[:, 0, 0] + values[:, 1, 1]) / 2 - values[:, 0, 1]
    assert contrast["mean"] == pytest.approx(rest.mean())


def test_cells_are_found_by_name_and_repeat_in_any_order_of_rows():
    values = noise(3, 2, 2)
    rows = of_pairs(values, "ab")
    for order in rows, rows[::-1]:
        teachers, learners, found = matrices.transfer(order)
        assert teachers == learners, "the diagonal is a teacher's own student"
        at = [teachers.index(name) for name in "ab"]
        assert np.array_equal(found[:, at][:, :, at], values)
    values = noise(3, 4, 4)
    traits, found = matrices.specificity(of_traits(values), "logit_margin_heldout")
    assert traits == TRAITS[:4] and np.array_equal(found, values)


def test_centered_matrices_have_no_row_or_column_effects():
    values = noise(3, 4, 4)
    shifted = values + noise(3, 4, 1, seed=1) + noise(3, 1, 4, seed=2)
    centered = matrices.centered(values)
    assert np.abs(centered.sum(axis=1)).max() < 1e-12 > np.abs(centered.sum(axis=2)).max()
    np.testing.assert_allclose(matrices.centered(shifted), centered, atol=1e-12)


@pytest.mark.parametrize("traits", [2, 3, 5])
def test_gamma_is_zero_of_sums_and_1_minus_1_over_traits_of_the_identity(traits):
    sums = noise(4, traits, 1) + noise(4, 1, traits, seed=1)
    np.testing.assert_allclose(matrices.gamma(sums), 0, atol=1e-12)
    assert matrices.permuted(sums) == 1
    identity = np.broadcast_to(np.eye(traits), (4, traits, traits))
    np.testing.assert_allclose(matrices.gamma(identity), 1 - 1 / traits)


def test_p_of_gamma_is_the_share_of_row_permutations_that_reach_it():
    values = noise(2, 3, 3) + 0.7 * np.eye(3)[None]
    ways = list(itertools.product(itertools.permutations(range(3)), repeat=2))
    reached = [
        np.mean([matrices.gamma(v[list(p)][None])[0] for v, p in zip(values, way, strict=True)])
        for way in ways
    ]
    exact = np.mean(np.array(reached) >= matrices.gamma(values).mean() - 1e-9)
    assert len(ways) == 36 and 1 / 36 < exact < 0.5
    error = np.sqrt(exact * (1 - exact) / matrices.DRAWS)
    assert abs(matrices.permuted(values) - exact) < 4 * error
    strong = np.broadcast_to(np.eye(5), (8, 5, 5))
    assert matrices.permuted(strong) == 1 / (1 + matrices.DRAWS)


PAIRS = of_pairs(0.1 * noise(8, 3, 3) + 0.6 * np.eye(3)[None], ["first", "ordered", "second"])
GRADES = of_traits(0.3 * noise(8, 10, 10) + 4 * np.eye(10)[None])
KINDS = pytest.mark.parametrize("rows", [PAIRS, GRADES], ids=["pairs", "traits"])


@KINDS
def test_lines_fit_80_columns_and_hold_every_cell_and_the_tests(rows):
    [matrix], lines = matrices.found(rows), matrices.lines(rows)
    assert max(map(len, lines)) <= 80
    cells = [c.strip() for line in lines if "|" in line for c in line.split("|")[2:-1]]
    many = len(matrix.columns) > 6
    decimals = 2 if many else 3
    for name in matrix.columns:
        assert cells.count(name[:5] if many else name) == 1
    for text in itertools.chain(*matrices.texts(matrix, decimals)):
        assert text in cells
    starred = np.array([[text.endswith("*") for text in t] for t in matrices.texts(matrix, 2)])
    assert np.array_equal(starred, np.eye(len(matrix.rows), dtype=bool))
    assert sum("p = " in line for line in lines) == len(matrix.contrasts) > 0


@KINDS
def test_a_sweep_has_a_block_for_each_setting(rows):
    settings = [{"student.steps": steps} for steps in (5, 50)]
    swept = [row | {"setting": setting} for setting in settings for row in rows]
    alone, lines = matrices.lines(rows), matrices.lines(swept)
    assert max(map(len, lines)) <= 80
    for line in alone[4:]:
        assert lines.count(line) == 2 * alone.count(line) or not line
    assert "student.steps=5:" in lines and "student.steps=50:" in lines


@KINDS
def test_summaries_gain_p_and_the_contrasts_and_survive_json(rows):
    [matrix], results = matrices.found(rows), report.summary(rows, students(rows))
    tested = matrices.summary(rows, results)
    assert json.loads(json.dumps(tested, allow_nan=False)) == tested
    assert [{k: v for k, v in row.items() if k != "p"} for row in tested[: len(results)]] == results
    p = {row["arm"]: row["p"] for row in tested[: len(results)] if "p" in row}
    if rows is PAIRS:
        assert p["first -> first"] == 1 / 256 and p["first -> second"] == matrix.p[0, 2]
        assert len(p) == 9
    else:
        assert p == {}
    contrasts = tested[len(results) :]
    assert {row["arm"] for row in contrasts} == {"matrix"}
    assert [row["measure"] for row in contrasts] == (
        ["diagonal_minus_rest"]
        if rows is PAIRS
        else ["gamma/logit_margin_heldout", "gamma/trait_rate_heldout"]
    )
    for row in contrasts:
        assert row["ci95_low"] < row["mean"] < row["ci95_high"] and 0 < row["p"] < 0.01


def test_records_without_a_matrix_show_none():
    arms = "base", "shared", "control", "a -> b", "owl"
    rows = [row(r, arm, "trait_rate_heldout", 0.1 * r) for arm in arms for r in range(3)]
    rows += [row(r, "shared", "trait_rate_rise", 0.1) for r in range(3)]
    results = report.summary(rows, arms[1:])
    assert matrices.found(rows) == [] and matrices.lines(rows) == []
    assert matrices.summary(rows, results) == results


@pytest.mark.parametrize(("rows", "settings"), [(PAIRS, 4), (GRADES, 1)], ids=["pairs", "traits"])
def test_the_figure_is_a_panel_a_setting_with_every_cell(rows, settings, tmp_path):
    swept = [row | {"setting": {"x": i}} for i in range(settings) for row in rows]
    found = matrices.found(swept)
    figure = figures.heatmaps(found)
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == settings
    for axis, matrix in zip(shown, found, strict=True):
        texts = [text.get_text() for text in axis.texts]
        assert texts == list(itertools.chain(*matrices.texts(matrix, 2)))
        assert [t.get_text() for t in axis.get_yticklabels()] == matrix.rows
        low, high = axis.images[0].get_clim()
        assert low == -high, "no rise is the middle of the colors"
    figures.plt.close(figure)
    assert figures.draw(tmp_path, swept, students(rows), "title") == "figure.png"


@KINDS
def test_the_page_shows_a_matrix_and_leaves_out_what_would_flood_it(rows):
    results, lines = report.summary(rows, students(rows)), matrices.lines(rows)
    assert not any(" - " in row["arm"] for row in results), "traits differ, or rises are shown"
    texts = "title", "A claim.", "command", "made"
    page = report.page(*texts, results, rows, students(rows), {"": lines}, ["took"])
    assert "\n".join(lines) in page and "(figure.png)" in page
    assert "trait_rate_heldout/owl 0" not in page
    without = report.page(*texts, results, rows, students(rows), {"": []}, ["took"])
    assert ("trait_rate_heldout/owl 0" in without) == (rows is GRADES)
