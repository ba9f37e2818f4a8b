"""Intervals over repeats, which are the unit of statistics."""

import numpy as np
from scipy import stats

FEW = 4  # With fewer repeats an interval is too wide to be of use.


def interval(values):
    """Mean and two-sided 95 % Student-t interval over repeats; the ends are None for one repeat."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if values.size < 2:
        return mean, None, None
    half = float(stats.t.ppf(0.975, values.size - 1) * stats.sem(values))
    return mean, mean - half, mean + half
