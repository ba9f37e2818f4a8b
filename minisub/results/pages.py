"""What a run leaves to be read: its summary, its page and figures; and one page of many runs."""

import functools
import json
import os
import re
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from minisub import config
from minisub.lab import files
from minisub.results import figures, records, summary, tables, views

FIGURES = {views.CLAIMS.main: figures.claims}
"""Main measure -> figure, of experiments that are neither shown by arm nor by a swept field."""


class Section(NamedTuple):
    """A part of a run's page; without lines it is left out."""

    lines: list
    title: str = ""
    figure: str = ""  # The name of the figure below the lines,
    draw: tuple = ()  # what makes it, and the arguments of that.
    printed: bool = True  # Whether the lines are printed, too, when the run ends.
    rows: tuple = ()  # What it adds to rows of summary.json, and rows of its own.
    differences: frozenset = frozenset()  # Names of those that no other table repeats.


def write(folder, rows, experiment, usage_lines=(), sections=None):
    """Write summary.json, report.md and the figures of a run into `folder`; return lines to print.

    `rows` are those of records.jsonl. `experiment` has "title", "claim", "command" and
    "differences" (see `summary`); it may have "made_by", name -> value of what the results depend
    on. `sections`, of the records as a table and the differences, are an experiment's own
    `Section`s. A statistic or a figure that fails is a sentence among the lines.
    """
    folder, table, failures = Path(folder), records.frame(rows), []
    attempt = functools.partial(attempted, failures)
    differences = experiment.get("differences", [])
    view = views.view(table["measure"][table["step"].isna()])
    results = summary.summary(table, differences)
    own = (sections and attempt("What the experiment adds", sections, table, differences)) or []
    whole = summary.joined(results, [row for section in own for row in section.rows])
    files.write_atomically(folder / "summary.json", json.dumps(whole, indent=1) + "\n")
    shown = [
        *(attempt("The table", usual_sections, table, differences, view, results, own) or []),
        Section(list(usage_lines), "Time of the processes that finished the run:"),
    ]
    shown = [section for section in shown if section.lines]
    files.write_atomically(folder / "report.md", page(experiment, shown))
    written = ["records.jsonl", "summary.json", "report.md"]
    for section in shown:
        if section.figure:
            path = folder / f"{section.figure}.png"
            how = "", path, *section.draw
            written += filter(None, [attempt(path.name, figures.draw, *how)])
    printed = [[section.title, ""] * bool(section.title) + section.lines
               for section in shown if section.printed]  # fmt: skip
    printed = [line for lines in [*printed, failures] if lines for line in [*lines, ""]]
    return [*printed, f"{folder} holds {', '.join(written)}"]


def attempted(failures, what, make, *arguments):
    """What `make` returns; if it raises, None, and `failures` has a sentence."""
    try:
        return make(*arguments)
    except Exception as error:  # of any kind: no figure is worth the hours of training before
        failures.append(f"{what} is missing, because of {type(error).__name__}: {error}.")


def usual_sections(table, differences, view, results, own):
    """What was measured as sections: a run's main table and figure, and an experiment's `own`. A
    figure of these that is named "figure" replaces the main one: below the lines of its section,
    or, if it has none, below the main table."""
    make = FIGURES.get(view.main, functools.partial(figures.by_arm, differences=differences))
    usual = figures.against_field if records.fields(table) else make, table, view
    logged = ["While students trained:"] if table["step"].notna().any() else []
    cells = {name for section in own for name in section.differences}
    drawn = [section for section in own if section.figure == "figure"]
    figure = next((section.draw for section in drawn if not section.lines), usual)
    moved = any(section.lines for section in drawn)
    main = tables.main_table(results, view, without=cells)
    compared = tables.difference_lines(table, differences, view, without=cells)
    # Beside lines that the experiment adds not every grade of every arm is listed.
    others = tables.other_lines(results, view, graded=not any(section.lines for section in own))
    return [
        Section(main, tables.heading(results), "" if moved else "figure", figure),
        Section(compared, f"Paired differences, {view.label}:"),
        Section(tables.glossary(results, view), "What the measures are:", printed=False),
        Section(logged, "", "curves", (figures.curves, table), printed=False),
        *own,
        Section(others, "Other measures (means):", printed=False),
    ]


def page(experiment, sections):
    """The text of report.md: what was run, what came out, and what it took."""
    made_by = experiment.get("made_by", {}).items()
    made = ", ".join(f"{name} {value}" for name, value in made_by if value != "")
    parts = [f"# {experiment['title']}", experiment["claim"], f"    {experiment['command']}", made]
    for section in sections:
        parts += [section.title, "\n".join(section.lines)]
        parts += [f"![{section.figure}]({section.figure}.png)"] if section.figure else []
    return "\n\n".join(filter(None, parts)) + "\n"


def joined(folders, out="."):
    """The text of a page of the runs in `folders`: a table of what each showed, and their pages.

    Figures are linked from where the page will be, at the path `out`; folders without a finished
    run are named. Raises `config.Refused` if none is finished or a summary is damaged.
    """
    folders = list(map(Path, folders))
    needed = "report.md", "summary.json"
    whole = [f for f in folders if all(os.path.isfile(f / name) for name in needed)]
    config.require(whole, "There is no finished run in what is given; give run folders.")
    rows = [row for folder in whole for row in joined_rows(folder)]
    parts = ["# Runs", "", *tables.table(["run", "arm", "repeats", "main measure"], rows), ""]
    parts += [f"{x} holds no finished run and is left out." for x in folders if x not in whole]
    for folder in whole:
        text = (folder / "report.md").read_text(encoding="utf-8", errors="replace")
        to = urllib.parse.quote(os.path.relpath(folder, Path(out).parent))
        text = re.sub(r"!\[([^\]]*)\]\(([^)]+)\)", rf"![\1]({to}/\2)", text)
        parts += ["", re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE).rstrip()]
    return "\n".join(parts) + "\n"


def joined_rows(folder):
    """Rows of the table: a run's differences in its main measure, or all of its arms."""
    path = folder / "summary.json"
    try:
        rows = [row for row in json.loads(path.read_bytes()) if "step" not in row]
        main = views.view([row["measure"] for row in rows]).main
        rows = [row for row in rows if row["measure"] == main]
        rows = [row for row in rows if "differs_in" in row] or rows
        names = tables.short_names(row["arm"] for row in rows)
        arms = [records.named(row["setting"], names[row["arm"]]) for row in rows]
        pairs = zip(arms, rows, strict=True)
        return [(folder.name, arm, row["repeats"], tables.number(row)) for arm, row in pairs]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise config.Refused(f"{path} is damaged; run its command again or leave it out.") from None
