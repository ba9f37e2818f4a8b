"""Several runs on one page: what each showed, in a table, and then their own pages."""

import json
import os
import re

from minisub import config, report, views

HEADER = "run", "arm", "repeats", "main measure"


def page(folders, out):
    """(text of a page that joins the runs in `folders`, those that hold no finished run).

    Figures are linked from where `out`, the page's path, is. Raises `config.Refused` if no folder
    holds a finished run or a file of one is damaged.
    """
    runs, left = [], []
    for folder in folders:
        whole = all((folder / name).is_file() for name in ("report.md", "summary.json"))
        (runs if whole else left).append(folder)
    config.require(runs, "There is no finished run in what is given; give run folders.")
    rows = [row for folder in runs for row in shown(folder)]
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    parts = ["# Runs", "", *report.table(HEADER, widths, rows)]
    for folder in runs:
        text = (folder / "report.md").read_text(encoding="utf-8")
        to = os.path.relpath(folder, out.parent)
        text = re.sub(r"!\[([^\]]*)\]\(([^)]+)\)", rf"![\1]({to}/\2)", text)
        parts += ["", re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE).rstrip()]
    return "\n".join(parts) + "\n", left


def shown(folder):
    """Rows of the table: a run's paired differences in its main measure, or all of its arms'."""
    try:
        found = json.loads((folder / "summary.json").read_bytes())
        main = views.view(found).main if found else None
        rows = [row for row in found if row["measure"] == main and "step" not in row]
        rows = [row for row in rows if " - " in row["arm"]] or rows
        if not rows:
            raise ValueError("nothing is shown")
        return [
            [folder.name, setting_and_arm(row), str(row["repeats"]), report.number(row)]
            for row in rows
        ]
    except (ValueError, KeyError, TypeError, IndexError):
        path = folder / "summary.json"
        raise config.Refused(f"{path} is damaged; run its command again or leave it out.") from None


def setting_and_arm(row):
    """An arm's name, behind its setting if there is one."""
    return f"{report.setting_name(row['setting'])} {report.short(row['arm'])}".strip()
