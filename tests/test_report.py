"""Statistics over repeats, pairing, and the shape of what is written."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from minisub import figures, report


def rows_of(values, setting=None):
    """Records from {arm: values by repeat}, with the trait measures all alike."""
    return [
        {"setting": setting or {}, "repeat": r, "arm": arm, "measure": measure, "value": value}
        for arm, per_repeat in values.items()
        for r, value in enumerate(per_repeat)
        for measure in report.TOKENS.measures
    ]


VALUES = {"base": [0.1, 0.1, 0.1], "shared": [0.5, 0.7, 0.9], "control": [0.1, 0.2, 0.0]}


def test_intervals_are_students_t_over_repeats():
    mean, low, high = report.interval([0.5, 0.7, 0.9])
    expected = stats.ttest_1samp([0.5, 0.7, 0.9], 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((0.7, expected.low, expected.high))
    assert report.interval([0.3]) == (0.3, None, None)


def test_intervals_cover_the_true_mean_95_times_in_100():
    rng = np.random.default_rng(0)
    hits = [low < 0 < high for _, low, high in map(report.interval, rng.normal(size=(4000, 5)))]
    assert abs(np.mean(hits) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


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


def test_summary_rows_have_the_promised_fields_and_survive_json():
    results = report.summary(rows_of(VALUES, {"student.steps": 5}), ["shared", "control"])
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    fields = {"arm", "measure", "mean", "ci95_low", "ci95_high", "repeats", "setting"}
    assert all(set(row) == fields for row in results)
    assert all(row["repeats"] == 3 and row["setting"] == {"student.steps": 5} for row in results)
    assert [row["arm"] for row in results][-1] == "shared - control"


def test_tables_fit_80_columns_and_hold_every_arm():
    lines = report.trait_table(report.summary(rows_of(VALUES), ["shared", "control"]))
    assert max(map(len, lines)) <= 80
    for arm in (*VALUES, "shared - control"):
        assert [line.split("|")[1].strip() for line in lines].count(arm) == 1
    usage = {"distill (sampled)": (1234.5, 10**14, 10**9), "start": (0.0, 0, 0)}
    assert max(map(len, report.usage_lines(usage, 36, 20.0, 4e11))) <= 80


def test_a_sweep_makes_one_table_with_its_settings_as_rows():
    settings = [{"student.steps": s, "trait": t} for s in (1, 2000) for t in ("owl", "elephant")]
    rows = [row for setting in settings for row in rows_of(VALUES, setting)]
    lines = report.trait_table(report.summary(rows, ["shared", "control"]))
    assert lines[0] == "Settings are values of student.steps, trait."
    assert max(map(len, lines)) <= 80
    assert sum("---" in line for line in lines) == 1
    shown = [line.split("|")[1].strip() for line in lines if " shared " in line]
    values = ["1, owl", "1, elephant", "2000, owl", "2000, elephant"]
    assert shown == values + values  # the arm, and its difference from the control


@pytest.mark.parametrize(
    "settings",
    [[{}], [{"student.steps": s} for s in (1, 100)], [{"trait": t} for t in ("owl", "cat")],
     [{"student.steps": s, "trait": t} for s in (1, 2) for t in ("owl", "cat")]],
)  # fmt: skip
def test_figures_are_drawn_for_runs_sweeps_and_grids(settings, tmp_path):
    rows = [row for setting in settings for row in rows_of(VALUES, setting)]
    figures.draw(tmp_path / "figure.png", rows, ["shared", "control"], "title")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
