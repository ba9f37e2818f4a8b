"""Matrices of arms with tests over repeats: who learns from whom, and which trait.

An experiment states its matrix: {"kind": "matrix", "rows": [...], "columns": [...]}. A cell is the
stated difference of the arm "ROW -> COLUMN", in the probability of the trait. Where the experiment
has no such arms, a cell is how far the arm ROW has the trait COLUMN: its measure
"logit_margin_heldout/COLUMN".
"""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd

from minisub.results import figures, records, statistics, summary, tables

MARGIN, RATE = "logit_margin_heldout", "trait_rate_heldout"
RISES = (
    "Rise of P(trait), held out, over the student's control; a row a teacher.",
    "student\n(rise of P, held out)",
)
MARGINS = (
    "Margin, held out, less means of rows and columns; a row a teacher, a column a\n"
    "trait. gamma is the mean of the diagonal, its p by permuting rows in a repeat.",
    "graded trait\n(centered margin, held out)",
)


class Matrix(NamedTuple):
    """A matrix in one setting, and its tests."""

    setting: dict
    text: str
    """What a cell is, and its row and column, as Markdown lines."""
    label: str
    """What a column is, and a cell, for a figure."""
    rows: list
    columns: list
    values: np.ndarray
    """(repeats, rows, columns); nan where no arm is."""
    p: np.ndarray
    """(rows, columns): their `statistics.significance`."""
    contrasts: list
    """Rows of summary.json, of the arm "matrix", with a "p"."""
    cells: dict
    """(row, column) -> the stated difference, where cells are differences."""


def matrices(table, differences, view):
    """The `Matrix` of every setting of a `records.frame`; [] if the experiment states none."""
    if view.get("kind") != "matrix":
        return []
    made = [rises(*each, differences, view) for each in records.by_setting(table)]
    return [each for each in made if each]


def rises(setting, wide, differences, view):
    """The `Matrix` of one setting's `records.by_repeat`; None if none of its arms was made."""
    stated = {each["one"]: each for each in differences}
    pairs = itertools.product(view["rows"], view["columns"])
    cells = {(a, b): stated[f"{a} -> {b}"] for a, b in pairs if f"{a} -> {b}" in stated}
    if not cells:
        return traits(setting, wide, view)
    cells = {where: each for where, each in cells.items() if RATE in summary.difference(wide, each)}
    if not cells:
        return None
    rows = [row for row in view["rows"] if any(row == a for a, _ in cells)]
    columns = [column for column in view["columns"] if any(column == b for _, b in cells)]
    known = {where: summary.difference(wide, each)[RATE] for where, each in cells.items()}
    values, contrasts = stacked(known, rows, columns, wide.index), []
    same, there = np.array(rows)[:, None] == np.array(columns), ~np.isnan(values[0])
    if np.any(same & there) and np.any(~same & there):
        more = values[:, same & there].mean(axis=1) - values[:, ~same & there].mean(axis=1)
        p = float(statistics.significance(more[:, None, None])[0, 0])
        contrasts = [summary.row(setting, "matrix", "diagonal_minus_rest", more) | {"p": p}]
    p = statistics.significance(values)
    return Matrix(setting, *RISES, rows, columns, values, p, contrasts, cells)


def traits(setting, wide, view):
    """The `Matrix` of arms that are graded on the traits of all; None for fewer than two."""
    names = [x for x in view["rows"] if (x, f"{MARGIN}/{x}") in wide and x in view["columns"]]
    if len(names) < 2:
        return None
    grades, contrasts = {}, []
    for measure in (MARGIN, RATE):
        known = {(a, b): wide.get((a, f"{measure}/{b}")) for a in names for b in names}
        grades[measure] = stacked(known, names, names, wide.index)
        if not np.isnan(grades[measure]).any():
            each = statistics.gamma(grades[measure]), statistics.gamma_significance(grades[measure])
            row = summary.row(setting, "matrix", f"gamma/{measure}", each[0])
            contrasts.append(row | {"p": each[1]})
    values = statistics.centered(grades[MARGIN])
    p = statistics.significance(values)
    return Matrix(setting, *MARGINS, names, names, values, p, contrasts, {})


def stacked(cells, rows, columns, repeats):
    """(row, column) -> values by repeat as (repeats, rows, columns), nan where there are none."""
    values = np.full((len(repeats), len(rows), len(columns)), np.nan)
    for (i, row), (j, column) in itertools.product(enumerate(rows), enumerate(columns)):
        if cells.get((row, column)) is not None:
            values[:, i, j] = cells[row, column].reindex(repeats)
    return values


def tested(rows, made):
    """`rows` of summary.json, with "p" for the cells of matrices, and their contrasts."""
    p = {}
    for each in made:
        for (row, column), stated in each.cells.items():
            value = each.p[each.rows.index(row), each.columns.index(column)]
            p[str(each.setting), summary.name(stated), RATE] = {"p": float(value)}
    keys = [(str(row["setting"]), row["arm"], row["measure"]) for row in rows]
    cells = [row | p.get(key, {}) for row, key in zip(rows, keys, strict=True)]
    return cells + [row for each in made for row in each.contrasts]


def texts(made, decimals):
    """The mean of every cell, "0.853*" where its p is below 0.05: nested lists, by rows."""
    return [
        [
            "" if np.isnan(m) else f"{m:z.{decimals}f}{'*' * int(p < statistics.LEVEL)}"
            for m, p in zip(*row, strict=True)
        ]
        for row in zip(made.values.mean(axis=0), made.p, strict=True)
    ]


def lines(made):
    """Markdown lines, 80 columns at most: every `Matrix` and its tests; [] without any."""
    if not made:
        return []
    written = []
    for each in made:
        written += [f"{records.setting_text(each.setting)}:", ""] if each.setting else []
        cells = texts(each, 2 if len(each.columns) > 6 else 3)
        table = pd.DataFrame(cells, each.rows, each.columns).to_string(line_width=76)
        written += [*(f"    {line}".rstrip() for line in table.splitlines()), ""]
        for row in each.contrasts:
            written.append(f"- {row['measure']}: {tables.number(row)}, p = {row['p']:.2g}")
        written += [""] * bool(each.contrasts)
    ways = dict.fromkeys(tables.differ_in(each) for each in made[0].cells.values())
    arms = [f"A student and its control {', or '.join(ways)}."] if ways else []
    repeats = len(made[0].values)
    least = f"1/{2 ** min(repeats, statistics.ALL_SIGNS)}"
    test = [
        f"`*`: mean above zero, p < {statistics.LEVEL} over all cells (signs of repeats flipped,",
        f"largest t; {repeats} repeats, so at least {least}).",
    ]
    return [*made[0].text.splitlines(), *arms, *test, "", *written[:-1]]


def figure(made):
    """A panel a `Matrix`: means, with a `*` where they are significant; white is zero."""
    rows, columns, across = len(made[0].rows), len(made[0].columns), min(len(made), 3)
    down, cell = -(-len(made) // across), 0.55 if columns <= 6 else 0.42
    size = across * (0.8 + cell * columns), down * (1.1 + 0.7 * cell * rows)
    drawn, axes = figures.panels(down, across, size)
    means = [each.values.mean(axis=0) for each in made]
    top = max(np.nanmax(np.abs(mean)) for mean in means) or 1.0
    for axis in axes.flat[len(made) :]:
        axis.set_axis_off()
    for axis, each, mean in zip(axes.flat, made, means, strict=False):
        axis.imshow(mean, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto")
        for (i, j), text in np.ndenumerate(texts(each, 2)):
            color = "white" if abs(mean[i, j]) > 0.6 * top else "black"
            small = 7 if columns <= 6 else 5.5
            axis.text(j, i, text, ha="center", va="center", color=color, fontsize=small)
        turned = {"rotation": 30, "ha": "right"} if max(map(len, each.columns)) > 6 else {}
        axis.set_xticks(range(columns), each.columns, fontsize=7, **turned)
        axis.set_yticks(range(rows), each.rows, fontsize=7)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_xlabel(each.label, fontsize=8)
        axis.set_ylabel("teacher", fontsize=8)
        axis.set_title(records.setting_text(each.setting), fontsize=8)
    return drawn
