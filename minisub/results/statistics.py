"""Intervals over repeats, which are the unit of statistics, and scores of predictors."""

import math

import numpy as np
from scipy import stats

LEVEL = 0.05  # A p below it has a star in tables and figures.


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
