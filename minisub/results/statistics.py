"""Intervals and tests over repeats, which are the unit of statistics, and scores of predictors."""

import itertools
import math

import numpy as np
from scipy import stats

LEVEL = 0.05  # A p below it has a star in tables and figures.
ALL_SIGNS = 12  # Repeats up to which all vectors of signs are tried.
DRAWS = 10_000  # Random permutations of rows.
TIE = 1e-9  # Statistics that differ by less differ by rounding.


def interval(values):
    """Mean and two-sided 95 % Student-t interval over repeats; the ends are None for one repeat."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if values.size < 2:
        return mean, None, None
    half = float(stats.t.ppf(0.975, values.size - 1) * stats.sem(values))
    return mean, mean - half, mean + half


def ratio(parts, wholes):
    """The ratio of the means of two samples of the same repeats, with a 95 % interval.

    The interval is that of the jackknife over repeats; its ends are None for one repeat.
    """
    pairs = np.array([parts, wholes], dtype=np.float64)
    total, n = pairs.sum(axis=1), pairs.shape[1]
    estimate = float(total[0] / total[1])
    if n < 2:
        return estimate, None, None
    without = (total[0] - pairs[0]) / (total[1] - pairs[1])
    error = math.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    half = float(stats.t.ppf(0.975, n - 1) * error)
    return estimate, estimate - half, estimate + half


def auroc(scores, positive):
    """Probability that a positive scores above a negative, ties counting half; nan without both."""
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    above = scores[positive][:, None] - scores[~positive][None]
    return float(np.mean(np.sign(above) / 2 + 0.5)) if above.size else math.nan


def rank_correlation(one, other):
    """Spearman's rank correlation of two samples; nan for fewer than 3 or for equal numbers."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(stats.spearmanr(one, other).statistic)


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


def gamma_significance(values):
    """p of the mean `gamma` of (repeats, traits, traits), one-sided.

    Rows are permuted within each repeat separately: of (traits!)^repeats ways, 10,000 random ones
    and that of the data. All ways would make the least p (traits!)^-repeats: 1/7776 for the 5
    repeats of 3 traits of rain-1/pythia-subliminal.
    """
    repeats, traits, _ = values.shape
    order = np.broadcast_to(np.arange(traits), (DRAWS, repeats, traits))
    order = np.random.default_rng(0).permuted(order, axis=2)
    drawn = centered(values)[np.arange(repeats)[None, :, None], order, np.arange(traits)]
    above = drawn.mean(axis=(1, 2)) >= gamma(values).mean() - TIE
    return float((1 + above.sum()) / (1 + DRAWS))
