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


def ratio(values, baseline):
    """mean(values) / mean(baseline), paired over repeats, and its 95 % interval by the jackknife
    (Tukey 1958): the two have noise in common. The ends are None for fewer than 3 repeats."""
    pairs = np.stack([np.asarray(values, float), np.asarray(baseline, float)])
    n, (one, other) = pairs.shape[1], pairs.mean(axis=1)
    whole = float(one / other)
    if n < 3:
        return whole, None, None
    left = (pairs.sum(axis=1, keepdims=True) - pairs) / (n - 1)
    pseudo = n * whole - (n - 1) * left[0] / left[1]
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(pseudo))
    return whole, whole - half, whole + half


def auroc(scores, positive):
    """Probability that a positive scores above a negative, ties counting half; nan without both."""
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    above = scores[positive][:, None] - scores[~positive][None]
    return float(np.mean(np.sign(above) / 2 + 0.5)) if above.size else math.nan


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
