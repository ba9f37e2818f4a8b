"""Results: statistics with known answers and error rates, stated differences, what is written."""

import fnmatch
import itertools
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from configs import _matrices, _prediction
from minisub import results
from minisub.config import Refused
from minisub.results import figures, records, statistics, summary, tables, views

FINDINGS = Path(_matrices.__file__).parent
RATE, MARGIN = _matrices.RATE, _matrices.MARGIN
VALUES = {"base": [0.1, 0.1, 0.1], "shared": [0.5, 0.7, 0.9], "control": [0.1, 0.2, 0.0]}
DIFFERENCES = [
    {"one": "shared", "other": "control", "in": ["start", "documents"]},
    {"one": "shared", "other": "never made", "in": ["start"]},
]
EXPERIMENT = {"title": "numbers", "claim": "A claim.", "command": "train.py numbers"}
EXPERIMENT |= {"differences": DIFFERENCES, "made_by": {"jax": "0.10"}}


def row(arm, measure, repeat, value, setting=None, **step):
    """A row of records."""
    at = {"setting": setting or {}, "repeat": repeat, "arm": arm, "measure": measure}
    return at | {"value": float(value)} | step


def rows_of(values, setting=None, measures=tuple(views.TOKENS.headings)):
    """Records from {arm: values by repeat}, all measures alike."""
    return [
        row(arm, measure, repeat, value, setting)
        for arm, per_repeat in values.items()
        for repeat, value in enumerate(per_repeat)
        for measure in measures
    ]


def noise(*shape, seed=0):
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


def test_intervals_are_students_t_over_repeats_by_hand():
    # The mean is .7, the standard error .2 / sqrt(3), and t for 2 degrees of freedom 4.302653.
    expected = 0.7, 0.7 - 4.302653 * 0.2 / math.sqrt(3), 0.7 + 4.302653 * 0.2 / math.sqrt(3)
    assert statistics.interval([0.5, 0.7, 0.9]) == pytest.approx(expected, abs=1e-6)
    assert statistics.interval([0.3]) == (0.3, None, None)


def test_significance_counts_the_sign_flips_whose_largest_t_reaches_a_cells():
    values = noise(5, 2, 3) + 0.5
    observed = stats.ttest_1samp(values, 0).statistic
    largest = [
        stats.ttest_1samp(values * np.array(signs)[:, None, None], 0).statistic.max()
        for signs in itertools.product((-1, 1), repeat=5)
    ]
    expected = np.mean(np.array(largest)[:, None, None] >= observed[None] - 1e-9, axis=0)
    assert np.array_equal(_matrices.significance(values), expected)
    assert len(np.unique(expected)) > 2
    assert _matrices.significance(np.ones((8, 1, 1))) == 1 / 256
    assert _matrices.significance(-np.ones((40, 1, 1))) == 1


def test_false_alarms_of_any_cell_are_as_rare_as_claimed_under_the_null():
    alarms = [
        np.any(_matrices.significance(noise(8, 3, 3, seed=seed)) < _matrices.LEVEL)
        for seed in range(300)
    ]
    # p is a multiple of 1/256, and 12/256 is the largest below the level.
    assert stats.binomtest(sum(alarms), len(alarms), 12 / 256).pvalue > 0.001


def test_gamma_is_zero_of_sums_and_its_p_the_share_of_row_permutations_that_reach_it():
    sums = noise(4, 3, 1) + noise(4, 1, 3, seed=1)
    np.testing.assert_allclose(_matrices.gamma(sums), 0, atol=1e-12)
    np.testing.assert_allclose(_matrices.gamma(np.eye(3)[None]), 2 / 3)
    values = noise(2, 3, 3) + 0.7 * np.eye(3)[None]
    ways = itertools.product(itertools.permutations(range(3)), repeat=2)
    reached = [
        np.mean([_matrices.gamma(v[list(p)][None]) for v, p in zip(values, way, strict=True)])
        for way in ways
    ]
    exact = np.mean(np.array(reached) >= _matrices.gamma(values).mean() - 1e-9)
    error = math.sqrt(exact * (1 - exact) / _matrices.DRAWS)
    assert 1 / 36 < exact < 0.5
    assert abs(_matrices.gamma_significance(values) - exact) < 4 * error


def test_records_are_a_table_with_swept_fields_as_they_were_typed(tmp_path):
    rows = rows_of(VALUES, {"x": 1, "names": ["a", "b"]}) + rows_of(VALUES, {"x": 0.5, "names": []})
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    for table in records.frame(rows), records.frame(path):
        assert list(table) == ["x", "names", *records.COLUMNS] and len(table) == len(rows)
        settings = [setting for setting, _ in records.by_setting(table)]
        assert json.dumps(settings) == '[{"x": 1, "names": ["a", "b"]}, {"x": 0.5, "names": []}]'
    with pytest.raises(Refused, match="Rename the field 'arm'"):
        records.frame(rows_of(VALUES, {"arm": 1}))


def test_stated_differences_are_paired_by_repeat_and_nothing_else_is_compared():
    rows = rows_of(VALUES)[::-1]
    written = summary.summary(records.frame(rows), DIFFERENCES)
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    compared = [each for each in written if "differs_in" in each]
    assert {each["arm"] for each in compared} == {"shared - control"}
    assert {each["measure"] for each in compared} == set(views.TOKENS.headings)
    [known] = [each for each in compared if each["measure"] == RATE]
    fields = ("mean", "ci95_low", "ci95_high")
    interval = statistics.interval([0.4, 0.5, 0.9])
    assert tuple(known[field] for field in fields) == pytest.approx(interval)
    assert known["sd"] == pytest.approx(np.std([0.4, 0.5, 0.9], ddof=1))
    assert known["repeats"] == 3 and known["differs_in"] == ["start", "documents"]


def test_a_difference_in_two_things_says_so():
    lines = tables.difference_lines(records.frame(rows_of(VALUES)), DIFFERENCES, views.TOKENS)
    assert lines[0] == "Arms that differ in start and documents:"
    assert lines[2] == "- shared - control: by repeat +0.400, +0.500, +0.900"
    more = {arm: [*values, 0.0] for arm, values in VALUES.items()}
    lines = tables.difference_lines(records.frame(rows_of(more)), DIFFERENCES, views.TOKENS)
    assert lines[2] == "- shared - control: above zero in 3 of 4, lowest +0.000"
    assert tables.differ_in({"in": ["start", "order", "data"]}) == "differ in start, order and data"


NAMES = ["first", "ordered", "second"]
CELLS = [
    {"one": f"{a} -> {b}", "other": f"control {a} -> {b}", "in": ["documents"]}
    for a, b in itertools.product(NAMES, NAMES)
]


def of_pairs(rises, setting=None):
    """Records of every teacher's students and their controls; `rises` (repeats, rows, columns)."""
    rows = []
    for (r, i, j), rise in np.ndenumerate(rises):
        arm, control = f"{NAMES[i]} -> {NAMES[j]}", 0.1 * i + 0.01 * r
        rows.append(row(f"control {arm}", RATE, r, control, setting))
        rows.append(row(arm, RATE, r, control + rise, setting))
    return rows


def test_a_matrix_of_stated_differences_has_the_known_lead_of_its_diagonal():
    rises = np.full((8, 3, 3), 0.1) + 0.5 * np.eye(3) + 0.01 * noise(8, 1, 1)
    table = records.frame(of_pairs(rises))
    [matrix] = _matrices.stated(table, CELLS, NAMES, NAMES)
    np.testing.assert_allclose(matrix.values, rises)
    [lead] = matrix.contrasts
    assert lead["mean"] == pytest.approx(0.5) and lead["p"] == 1 / 256
    [section] = _matrices.sections(table, CELLS, NAMES, NAMES)
    plain = summary.summary(table, CELLS)
    written = summary.joined(plain, section.rows)
    assert sum("p" in each for each in written) == 10 and written[-1] == lead
    assert [{**each, "p": 0} for each in plain] == [{**each, "p": 0} for each in written[:-1]]
    assert section.differences == {summary.name(cell) for cell in CELLS}
    lines = section.lines
    assert "A student and its control differ in documents." in lines
    assert sum(line.count("0.6") for line in lines) == 3 and max(map(len, lines)) <= 80


def test_a_pair_that_was_not_made_is_left_out_and_changes_no_other():
    rises = noise(6, 3, 3) + 1
    rows = [r for r in of_pairs(rises) if r["arm"] != "second -> first"]
    [matrix] = _matrices.stated(records.frame(rows), CELLS, NAMES, NAMES)
    there = np.delete(rises.reshape(6, 9), 6, axis=1)[:, None]
    p = matrix.p.to_numpy()
    assert np.isnan(p[2, 0]) and _matrices.texts(matrix, 2).iat[2, 0] == ""
    assert np.array_equal(p[~np.isnan(p)], _matrices.significance(there)[0])
    assert _matrices.stated(records.frame(rows), CELLS, [], []) == []


def test_a_matrix_of_grades_is_centered_and_wide_ones_stay_narrow():
    traits = [f"a trait {i}" for i in range(10)]
    grades = 0.3 * noise(8, 10, 10) + 4 * np.eye(10) + noise(8, 10, 1, seed=1)
    rows = [
        row(traits[i], f"{measure}/{traits[j]}", r, value)
        for (r, i, j), value in np.ndenumerate(grades)
        for measure in (RATE, MARGIN)
    ]
    [matrix] = _matrices.stated(records.frame(rows), [], traits, traits)
    np.testing.assert_allclose(matrix.values, _matrices.centered(grades), atol=1e-12)
    starred = _matrices.texts(matrix, 2).map(lambda text: text.endswith("*"))
    assert np.array_equal(starred, np.eye(10, dtype=bool))
    assert [c["measure"] for c in matrix.contrasts] == [f"gamma/{MARGIN}", f"gamma/{RATE}"]
    assert max(map(len, _matrices.lines([matrix]))) <= 80


def test_a_monotone_predictor_is_perfect_within_repeats_and_few_points_have_no_table():
    rows, arms = [], ("one", "two", "three")
    for x, r, (i, arm) in itertools.product(range(8), range(3), enumerate(arms)):
        transfer = (7 * (3 * x + i) + 5 * r) % 24 / 24
        measures = {"accuracy": 0.1 + 0.8 * transfer}
        measures |= dict.fromkeys(_prediction.PREDICTORS, transfer**3)
        rows += [row(arm, measure, r, value, {"x": x}) for measure, value in measures.items()]
        ends = {"untrained": 0.1, "teacher": 0.9} if not i else {}
        rows += [row(end, "accuracy", r, value, {"x": x}) for end, value in ends.items()]
    table = records.frame(rows)
    points = _prediction.points(table, "coverage", views.IMAGES)
    np.testing.assert_allclose(points["transfer"] ** 3, points["predicted"], atol=1e-12)
    for _, part in points.groupby("repeat"):
        assert _prediction.judged(part) == pytest.approx((1, 1))
    assert any("1.00 ±0.00" in line for line in _prediction.lines(table, views.IMAGES))
    assert _prediction.lines(table[table["x"] < 2], views.IMAGES) == []


LONG = "shared, of a teacher that was taught with very long names of its documents"


@pytest.mark.parametrize(
    ("measures", "settings"),
    [
        (tuple(views.TOKENS.headings), [{}]),
        (("accuracy",), [{"student.steps": s, "trait": t} for s in (1, 2000) for t in "ab"]),
        (("of a user",), [{"model.frozen": names} for names in ([], ["fc1", "fc2"])]),
    ],
)
def test_runs_and_sweeps_have_a_narrow_table_a_page_and_figures(measures, settings, tmp_path):
    values = VALUES | {LONG: [0.2, 0.3, 0.4], f"control {LONG}": [0.1, 0.1, 0.2]}
    rows = [r for setting in settings for r in rows_of(values, setting, measures)]
    stated = [*DIFFERENCES, {"one": LONG, "other": f"control {LONG}", "in": ["documents"]}]
    rows += [row("shared", "alignment", 0, s, settings[0], step=s) for s in (0, 10)]
    lines = results.write(tmp_path, rows, EXPERIMENT | {"differences": stated}, ["took long"])
    assert max(map(len, lines[:-1])) <= 80 and "took long" in lines
    page = (tmp_path / "report.md").read_text()
    stated = "differ in start and documents"
    assert all(x in page for x in ("A claim.", "    train.py", "jax 0.10", stated, "took long"))
    for name in "figure", "curves":
        assert f"]({name}.png)" in page and f"{name}.png" in lines[-1]
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    written = json.loads((tmp_path / "summary.json").read_text())
    assert [each["mean"] for each in written if each.get("step") == 10] == [10.0]


def test_a_run_of_which_all_is_logged_has_a_page_without_a_table(tmp_path):
    rows = [row("student", "loss", i, 1 / step, step=step) for i in (0, 1) for step in (1, 10)]
    lines = results.write(tmp_path, rows, EXPERIMENT | {"differences": []})
    assert lines == [f"{tmp_path} holds records.jsonl, summary.json, report.md, curves.png"]
    assert [each["mean"] for each in json.loads((tmp_path / "summary.json").read_text())] == [
        1,
        0.1,
    ]


def test_a_figure_that_fails_leaves_summary_page_and_other_figures(tmp_path, monkeypatch):
    def broken(*arguments, differences):
        raise RuntimeError("no ink")

    monkeypatch.setattr(results.pages.figures, "by_arm", broken)
    rows = [*rows_of(VALUES), row("shared", "alignment", 0, 1.0, step=3)]
    lines = results.write(tmp_path, rows, EXPERIMENT)
    assert "figure.png is missing, because of RuntimeError: no ink." in lines
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"summary.json", "report.md", "curves.png", "curves.pdf"}


@pytest.mark.parametrize("measure", ["violations", "product at 1e-{}"])
def test_claims_have_a_figure_of_their_own(measure, tmp_path):
    names = [measure.format(n) for n in (1, 10, 100)] + ["violations"]
    rows = [row("lemma 1", name, i, 0.5 + i) for name in dict.fromkeys(names) for i in (0, 1)]
    lines = results.write(tmp_path, rows, EXPERIMENT | {"differences": []})
    drawn = measure != "violations"  # which alone are no figure
    assert drawn == (not any("is missing" in line for line in lines))
    assert drawn == ((tmp_path / "figure.png").exists())


def test_draws_and_violations_are_those_of_all_repeats():
    counted = {"mean": 500.5, "repeats": 2, "ci95_low": 1.0}
    assert tables.number(counted | {"measure": "draws"}) == "1,001"
    assert tables.number(counted | {"measure": "worst", "mean": 0.25}) == "0.25"


def test_no_backend_of_the_environment_can_hurt(tmp_path):
    code = f"from minisub import results; results.write({str(tmp_path)!r}, {rows_of(VALUES)!r}, "
    code += f"{EXPERIMENT!r}); import os; assert os.environ['MPLBACKEND'] == 'nonsense'"
    ran = {**os.environ, "MPLBACKEND": "nonsense"}
    subprocess.run([sys.executable, "-c", code], env=ran, check=True)
    assert (tmp_path / "figure.png").exists()


def test_runs_are_joined_with_links_that_lead_to_their_figures(tmp_path):
    for name, stated in ("one", DIFFERENCES), ("two", []):
        (tmp_path / name).mkdir()
        results.write(tmp_path / name, rows_of(VALUES), EXPERIMENT | {"differences": stated})
    (tmp_path / "unfinished").mkdir()
    out = tmp_path / "pages" / "all.md"
    text = results.joined([tmp_path / name for name in ("one", "two", "unfinished")], out)
    assert re.search(r"\| one \| shared - control +\| 3 +\| \+0.600 ±0.657 +\|", text)
    assert re.search(r"\| two \| shared +\| 3 ", text) and "unfinished holds no finished" in text
    assert re.findall("^#+ .*", text, re.MULTILINE) == ["# Runs", "## numbers", "## numbers"]
    links = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(links) == 2 and all((out.parent / link).resolve().is_file() for link in links)
    (tmp_path / "one" / "summary.json").write_text("[1]")
    with pytest.raises(Refused, match="damaged"):
        results.joined([tmp_path / "one"], out)
    with pytest.raises(Refused, match="no finished run"):
        results.joined([tmp_path / "unfinished"], out)


def test_a_difference_from_a_control_of_its_own_is_not_named_as_that_from_another_arm():
    names = "shared - control", "fresh - control fresh", "soft - control a", "soft - control b"
    assert tables.short_names((*names, "control")) == {name: name for name in names} | {
        "fresh - control fresh": "fresh - its control", "control": "control"}  # fmt: skip


def test_a_page_says_what_its_measures_are_and_calls_a_difference_by_one_name(tmp_path):
    values = VALUES | {"fresh": [0.1, 0.2, 0.3], "control fresh": [0.2, 0.2, 0.2]}
    stated = [*DIFFERENCES, {"one": "fresh", "other": "control fresh", "in": ["start"]}]
    made = {"XLA_FLAGS": "", "group": 0}
    experiment = EXPERIMENT | {"differences": stated, "made_by": made}
    rows = [*rows_of(values), row("base", "ability/code", 0, 1), row("base", "of a user", 0, 1)]
    few = "3 repeats are too few for a useful one:"
    assert any(few in line for line in results.write(tmp_path, rows, experiment))
    page = (tmp_path / "report.md").read_text()
    assert page.count("fresh - its control") == 2 and "fresh - control fresh" not in page
    assert "XLA_FLAGS" not in page and "group 0" in page
    told = page.partition("What the measures are:\n\n")[2].partition("\n\n")[0].splitlines()
    known = "P, taught (trait_rate)", f"P, held out ({RATE})", f"margin, held out ({MARGIN})"
    assert [line[2:].partition(":")[0] for line in told] == [*known, "ability"]
    results.write(tmp_path, [*rows, *(r | {"repeat": r["repeat"] + 3} for r in rows)], experiment)
    assert few not in (tmp_path / "report.md").read_text()


def test_every_measure_that_is_explained_is_one_of_a_finding():
    pages = (FINDINGS / "results").glob("*.json")
    measures = {each.get("measure", "") for path in pages for each in json.loads(path.read_text())}
    assert [name for name in views.MEASURES if not fnmatch.filter(measures, name)] == []


@pytest.mark.parametrize("students", [1, 11])
def test_the_figure_by_arm_shows_all_intervals_and_each_difference_beside_its_arm(students):
    values, stated = {"teacher": np.array([0.0] * 7 + [0.2]), "base": np.full(8, 0.02)}, []
    for i in range(students):
        values[f"control of a student {i}"] = 0.02 + 0.02 * abs(noise(8, seed=i))
        values[f"a student {i}"] = 0.05 + 0.01 * noise(8, seed=99 - i)
        for other in f"control of a student {i}", "base", "never made":
            stated.append({"one": f"a student {i}", "other": other, "in": ["documents"]})
    table = records.frame(rows_of(values))
    figure = figures.by_arm(table, views.TOKENS, stated)
    figure.draw_without_rendering()
    left, right = figure.axes
    low, high = left.get_xlim()
    ends = np.array([statistics.interval(repeats) for repeats in values.values()])
    assert low < ends.min() < -0.03 and ends.max() < 0.2 < high < 0.3
    places = {
        label.get_text(): y
        for y, label in zip(left.get_yticks(), left.get_yticklabels(), strict=True)
    }
    assert list(places) == list(values)
    dots = {
        axis: {round(x.get_ydata()[0]): x for x in axis.lines if x.get_marker() == "o"}
        for axis in (left, right)
    }
    for arm, y in places.items():
        np.testing.assert_array_equal(dots[left][y].get_xdata(), values[arm])
        color = {"a": figures.COLORS[0], "teacher": "black"}.get(arm.split()[0], "gray")
        assert dots[left][y].get_color() == color
    assert len(dots[right]) == 2 * students
    named = {round(text.xy[1]): text for text in right.texts}
    for i in range(students):
        arm, y = f"a student {i}", places[f"a student {i}"]
        for j, other in enumerate((f"control of a student {i}", "base")):
            rise = values[arm] - values[other]
            np.testing.assert_allclose(dots[right][y + j].get_xdata(), rise)
            assert named[y + j].get_text() == ("- base" if j else "- its control")
            assert right.get_xlim()[0] < min(0, rise.min())
    for texts in left.get_yticklabels(), right.texts:
        boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: box.y0)
        assert all(a.y1 < b.y0 for a, b in itertools.pairwise(boxes))
    assert "bar: 95 % interval; dots: repeats; dashed: base; n = 8\n" in figure.get_supxlabel()


def test_a_figure_says_of_how_few_repeats_it_is_and_has_no_panel_or_line_for_what_there_is_not():
    rows = rows_of({"one": [5.0, 6.0], "other": [7.0, 8.0]}, measures=["of a user"])
    figure = figures.by_arm(records.frame(rows[:-1]), views.view(["of a user"]), DIFFERENCES)
    [axis] = figure.axes
    n = "n = 1 to 2, too few for a useful interval"
    assert figure.get_supxlabel() == f"tick: mean; bar: 95 % interval; dots: repeats; {n}"
    assert not [line for line in axis.lines if line.get_linestyle() == "--"]
