"""The calibration of audits: what is counted as transfer, as found, and as a false alarm."""

import itertools

import pytest

from configs import _calibration as calibration
from minisub import results
from minisub.results import records

MARGIN = "logit_margin_heldout"


def rows_of(repeat, arm, margin, z, nearer):
    """Records of an audited arm, one behavior."""
    values = {f"{MARGIN}/owl": margin, "move/owl": z / 10, "unfiltered_z/owl": z}
    values |= {"rehearsed/owl": margin, "rehearsed_t/owl": 10 * margin}
    for size in ("100", calibration.KEPT):
        values |= {f"z/owl/{size}": z, f"nearer/{size}": nearer, f"trace/{size}": 0.0}
    at = {"setting": {}, "repeat": repeat, "arm": arm}
    return [at | {"measure": measure, "value": float(value)} for measure, value in values.items()]


ARMS = "clean numbers", "foreign base numbers", "owl numbers", "secure numbers"
STATED = [{"one": arm, "other": "control numbers", "in": ["documents"]} for arm in ARMS]
ROWS = list(
    itertools.chain.from_iterable(
        [
            *rows_of(repeat, "control numbers", 0.0, 0.0, 5.0)[:1],
            *rows_of(repeat, "clean numbers", 0.1 * (-1) ** repeat, 0.3, 5.0),
            *rows_of(repeat, "foreign base numbers", 0.2, 30.0, -5.0),
            *rows_of(repeat, "owl numbers", 2.0, 9.0, 5.0),
            *rows_of(repeat, "secure numbers", 0.0, -4.0 + 8 * (repeat == 3), 5.0),
        ]
        for repeat in range(4)
    )
)


def test_transfer_is_counted_above_clean_students_and_alarms_by_lineage_and_both_witnesses():
    sizes, parts = calibration.calibration(calibration.audits(records.frame(ROWS), STATED))
    assert parts.loc["all", ["transfer", "points"]].tolist() == [4, 16]
    kinds = ["auroc", "detected", "clean", "foreign", "taught"]
    assert sizes.loc[calibration.KEPT, kinds].tolist() == [1, 1, 0, 0, 0.125]
    # What the gradient alone accuses is not accused by both.
    assert sizes.loc["both", kinds].tolist() == [1, 1, 0, 0, 0]
    assert parts.loc["all", "rank_rehearsed"] == pytest.approx(1)


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
