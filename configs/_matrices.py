"""Matrices of arms with tests over repeats: who learns from whom, and which trait.

A cell is the stated difference of the arm "ROW -> COLUMN", in the probability of the trait. Where
the experiment has no such arms, a cell is how far the arm ROW has the trait COLUMN: its measure
"logit_margin_heldout/COLUMN".
"""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd

from minisub.results import figures, records, summary, tables
from minisub.results.pages import Section

LEVEL = 0.05  # A p below it has a star in tables and figures.
ALL_SIGNS = 12  # Repeats up to which all vectors of signs are tried.
DRAWS = 10_000  # Random permutations of rows.
TIE = 1e-9  # Statistics that differ by less differ by rounding.
MARGIN, RATE = "logit_margin_heldout", "trait_rate_heldout"
RISES = "Rise of P(trait), held out, over the student's control; a row a teacher."
MARGINS = """Margin, held out, less means of rows and columns; a row a teacher, a column a
trait. gamma is the mean of the diagonal, its p by permuting rows in a repeat."""


class Matrix(NamedTuple):
    """A matrix in one setting, and its tests."""

    setting: dict
    rows: list
    columns: list
    values: np.ndarray  # (repeats, rows, columns); nan where no arm is.
    contrasts: list  # Rows of summary.json, of the arm "matrix", with a "p".
    cells: dict  # (row, column) -> the stated difference; {} where cells are grades.

    @property
    def p(self):
        """The p of cells, as a table: see `significance`."""
        return pd.DataFrame(significance(self.values), self.rows, self.columns)

    @property
    def tests(self):
        """Rows of summary.json: the contrasts, and the p of each cell."""
        p = self.p
        cells = (
            {"setting": self.setting, "arm": summary.name(each), "measure": RATE}
            | {"p": float(p.at[where])}
            for where, each in self.cells.items()
        )
        return [*cells, *self.contrasts]


def sections(table, differences, rows, columns):
    """What is added to the page of a run, in place of its usual figure."""
    matrices = stated(table, differences, rows, columns)
    if not matrices:
        return []
    tests = [row for matrix in matrices for row in matrix.tests]
    cells = {summary.name(each) for matrix in matrices for each in matrix.cells.values()}
    drawn = "figure", (figure, matrices)
    return [Section(lines(matrices), "", *drawn, rows=tests, differences=cells)]


def stated(table, differences, rows, columns):
    """The `Matrix` of every setting of a `records.frame` that has one."""
    settings = records.by_setting(table)
    matrices = (rises(setting, wide, differences, rows, columns) for setting, wide in settings)
    return [matrix for matrix in matrices if matrix]


def rises(setting, wide, differences, rows, columns):
    """The `Matrix` of one setting of `records.by_setting`; None if none of its arms was made."""
    arms = {f"{a} -> {b}": (a, b) for a, b in itertools.product(rows, columns)}
    cells = {arms[each["one"]]: each for each in differences if each["one"] in arms}
    if not cells:
        return grades(setting, wide, rows, columns)
    paired = {where: summary.difference(wide, each).get(RATE) for where, each in cells.items()}
    known = {where: values for where, values in paired.items() if values is not None}
    if not known:
        return None
    values = stacked(pd.DataFrame(known), arms.values(), (len(rows), len(columns)))
    same, there = np.array(rows)[:, None] == np.array(columns), ~np.isnan(values[0])
    contrasts = []
    if np.any(same & there) and np.any(~same & there):
        more = values[:, same & there].mean(axis=1) - values[:, ~same & there].mean(axis=1)
        p = float(significance(more[:, None, None])[0, 0])
        contrasts = [summary.row(setting, "matrix", "diagonal_minus_rest", more) | {"p": p}]
    return Matrix(setting, rows, columns, values, contrasts, {x: cells[x] for x in known})


def grades(setting, wide, rows, columns):
    """The `Matrix` of arms that are graded on the traits of all; None for fewer than two."""
    names = [x for x in rows if (x, f"{MARGIN}/{x}") in wide and x in columns]
    if len(names) < 2:
        return None
    values, contrasts = {}, []
    for measure in (MARGIN, RATE):
        keys = [(a, f"{measure}/{b}") for a, b in itertools.product(names, names)]
        values[measure] = stacked(wide, keys, (len(names), len(names)))
        if not np.isnan(values[measure]).any():
            row = summary.row(setting, "matrix", f"gamma/{measure}", gamma(values[measure]))
            contrasts.append(row | {"p": gamma_significance(values[measure])})
    return Matrix(setting, names, names, centered(values[MARGIN]), contrasts, {})


def significance(values):
    """p, one-sided, that a cell's mean is above zero, corrected for all cells: (rows, columns).

    The signs of whole repeats of `values` (repeats, rows, columns) are flipped, in all or in 4,096
    random ways, and a cell's t is compared with the largest of all cells: single-step maxT of
    Westfall and Young (1993), as in Nichols and Holmes (2002).
    """
    repeats = len(values)
    if repeats <= ALL_SIGNS:
        signs = np.array(list(itertools.product((1, -1), repeat=repeats)))
    else:
        signs = np.random.default_rng(0).choice((1, -1), (4096, repeats))
        signs[0] = 1
    # Flips keep a cell's root mean square, and t is a rising function of the mean over it.
    size = np.sqrt(np.mean(values**2, axis=0))
    scores = np.tensordot(signs, values, 1) / (repeats * np.where(size == 0, 1, size))
    largest = np.fmax.reduce(scores, axis=(1, 2), keepdims=True)  # of those that are numbers
    return np.where(np.isnan(size), np.nan, np.mean(largest >= scores[:1] - TIE, axis=0))


def centered(values):
    """(repeats, rows, columns) less the means of rows and of columns, within each repeat."""
    of_rows, of_columns = (values.mean(axis=axis, keepdims=True) for axis in (2, 1))
    return values - of_rows - of_columns + values.mean(axis=(1, 2), keepdims=True)


def gamma(values):
    """Mean of the diagonal of `centered` values, by repeat: zero if grades are sums of effects."""
    return np.trace(centered(values), axis1=1, axis2=2) / values.shape[1]


def gamma_significance(values):
    """p of the mean `gamma` of (repeats, traits, traits), one-sided.

    Rows are permuted within each repeat separately, in 10,000 random ways beside that of the data.
    """
    repeats, traits, _ = values.shape
    order = np.broadcast_to(np.arange(traits), (DRAWS, repeats, traits))
    order = np.random.default_rng(0).permuted(order, axis=2)
    drawn = centered(values)[np.arange(repeats)[None, :, None], order, np.arange(traits)]
    above = drawn.mean(axis=(1, 2)) >= gamma(values).mean() - TIE
    return float((1 + above.sum()) / (1 + DRAWS))


def stacked(wide, keys, shape):
    """Columns of a table of repeats as (repeats, rows, columns), nan where there are none."""
    return wide.reindex(columns=pd.MultiIndex.from_tuples(keys)).to_numpy().reshape(-1, *shape)


def texts(matrix, decimals):
    """A table of the means of cells, "0.853*" where the p is below 0.05."""
    means = pd.DataFrame(matrix.values.mean(axis=0), matrix.rows, matrix.columns)
    texts = means.map(lambda mean: f"{mean:z.{decimals}f}", na_action="ignore").astype(object)
    return texts.mask(matrix.p < LEVEL, texts + "*").fillna("")


def lines(matrices):
    """Markdown lines, 80 columns at most: every `Matrix` and its tests; [] without any."""
    if not matrices:
        return []
    blocks = []
    for matrix in matrices:
        blocks += [f"{records.named(matrix.setting)}:", ""] if matrix.setting else []
        blocks += [*tables.block(texts(matrix, 2 if len(matrix.columns) > 6 else 3)), ""]
        for row in matrix.contrasts:
            blocks.append(f"- {row['measure']}: {tables.number(row)}, p = {row['p']:.2g}")
        blocks += [""] * bool(matrix.contrasts)
    [matrix, *_], repeats = matrices, len(matrices[0].values)
    ways = dict.fromkeys(tables.differ_in(each) for each in matrix.cells.values())
    arms = [f"A student and its control {', or '.join(ways)}."] if ways else []
    text = f"""\
`*`: mean above zero, p < {LEVEL} over all cells (signs of repeats flipped,
largest t; {repeats} repeats, so at least 1/{2 ** min(repeats, ALL_SIGNS)}).
"""
    about = (RISES if matrix.cells else MARGINS).split("\n")
    return [*about, *arms, *text.split("\n"), *blocks[:-1]]


def figure(matrices):
    """A panel a `Matrix`: means, with a `*` where they are significant; white is zero."""
    rows, columns = len(matrices[0].rows), len(matrices[0].columns)
    cell, small = (0.55, 7) if columns <= 6 else (0.42, 5.5)
    size = len(matrices) * (0.8 + cell * columns), 1.1 + 0.7 * cell * rows
    drawn, [axes] = figures.panels(1, len(matrices), size)
    means = [matrix.values.mean(axis=0) for matrix in matrices]
    top = max(np.nanmax(np.abs(mean)) for mean in means) or 1.0
    for axis, matrix, mean in zip(axes, matrices, means, strict=True):
        axis.imshow(mean, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto")
        for (i, j), text in np.ndenumerate(texts(matrix, 2)):
            color = "white" if abs(mean[i, j]) > 0.6 * top else "black"
            axis.text(j, i, text, ha="center", va="center", color=color, fontsize=small)
        axis.set_xticks(range(columns), matrix.columns, fontsize=7, rotation=30, ha="right")
        axis.set_yticks(range(rows), matrix.rows, fontsize=7)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        xlabel = "student\n(rise of P, held out)" if matrix.cells else "trait\n(centered margin)"
        axis.set(xlabel=xlabel, ylabel="teacher")
        axis.set_title(records.named(matrix.setting), fontsize=8)
    return drawn
