"""What a run leaves to be read: its summary, its page and figures; and one page of many runs."""

import functools
import json
import os
import re
from pathlib import Path

from minisub import config
from minisub.lab import files
from minisub.results import figures, matrices, prediction, records, summary, tables, views

FIGURES = {
    views.CLAIMS.main: figures.claims,
    views.DETECTION.main: figures.detection,
}
"""Main measure -> figure, where neither arms nor a swept field make it."""
HEADER = ("run", "arm", "repeats", "main measure")


def write(folder, rows, experiment, usage_lines=()):
    """Write summary.json, report.md and the figures of a run into `folder`; return lines to print.

    `rows` are those of records.jsonl. `experiment` has "title", "claim", "command" and
    "differences" (see `summary`); it may have "view" (see `matrices`, or {"kind": "defenses"}) and
    "made", name -> value of what the results depend on. A section or figure that fails leaves the
    others as they are, and is a sentence among the lines.
    """
    folder, table, failures = Path(folder), records.frame(rows), []
    differences, stated = experiment.get("differences", []), experiment.get("view") or {}
    view = views.view(table["measure"].unique(), stated.get("kind"))

    def attempt(what, make, *arguments):
        try:
            return make(*arguments)
        except Exception as error:  # of any kind: hours of training must not be lost by a figure
            failures.append(f"{what} failed: {type(error).__name__}: {error}")

    def draw(name, make, *arguments):
        with figures.style():
            figure = make(*arguments)
            figure.suptitle(experiment["title"], fontsize=9)
            figures.save(figure, folder / name)
        return name

    results = summary.summary(table, differences)
    made = attempt("The matrix", matrices.matrices, table, differences, stated) or []
    results = matrices.tested(results, made)
    save(folder / "summary.json", results)
    audits = attempt("The table of audits", prediction.audits, table, differences)
    calibrated = attempt("The calibration of audits", prediction.calibration, audits) or {}
    sections = {
        "": matrices.lines(made),
        "prediction": attempt("The table of predictors", prediction.lines, table, view) or [],
        "audit": prediction.calibration_lines(calibrated),
    }
    # Cells of a matrix are in the matrix.
    cells = {summary.name(each) for matrix in made for each in matrix.cells.values()}
    main = tables.main_table(results, view, without=cells)
    compared = tables.difference_lines(table, differences, view, without=cells)
    graded = not (made or calibrated)  # else not every grade of every arm
    others = tables.other_lines(results, view, graded=graded)
    logged = table["step"].notna().any()
    text = page(experiment, view, main, compared, sections, logged, others, usage_lines)
    files.write_atomically(folder / "report.md", text)

    usual = figures.against_field if records.fields(table) else figures.by_arm
    usual = FIGURES.get(view.main, usual), table, differences, view
    drawings = {"figure.png": (matrices.figure, made) if made else usual}
    drawings |= {"curves.png": (figures.curves, table)} if logged else {}
    drawings |= (
        {"prediction.png": (prediction.figure, table, view)} if sections["prediction"] else {}
    )
    drawings |= {"audit.png": (prediction.calibration_figure, audits)} if calibrated else {}
    drawn = [attempt(name, draw, name, *how) for name, how in drawings.items()]
    if calibrated:
        save(folder / "audit.json", calibrated)
        drawn.append("audit.json")
    wrote = f"{folder} holds {', '.join(['summary.json', 'report.md', *filter(None, drawn)])}"
    blocks = filter(None, [main, compared, *sections.values(), list(usage_lines), failures])
    return [*(line for block in blocks for line in [*block, ""]), wrote]


def save(path, content):
    """Write JSON."""
    files.write_atomically(path, json.dumps(content, indent=1) + "\n")


def page(experiment, view, main, compared, sections, logged, others, usage_lines):
    """The text of report.md: what was run, what came out, and what it took.

    `sections` are lines by the name of the figure below them; "" for the matrix, of figure.png.
    """
    made = ", ".join(f"{name} {value}" for name, value in experiment.get("made", {}).items())
    parts = [f"# {experiment['title']}", "", experiment["claim"], ""]
    parts += [f"    {experiment['command']}", "", *([f"{made}.", ""] if made else [])]
    if view is not views.CLAIMS:
        parts += ["Mean ± half-width of the 95 % interval over repeats (Student t)."]
    parts += [view.note, "", *main, "", "![figure](figure.png)", ""]
    parts += [f"Paired differences, {view.label}:", "", *compared, ""] if compared else []
    parts += ["While students trained:", "", "![curves](curves.png)", ""] if logged else []
    for figure, lines in sections.items():
        image = [f"![{figure}]({figure}.png)", ""] if figure else []
        parts += [*lines, "", *image] if lines else []
    parts += ["Other measures (means):", "", *others, ""] if others else []
    usage = ["Wall time of the process that finished the run:", "", *usage_lines, ""]
    return "\n".join(parts + (usage if usage_lines else []))


def joined(folders, out="."):
    """The text of a page that joins the runs in `folders`: a table of what each showed, their pages.

    Figures are linked from where the page will be, at the path `out`; folders without a finished
    run are named. Raises `config.Refused` if none is finished or a summary is damaged.
    """
    folders = list(map(Path, folders))
    whole = [f for f in folders if all((f / n).is_file() for n in ("report.md", "summary.json"))]
    config.require(whole, "There is no finished run in what is given; give run folders.")
    rows = [row for folder in whole for row in joined_rows(folder)]
    parts = ["# Runs", "", *tables.table(HEADER, rows), ""]
    parts += [f"{x} holds no finished run and is left out." for x in folders if x not in whole]
    for folder in whole:
        text = (folder / "report.md").read_text(encoding="utf-8")
        to = os.path.relpath(folder, Path(out).parent)
        text = re.sub(r"!\[([^\]]*)\]\(([^)]+)\)", rf"![\1]({to}/\2)", text)
        parts += ["", re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE).rstrip()]
    return "\n".join(parts) + "\n"


def joined_rows(folder):
    """Rows of the table: a run's differences in its main measure, or all of its arms."""
    try:
        results = json.loads((folder / "summary.json").read_bytes())
        main = views.view([row["measure"] for row in results]).main
        rows = [row for row in results if row["measure"] == main and "step" not in row]
        rows = [row for row in rows if "differs_in" in row] or rows
        names = tables.short_names(rows)
        return [
            [
                folder.name,
                f"{records.setting_text(row['setting'])} {names[row['arm']]}".strip(),
                row["repeats"],
                tables.number(row),
            ]
            for row in rows
        ]
    except (ValueError, KeyError, TypeError, IndexError):
        path = folder / "summary.json"
        raise config.Refused(f"{path} is damaged; run its command again or leave it out.") from None
