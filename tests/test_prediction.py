"""Prediction of transfer: reference implementations, points that are told apart, a narrow table."""

import itertools
import json

import numpy as np
import pytest

from minisub import figures, prediction, report

ARMS = ("one", "two", "three")


def records(known, settings=8, repeats=3):
    """Students whose transfer is a number in [0, 1), `known(transfer, arm)` before training."""
    rng, rows = np.random.default_rng(0), []

    def row(setting, repeat, arm, measure, value):
        rows.append(
            {"setting": setting, "repeat": repeat, "arm": arm, "measure": measure, "value": value}
        )

    for i, repeat in itertools.product(range(settings), range(repeats)):
        setting = {"x": i}
        row(setting, repeat, "untrained", "accuracy", 0.1)
        row(setting, repeat, "teacher", "accuracy", 0.9)
        for arm in ARMS:
            transfer = float(rng.uniform())
            row(setting, repeat, arm, "accuracy", 0.1 + 0.8 * transfer)
            for predictor in prediction.PREDICTORS:
                row(setting, repeat, arm, predictor, float(known(transfer, arm)))
    return rows


def test_a_monotone_predictor_is_perfect_and_its_negative_is_the_opposite():
    rows = records(lambda transfer, arm: transfer**3)
    (ranks, areas), means, count = prediction.statistics(rows, "coverage")
    assert count == 24 and ranks == pytest.approx([1] * 3) and areas == (1, 1, 1)
    assert 0.5 < means[0] <= 1
    (ranks, areas), *_ = prediction.statistics(records(lambda t, arm: -t), "coverage")
    assert ranks == pytest.approx([-1] * 3) and areas == (0, 0, 0)


def test_a_predictor_that_is_blind_to_one_arm_is_perfect_without_it():
    rows = records(lambda transfer, arm: 0.5 if arm == "two" else transfer)
    whole, part = (prediction.statistics(rows, "coverage", w)[0][0] for w in ((), ("two",)))
    assert max(whole) < 0.95 and part == pytest.approx([1] * 3)


def test_transfer_is_the_share_of_the_teachers_rise():
    rows = records(lambda transfer, arm: transfer)
    for arms, scores, transfer in prediction.points(rows, "coverage").values():
        assert set(arms) == set(ARMS)
        np.testing.assert_allclose(scores, transfer, atol=1e-12)


def test_the_table_fits_80_columns_and_is_left_out_for_few_points(tmp_path):
    lines = prediction.lines(records(lambda transfer, arm: transfer))
    assert sum(line.startswith(("| gradient,", "| update,")) for line in lines) == 3
    assert all(len(line) <= 80 for line in lines)
    few = records(lambda transfer, arm: transfer, settings=2)
    assert prediction.lines(few) == []
    for rows, drawn in (lines and records(lambda t, arm: t), True), (few, False):
        figures.draw(tmp_path, rows, ARMS, "a title")
        assert (tmp_path / "prediction.png").exists() == drawn
        (tmp_path / "prediction.png").unlink(missing_ok=True)


def test_what_was_logged_has_a_mean_and_an_interval_for_each_step(tmp_path):
    rows = records(lambda transfer, arm: transfer, settings=1)
    plain = report.summary(rows, ARMS)
    for repeat, step, arm in itertools.product(range(3), (0, 10), ARMS):
        for measure in figures.LOGGED:
            at = {"setting": {"x": 0}, "repeat": repeat, "arm": arm, "measure": measure}
            rows.append(at | {"value": step + repeat, "step": step})
    results = report.summary(rows, ARMS)
    assert [row for row in results if "step" not in row] == plain
    means = {row["step"]: row["mean"] for row in results if row.get("measure") == "alignment"}
    assert means == {0: 1.0, 10: 11.0}
    assert "curves.png" in figures.draw(tmp_path, rows, ARMS, "a title")
    assert json.dumps(results) and not any("trait_loss" in x for x in report.other_lines(results))
