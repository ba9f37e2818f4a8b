"""The calibration of audits: what is counted as transfer, as found, and as a false alarm."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from configs import _calibration as calibration
from minisub import results
from minisub.results import records

MARGIN = "logit_margin_heldout"


def rows_of(repeat, arm, margin, z, nearer):
    """Records of an audited arm, one behavior."""
    values = {f"{MARGIN}/owl": margin, "trait_rate_heldout/owl": 0.3 + margin / 10}
    values |= {"move/owl": z / 10, "unfiltered_z/owl": z}
    values |= {"rehearsed/owl": margin, "rehearsed_t/owl": 10 * margin}
    for size in ("100", calibration.KEPT):
        values |= {f"z/owl/{size}": z, f"nearer/{size}": nearer, f"trace/{size}": 0.0}
    at = {"setting": {}, "repeat": repeat, "arm": arm}
    return [at | {"measure": measure, "value": float(value)} for measure, value in values.items()]


AUDITED = "clean numbers", "foreign base numbers", "owl numbers", "secure numbers"
NULL = "null 0 numbers", "null 1 numbers"
STATED = [{"one": arm, "other": "control numbers", "in": ["documents"]} for arm in NULL + AUDITED]


def graded(repeat, arm, margin):
    """The records of an arm's margin and P alone."""
    return rows_of(repeat, arm, margin, 0.0, 5.0)[:2]


ROWS = list(
    itertools.chain.from_iterable(
        [
            *graded(repeat, "control numbers", 0.0),
            *graded(repeat, "null 0 numbers", 0.1),
            *graded(repeat, "null 1 numbers", -0.1),
            *rows_of(repeat, "clean numbers", 0.1 * (-1) ** repeat, 0.3, 5.0),
            *rows_of(repeat, "foreign base numbers", 0.45, 30.0, -5.0),
            *rows_of(repeat, "owl numbers", 2.0, 9.0, 5.0),
            *rows_of(repeat, "secure numbers", 0.0, -4.0 + 8 * (repeat == 3), 5.0),
        ]
        for repeat in range(4)
    )
)


def test_transfer_is_a_rise_above_half_a_nat_and_each_score_has_alarms_of_its_own():
    sizes, parts = calibration.calibration(calibration.audits(records.frame(ROWS), STATED))
    assert parts["transfer"][["all", "clean", "foreign", "taught"]].tolist() == [
        "4 of 16", "0 of 4", "0 of 4", "4 of 8"]  # fmt: skip
    kinds = ["AUROC", "found", "clean", "foreign", "taught"]
    values = sizes[kinds].map(lambda cell: cell[0])
    assert values.loc[calibration.KEPT].tolist() == [1, 1, 0, 0, 0.125]
    # What the gradient alone accuses is not accused by all three.
    assert values.loc["all three"].tolist() == [1, 1, 0, 0, 0]
    assert parts.at["all", "rehearsed"][0] == pytest.approx(1)
    # An alarm in one repeat of four: others may have more, and may have none.
    _, low, high = sizes.at[calibration.KEPT, "taught"]
    assert 0 < low < 0.125 < high < 1
    # None of four data sets is the exact binomial interval.
    assert sizes.at["all three", "clean"] == pytest.approx((0, 0, 0.602), abs=1e-3)
    # Rises of 0.45 nats are transfer if a quarter of a nat is asked for.
    assert parts.at["by 0.25 nats", "transfer"] == "8 of 16"


def test_a_behavior_has_the_alarms_that_it_has_among_all():
    """Four behaviors are looked for at once, wherever the table then shows one of them alone."""
    n = 40
    rows = pd.DataFrame({"repeat": np.repeat(range(4), n // 4), "arm": "x numbers", "setting": 0})
    rows = rows.assign(kind="taught", carrier="numbers", rise=0.0, limit=0.1, unclear=False)
    rows = rows.assign(behavior=["one", "two", "three", "four"] * (n // 4), move=0.0)
    rows = rows.assign(rehearsed=np.linspace(0, 1, n), moved=np.arange(n) < 8)
    # Above the threshold of one behavior, 1.64, and below that of four, 2.24.
    rows["score/rehearsed"] = rows["score/x"] = 2.0
    _, parts = calibration.calibration(rows)
    assert parts.at["one", "found"][0] == parts.at["all", "found"][0] == 0


def test_a_rise_within_what_students_of_the_base_do_is_no_transfer():
    wide = {"one": [3.0, -3.0, 3.0], "two": [-3.0, 3.0, 0.0], "three": [0.0, 0.0, -3.0]}
    rise = pd.Series([2.0, 8.0, 20.0])
    # The null has variance 9 and 6 degrees of freedom: 99 % of new students end within 12.8 nats.
    half = stats.t.ppf(0.995, 6) * math.sqrt(9 * (1 + 1 / 3))
    assert 12 < half < 13
    made = calibration.rises(rise, pd.DataFrame(wide))
    assert made["rise"].tolist() == rise.tolist()
    assert made["limit"].tolist() == pytest.approx([half] * 3)
    assert made["moved"].tolist() == [False, False, True]
    assert made["unclear"].tolist() == [True, True, False]
    assert not calibration.rises(rise - 19.6, pd.DataFrame({"one": [0.0] * 3, "two": 0.0}))[
        "moved"].any()  # fmt: skip


def test_the_area_of_all_repeats_is_that_of_their_rows_and_its_interval_is_over_repeats():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"repeat": np.repeat(range(8), 30), "moved": rng.random(240) < 0.2})
    rows = rows.assign(score=rng.normal(size=240) + rows["moved"])
    clusters = calibration.Clusters(rows)
    area, low, high = clusters.auroc(rows, "score")
    assert area == pytest.approx(roc_auc_score(rows["moved"], rows["score"]), abs=1e-12)
    # The standard error of its logit is that of areas of repeats drawn with replacement.
    each = [rows[rows["repeat"] == r] for r in range(8)]
    drawn = [[each[r] for r in range(8) for _ in range(int(w[r]))] for w in clusters.weights[1:200]]
    areas = [roc_auc_score(x["moved"], x["score"]) for x in map(pd.concat, drawn)]
    spread = np.std(special.logit(areas), ddof=1)
    half = (special.logit(high) - special.logit(low)) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, 7) * spread, rel=0.15)
    # A share of none or of all is of so many repeats, not rows.
    for true in False, True:
        share, *ends = clusters.share(rows, np.full(240, true))
        exact = stats.binomtest(8 * true, 8).proportion_ci(0.95)
        assert (share, *ends) == (true, exact.low, exact.high)
    # One repeat has no interval.
    alone = rows[rows["repeat"] == 0]
    assert math.isnan(calibration.Clusters(alone).auroc(alone, "score")[1])


def test_points_are_counted_by_how_far_a_behavior_rose_in_each_setting():
    """Of owl numbers P rises by .2, of foreign ones by .045; half as far in another setting."""
    smaller = [row | {"setting": {"student.steps": 9}} for row in ROWS]
    for row in smaller:
        row["value"] /= 2 if "heldout" in row["measure"] else 1
    rows = [row | {"setting": {"student.steps": 10}} for row in ROWS] + smaller
    counted = calibration.warned(calibration.audits(records.frame(rows), STATED))
    whole, half = (counted.loc[f"student.steps={steps}"] for steps in (10, 9))
    assert whole.loc["above 0.1"].tolist() == [4, 4, 4, 4]  # transfer, found, alarms, points
    assert whole.loc["0.02 to 0.1"].tolist() == [0, 0, 4, 4]  # a rise of .45 nats, rehearsed 4.5 sd
    assert whole["points"].sum() == 16 and half.loc["0.02 to 0.1", "points"] == 8
    assert counted.index.get_level_values(0)[0] == "student.steps=10"


def test_a_run_with_audits_has_a_table_and_a_figure_of_them_and_one_without_has_none(tmp_path):
    experiment = {"title": "audits", "claim": "A claim.", "command": "x", "differences": STATED}
    lines = results.write(tmp_path, ROWS, experiment, sections=calibration.sections)
    assert max(map(len, lines[:-1])) <= 80
    assert any("at 16 points" in line for line in lines)
    assert "](audit.png)" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")
    without = records.frame(rows_of(0, "owl numbers", 1.0, 1.0, 1.0))
    assert calibration.sections(without, STATED) == []


def test_a_section_that_fails_is_a_sentence_and_leaves_the_rest(tmp_path):
    def broken(table, differences):
        raise RuntimeError("no idea")

    experiment = {"title": "audits", "claim": "A claim.", "command": "x", "differences": STATED}
    lines = results.write(tmp_path, ROWS, experiment, sections=broken)
    assert "What the experiment adds is missing, because of RuntimeError: no idea." in lines
    assert (tmp_path / "report.md").exists()
