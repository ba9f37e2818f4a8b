"""Statistics over repeats, pairing, and the shape of what is written."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from minisub import figures, report, views


def rows_of(values, setting=None, view=views.TOKENS):
    """Records from {arm: values by repeat}, with the measures of the main table all alike."""
    return [
        {"setting": setting or {}, "repeat": r, "arm": arm, "measure": measure, "value": value}
        for arm, per_repeat in values.items()
        for r, value in enumerate(per_repeat)
        for measure in view.measures
    ]


VALUES = {"base": [0.1, 0.1, 0.1], "shared": [0.5, 0.7, 0.9], "control": [0.1, 0.2, 0.0]}
STUDENTS = ["shared/aux", "shared/all", "foreign/aux", "foreign/all", "fresh/aux"]
ACCURACIES = {"untrained": [0.1, 0.1], "teacher": [0.9, 0.9]} | {
    arm: [0.1 + i / 100, 0.2] for i, arm in enumerate(STUDENTS)
}
WORLDS = pytest.mark.parametrize(
    ("view", "values", "students"),
    [(views.TOKENS, VALUES, ["shared", "control"]), (views.IMAGES, ACCURACIES, STUDENTS)],
    ids=["tokens", "images"],
)


def test_intervals_are_students_t_over_repeats():
    mean, low, high = report.interval([0.5, 0.7, 0.9])
    expected = stats.ttest_1samp([0.5, 0.7, 0.9], 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((0.7, expected.low, expected.high))
    assert report.interval([0.3]) == (0.3, None, None)


def test_intervals_cover_the_true_mean_95_times_in_100():
    rng = np.random.default_rng(0)
    hits = [low < 0 < high for _, low, high in map(report.interval, rng.normal(size=(4000, 5)))]
    assert abs(np.mean(hits) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


def test_auroc_is_that_of_scikit_learn_with_ties_and_undefined_for_one_kind_alone():
    rng = np.random.default_rng(1)
    scores, positive = rng.integers(0, 5, 200), rng.uniform(size=200) < 0.3
    expected = pytest.approx(roc_auc_score(positive, scores))
    assert report.auroc(scores[positive], scores[~positive]) == expected
    assert np.isnan(report.auroc(scores, []))


def test_differences_are_paired_by_repeat_not_by_order():
    rows = rows_of(VALUES)
    paired = report.differences(rows[::-1], ["shared", "control"])
    for values in paired.values():
        assert values == pytest.approx({0: 0.4, 1: 0.5, 2: 0.9})
    assert {arm for _, arm, _ in paired} == {"shared - control"}


def test_without_a_control_students_are_compared_with_the_base():
    rows = rows_of({"base": [0.1, 0.2], "shared": [0.5, 0.5]})
    paired = report.differences(rows, ["shared"])
    assert {arm for _, arm, _ in paired} == {"shared - base"}


@pytest.mark.parametrize(
    ("students", "references"),
    [
        (["shared", "fresh", "control"], ["control", "control", ""]),
        (STUDENTS, ["foreign/aux", "foreign/all", "", "", "foreign/aux"]),
        (["shared/aux", "shared/all", "fresh/aux"], ["fresh/aux", "untrained", ""]),
        (["shared", "half", "fresh"], ["fresh", "fresh", ""]),
        (["shared", "fresh", "foreign"], ["foreign", "foreign", ""]),
        (["shared", "half"], ["untrained", "untrained"]),
        (["a", "control a", "b", "control"], ["control a", "", "control", ""]),
    ],
)
def test_students_are_compared_with_the_control_or_one_that_cannot_learn_through_their_channel(
    students, references
):
    assert [report.reference(arm, students, "untrained") for arm in students] == references


def test_students_of_images_are_compared_within_a_channel_and_a_repeat():
    paired = report.differences(rows_of(ACCURACIES, view=views.IMAGES), STUDENTS)
    assert {arm: list(values.values()) for (_, arm, _), values in paired.items()} == {
        "shared/aux - foreign/aux": pytest.approx([-0.02, 0.0]),
        "shared/all - foreign/all": pytest.approx([-0.02, 0.0]),
        "fresh/aux - foreign/aux": pytest.approx([0.02, 0.0]),
    }


def test_with_rises_these_are_shown_and_blank_where_there_is_none():
    rows = rows_of(VALUES)
    rise = [r | {"measure": "trait_rate_rise"} for r in rows if r["arm"] == "shared"][:3]
    results = report.summary(rows + rise, ["shared", "control"])
    lines = report.main_table(results)
    assert "above its control" in lines[0] and "None" not in "".join(lines)
    blank = {line.split("|")[1].strip(): not line.split("|")[3].strip() for line in lines[2:]}
    assert blank == {"base": True, "shared": False, "control": True, "shared - control": True}


def test_many_arms_are_drawn_below_each_other_with_every_name_and_value():
    for count, below in (5, False), (20, True):
        arms = {"base": [0.1, 0.2]} | {f"arm {i}": [0.3, i / 20] for i in range(count - 1)}
        figure = figures.by_arm(rows_of(arms))
        [axis] = figure.axes
        named = axis.get_yticklabels() if below else axis.get_xticklabels()
        assert [text.get_text() for text in named] == list(arms)
        dots = [line for line in axis.lines if line.get_marker() == "o"]
        values = [(line.get_xdata() if below else line.get_ydata()) for line in dots]
        assert [list(v) for v in values] == list(arms.values())
        figures.plt.close(figure)


def test_summary_rows_have_the_promised_fields_and_survive_json():
    results = report.summary(rows_of(VALUES, {"student.steps": 5}), ["shared", "control"])
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    fields = {"arm", "measure", "mean", "ci95_low", "ci95_high", "repeats", "setting"}
    assert all(set(row) == fields for row in results)
    assert all(row["repeats"] == 3 and row["setting"] == {"student.steps": 5} for row in results)
    assert [row["arm"] for row in results][-1] == "shared - control"


@WORLDS
def test_tables_fit_80_columns_and_hold_every_arm(view, values, students):
    results = report.summary(rows_of(values, view=view), students)
    lines = report.main_table(results)
    assert max(map(len, lines)) <= 80
    shown = [line.split("|")[1].strip() for line in lines]
    for arm in {row["arm"] for row in results} | set(values):
        assert shown.count(arm) == 1
    assert all(title in lines[0] for title in view.header)


def test_a_sweep_makes_one_table_with_its_settings_as_rows():
    settings = [{"student.steps": s, "trait": t} for s in (1, 2000) for t in ("owl", "elephant")]
    rows = [row for setting in settings for row in rows_of(VALUES, setting)]
    lines = report.main_table(report.summary(rows, ["shared", "control"]))
    assert lines[0] == "Settings are values of student.steps, trait."
    assert max(map(len, lines)) <= 80
    assert sum("---" in line for line in lines) == 1
    shown = [line.split("|")[1].strip() for line in lines if " shared " in line]
    values = ["1, owl", "1, elephant", "2000, owl", "2000, elephant"]
    assert shown == values + values  # the arm, and its difference from the control


@WORLDS
@pytest.mark.parametrize(
    "settings",
    [[{}], [{"student.steps": s} for s in (1, 100)], [{"trait": t} for t in ("owl", "cat")],
     [{"model.frozen": names} for names in ([], ["fc1", "fc2"])],
     [{"student.steps": s, "trait": t} for s in (1, 2) for t in ("owl", "cat")]],
)  # fmt: skip
def test_figures_are_drawn_for_runs_sweeps_and_grids(settings, view, values, students, tmp_path):
    rows = [row for setting in settings for row in rows_of(values, setting, view)]
    assert figures.draw(tmp_path, rows, students, "title") == "figure.png"
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("view", [views.TOKENS, views.BEHAVIORS, views.DEFENSES], ids=str)
def test_a_sweep_is_drawn_with_every_value_within_its_axis(view):
    values = {"base": [-9.0, -8.0], "shared": [4.0, 6.0]}
    if view.limits:
        values = {"base": [0.0, 0.1], "shared": [0.9, 1.0]}
    rows = [row for s in (1, 2) for row in rows_of(values, {"student.steps": s}, view)]
    figure = figures.against_field(rows, ["shared"], ["student.steps"])
    low, high = figure.axes[0].get_ylim()
    assert low < min(map(min, values.values())) and max(map(max, values.values())) < high
    figures.plt.close(figure)


@WORLDS
def test_the_page_holds_table_figure_differences_and_what_its_measures_are(view, values, students):
    rows = rows_of(values, view=view)
    results = report.summary(rows, students)
    texts = "title", "A claim.", "command", "made"
    page = report.page(*texts, results, rows, students, {"prediction": ["predicted"]}, ["took"])
    for part in (
        *report.main_table(results),
        view.note,
        view.label,
        "(figure.png)",
        "    command",
        "predicted",
    ):
        assert part in page
    compared = {row["arm"] for row in results if " - " in row["arm"]}
    assert all(f"- {arm}: above zero in " in page for arm in compared)
