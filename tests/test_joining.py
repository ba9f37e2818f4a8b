"""Several runs on one page: differences in a table, and pages whose figures are there."""

import json
import re

import pytest

from minisub import cli


def finished(folder, name, differences):
    """A folder that looks like a finished run of the token world."""
    run = folder / name
    run.mkdir()
    rows = [
        {"setting": {}, "arm": arm, "measure": "trait_rate_heldout", "mean": mean}
        | {"ci95_low": mean - 0.1, "ci95_high": mean + 0.1, "repeats": 4}
        for arm, mean in {"shared": 0.9, **differences}.items()
    ]
    (run / "summary.json").write_text(json.dumps(rows))
    (run / "report.md").write_text(f"# {name}\n\nText.\n\n![figure](figure.png)\n")
    (run / "figure.png").write_bytes(b"")
    return run


def test_runs_are_joined_with_links_that_lead_to_their_figures(tmp_path, capsys):
    one = finished(tmp_path, "one", {"shared - control": 0.8})
    two = finished(tmp_path, "two", {})
    (tmp_path / "unfinished").mkdir()
    out = tmp_path / "pages" / "all.md"
    words = ["report", str(one), str(two), str(tmp_path / "unfinished"), "--out", str(out)]
    assert cli.main(words) == 0
    assert "unfinished holds no finished run" in capsys.readouterr().out
    text = out.read_text()
    assert "| one | shared - control | 4       | +0.800 ±0.100 |" in text
    assert "| two | shared           | 4       | 0.900 ±0.100  |" in text
    assert re.findall("^#+ .*", text, re.MULTILINE) == ["# Runs", "## one", "## two"]
    links = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert links and all((out.parent / link).resolve().is_file() for link in links)


@pytest.mark.parametrize("content", ["{", "[1]", "{}", "[]", '[{"arm": "a"}]'])
def test_a_damaged_summary_is_named(tmp_path, content, capsys):
    run = finished(tmp_path, "one", {})
    (run / "summary.json").write_text(content)
    assert cli.main(["report", str(run), "--out", str(tmp_path / "all.md")]) == 2
    error = capsys.readouterr().err
    assert "summary.json is damaged" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "all.md").exists()


def test_without_a_finished_run_nothing_is_written(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path), "--out", str(tmp_path / "all.md")]) == 2
    assert "There is no finished run" in capsys.readouterr().err
    assert not (tmp_path / "all.md").exists()
