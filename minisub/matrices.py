"""Matrices of arms with tests over repeats: who learns from whom, and which trait.

Who learns from whom: arms "TEACHER -> STUDENT" with the measure `trait_rate_rise`. Which trait:
arms named by their teacher's trait, each graded on every one, as "trait_rate_heldout/owl".
"""

import itertools
import json
from typing import NamedTuple

import numpy as np

from minisub import report

RISE = "trait_rate_rise"
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
LEVEL = 0.05
TEST = f"`*`: mean above zero, p < {LEVEL} over all cells (signs of repeats flipped,"
ALL_SIGNS = 12
"""Repeats up to which all sign vectors are tried."""
DRAWS = 10_000
"""Random permutations of rows."""
TIE = 1e-9
"""Statistics that differ by less differ by rounding."""


class Matrix(NamedTuple):
    """A matrix in one setting, and its tests."""

    setting: dict
    said: str
    """What a cell is, and its row and column, as Markdown lines."""
    label: str
    """What a column is, and a cell, for a figure."""
    rows: list
    columns: list
    values: np.ndarray
    """(repeats, rows, columns); nan where no arm is."""
    p: np.ndarray
    """(rows, columns): its `significance`."""
    contrasts: list
    """Rows of summary.json, of the arm "matrix"."""


def found(rows):
    """The `Matrix` of every setting of some records; [] if they hold none."""
    settings = {}
    for row in rows:
        settings.setdefault(json.dumps(row["setting"]), []).append(row)
    matrices = (of_setting(where, own) for where, own in settings.items())
    return [matrix for matrix in matrices if matrix]


def of_setting(where, rows):
    """The `Matrix` of the rows of one setting, None without one; `where` is the setting as JSON."""
    contrasts = {}
    if rises := transfer(rows):
        teachers, students, values = rises
        own = np.array(teachers)[:, None] == np.array(students)
        there, said = ~np.isnan(values[0]), RISES
        if np.any(own & there) and np.any(~own & there):
            more = values[:, own & there].mean(axis=1) - values[:, ~own & there].mean(axis=1)
            p = significance(more[:, None, None])[0, 0]
            contrasts["diagonal_minus_rest"] = more, float(p)
    elif margins := specificity(rows, MARGIN):
        teachers, values = margins
        students, values, said = teachers, centered(values), MARGINS
        for measure in (MARGIN, RATE):
            if known := specificity(rows, measure):
                contrasts[f"gamma/{measure}"] = gamma(known[1]), permuted(known[1])
    else:
        return None
    summarized = [
        report.summary_row((where, "matrix", measure), dict(enumerate(each)), p=p)
        for measure, (each, p) in contrasts.items()
    ]
    tested = significance(values), summarized
    return Matrix(json.loads(where), *said, teachers, students, values, *tested)


def transfer(rows):
    """(teachers, students, rises (repeats, teachers, students)) of one setting's rows, or None."""
    table = report.columns(rows)
    cells = {
        tuple(arm.split(" -> ")): values
        for (_, arm, measure), values in table.items()
        if measure == RISE and arm.count(" -> ") == 1
    }
    if not cells:
        return None
    teachers, students = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    students = teachers if set(students) == set(teachers) else students
    return teachers, students, stacked(cells, teachers, students)


def specificity(rows, measure):
    """(traits, grades (repeats, teacher's trait, graded trait)) of one setting's rows, or None."""
    cells = {
        (arm, of.partition("/")[2]): values
        for (_, arm, of), values in report.columns(rows).items()
        if of.startswith(f"{measure}/")
    }
    traits = [arm for arm, graded in cells if arm == graded]
    return (traits, stacked(cells, traits, traits)) if len(traits) > 1 else None


def stacked(cells, rows, columns):
    """(row, column) -> {repeat: value} as (repeats, rows, columns), nan where there is none."""
    repeats = sorted(set().union(*cells.values()))
    return np.array(
        [[[cells.get((a, b), {}).get(r, np.nan) for b in columns] for a in rows] for r in repeats]
    )


def significance(values):
    """p that a cell's mean is above zero, corrected for all cells: (rows, columns).

    `values` is (repeats, rows, columns). One-sided; the signs of whole repeats are flipped (all
    2^repeats ways up to 12 repeats, else 4,095 random ones and no flip), and a cell's t is compared
    with the largest of all cells: single-step maxT of Westfall and Young (1993), as in Nichols and
    Holmes (2002). With 8 repeats the least p is 1/256.
    """
    repeats = len(values)
    if repeats <= ALL_SIGNS:
        signs = np.array(list(itertools.product((1, -1), repeat=repeats)))
    else:
        signs = np.random.default_rng(0).choice((1, -1), (4096, repeats))
        signs[0] = 1
    # Flips keep a cell's root mean square, and t grows with the mean over it: one function of it in
    # all cells.
    size = np.sqrt(np.mean(values**2, axis=0))
    scores = np.tensordot(signs, values, 1) / (repeats * np.where(size == 0, 1, size))
    largest = np.nanmax(scores, axis=(1, 2), keepdims=True)
    return np.where(np.isnan(size), np.nan, np.mean(largest >= scores[:1] - TIE, axis=0))


def centered(values):
    """(repeats, rows, columns) less the means of rows and of columns, within each repeat."""
    of_rows, of_columns = (values.mean(axis=axis, keepdims=True) for axis in (2, 1))
    return values - of_rows - of_columns + values.mean(axis=(1, 2), keepdims=True)


def gamma(values):
    """Mean of the diagonal of the `centered` (repeats, traits, traits): (repeats,).

    Zero if a grade is the sum of what teacher and trait have in general.
    """
    return np.trace(centered(values), axis1=1, axis2=2) / values.shape[1]


def permuted(values):
    """p of the mean `gamma` of (repeats, traits, traits), one-sided.

    Rows are permuted within each repeat on its own: of (traits!)^repeats ways, 10,000 random ones
    and that of the data. All ways would make the least p (traits!)^-repeats: 1/7776 for the 5
    repeats of 3 traits of rain-1/pythia-subliminal.
    """
    repeats, traits, _ = values.shape
    order = np.broadcast_to(np.arange(traits), (DRAWS, repeats, traits))
    order = np.random.default_rng(0).permuted(order, axis=2)
    drawn = centered(values)[np.arange(repeats)[None, :, None], order, np.arange(traits)]
    above = drawn.mean(axis=(1, 2)) >= gamma(values).mean() - TIE
    return float((1 + above.sum()) / (1 + DRAWS))


def texts(matrix, decimals):
    """The mean of every cell, "0.853*" where its p is below 0.05: nested lists, by rows."""
    means = matrix.values.mean(axis=0)
    return [
        [
            "" if np.isnan(mean) else f"{mean:z.{decimals}f}{'*' * int(p < LEVEL)}"
            for mean, p in zip(*row, strict=True)
        ]
        for row in zip(means, matrix.p, strict=True)
    ]


def lines(rows):
    """Markdown lines, tables 80 columns at most: every matrix and its tests; [] without any."""
    matrices, said = found(rows), []
    for matrix in matrices:
        said += [f"{report.setting_name(matrix.setting)}:", ""] if matrix.setting else []
        said += tables(matrix)
        said += [
            f"- {row['measure']}: {report.number(row)}, p = {row['p']:.2g}"
            for row in matrix.contrasts
        ]
        said += [""] * bool(matrix.contrasts)
    if not matrices:
        return []
    repeats = len(matrices[0].values)
    least = f"largest t; {repeats} repeats, so at least 1/{2 ** min(repeats, ALL_SIGNS)})."
    return [*matrices[0].said.splitlines(), TEST, least, "", *said[:-1]]


def tables(matrix):
    """Markdown table lines, each with an empty one; columns that do not fit are in a table more.

    More than 6 columns have a decimal less and short names, if these differ.
    """
    many, names = len(matrix.columns) > 6, matrix.columns
    if many and len({name[:5] for name in names}) == len(names):
        names = [name[:5] for name in names]
    cells = texts(matrix, 2 if many else 3)
    first = max(7, *map(len, matrix.rows))
    width = max(map(len, itertools.chain(names, *cells)))
    fitting, said = max(1, (76 - first) // (width + 3)), []
    for i in range(0, len(names), fitting):
        part = slice(i, i + fitting)
        header, widths = ["teacher", *names[part]], [first, *[width] * len(names[part])]
        body = [[name, *row[part]] for name, row in zip(matrix.rows, cells, strict=True)]
        said += [*report.table(header, widths, body), ""]
    return said


def summary(rows, results):
    """`results`, rows of summary.json, with the corrected "p" of rises, and the contrasts."""
    matrices, p = found(rows), {}
    for matrix in matrices:
        pairs = itertools.product(matrix.rows, matrix.columns)
        for (teacher, student), value in zip(pairs, matrix.p.flat, strict=True):
            p[json.dumps(matrix.setting), f"{teacher} -> {student}", RISE] = float(value)
    tested = []
    for row in results:
        key = json.dumps(row["setting"]), row["arm"], row["measure"]
        tested.append(row | ({"p": p[key]} if key in p else {}))
    return tested + [row for matrix in matrices for row in matrix.contrasts]
