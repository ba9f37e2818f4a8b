"""How often every test and interval of the project errs where there is nothing to find.

    python tests/null_rates.py --trials 1000             the table of configs/README.md
    python tests/null_rates.py --trials 300 --only audit:    some of its rows

A test errs if its p is at most 5 % (1 % where it says so) although its null is true; an interval
errs if it leaves out the true value. Data are simulated at the sizes in use: few repeats, few
groups, many parameters; Gaussian, or with heavy tails (Student's t of 3 degrees of freedom), or
skewed (exponential). A rate is printed with its 95 % interval (Clopper and Pearson).
"""

import argparse
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score

from configs import _calibration as calibration
from configs import _matrices, defenses
from minisub.audit import statistics as audits
from minisub.results import statistics


def gaussian(rng, shape):
    """Standard normal."""
    return rng.standard_normal(shape)


def heavy(rng, shape):
    """Student's t of 3 degrees of freedom, with variance 1."""
    return rng.standard_t(3, shape) / np.sqrt(3)


def skewed(rng, shape):
    """Exponential, with mean 0 and variance 1."""
    return rng.exponential(size=shape) - 1


def to_the_left(rng, shape):
    """As `skewed`, with the long tail below: as of rates near 1."""
    return -skewed(rng, shape)


def unequal(rng, shape):
    """Normal, with a deviation from a half to three that is that of its row."""
    return rng.permutation(np.linspace(0.5, 3, shape[0]))[:, None] * rng.standard_normal(shape)


class Case(NamedTuple):
    """A statistic under a null."""

    statistic: str
    null: str
    errs: Callable
    """(rng) -> whether it errs, once"""
    nominal: float = 0.05
    exact: bool = True
    """Whether the rate is claimed: at most `nominal`, for data of such a shape. Otherwise the table
    tells how far off it is."""


def mean_interval(draw, n, rng):
    """Whether the interval of a mean over `n` repeats leaves out 0."""
    _, low, high = statistics.interval(draw(rng, n))
    return not low <= 0 <= high


def largest_t(draw, repeats, side, rng):
    """Whether any cell of a matrix is called above zero."""
    return bool((_matrices.significance(draw(rng, (repeats, side, side))) <= 0.05).any())


def gamma(draw, repeats, traits, rng):
    """Whether grades that are sums of a row's, a column's and chance are called a match."""
    rows, columns = draw(rng, (repeats, traits, 1)), draw(rng, (repeats, 1, traits))
    values = rows + columns + draw(rng, (repeats, traits, traits))
    return _matrices.gamma_significance(values) <= 0.05


def two_sample(draw, m, n, parameters, rng):
    """Whether gradients of one law are told apart."""
    data, null = (jnp.asarray(draw(rng, (k, parameters)), jnp.float32) for k in (m, n))
    weights = audits.first(m, m), audits.first(n, n)
    key = jax.random.key(int(rng.integers(2**31)))
    return float(permuted(data, null, *weights, key)[1]) <= 0.05


permuted = jax.jit(audits.two_sample)


def moved(draw, m, n, rng):
    """Whether the mean of `m` groups is called above that of the null's `n`, at 1 %."""
    data, null = (jnp.asarray(draw(rng, (k, 1))) for k in (m, n))
    _, _, z = audits.contrast(data, audits.first(m, m), null, audits.first(n, n))
    return stats.t.sf(float(z[0]), n - 1) <= 0.01


def rehearsed(draw, kept, null_kept, rng):
    """Whether rehearsals on documents of the base are called a rise, at 1 %; takes of one set of
    documents share the chance by which the set was drawn, and null takes are of sets that are
    drawn from one."""
    draws, size = 100 * 128, min(kept, null_kept)

    def by_chance(takes, n):
        return draw(rng, (takes, 1)) / np.sqrt(n)

    own = by_chance(1, kept) + by_chance(4, draws)
    null = by_chance(1, null_kept) + by_chance(8, size) + by_chance(8, draws)
    takes = jnp.asarray(own), jnp.asarray(null)
    _, _, t = audits.rehearsed(*takes, kept, null_kept, size, draws)
    return stats.t.sf(float(t[0]), 7) <= 0.01


def ratio(draw, repeats, rng):
    """Whether the interval of a ratio leaves out a half: of means 1 and 2, with standard
    deviations half as large, of which half the variance is common."""
    common, own, other = draw(rng, (3, repeats))
    values = 1 + 0.5 * (common + own) / np.sqrt(2)
    baseline = 2 + (common + other) / np.sqrt(2)
    _, low, high = defenses.ratio(values, baseline)
    return not low <= 0.5 <= high


def ranks(repeats, points, rng):
    """Whether the interval of Spearman's correlation over repeats leaves out 0, where a predictor
    and an outcome of some points are independent in every repeat."""
    pairs = rng.standard_normal((repeats, 2, points))
    each = [stats.spearmanr(*pair).statistic for pair in pairs]
    return mean_interval(lambda *_: np.array(each), repeats, rng)


def same_points(repeats, points, rng):
    """As `ranks`, where most of a point's predictor and outcome is the same in every repeat: points
    are settings, and the interval does not know that others might have been chosen."""
    fixed = rng.standard_normal((1, 2, points))
    pairs = fixed + 0.5 * rng.standard_normal((repeats, 2, points))
    each = [stats.spearmanr(*pair).statistic for pair in pairs]
    return mean_interval(lambda *_: np.array(each), repeats, rng)


def areas(repeats, points, rng):
    """As `ranks`, of AUROC and 0.5, where a fifth of the points is positive."""
    positive = np.arange(points) < points // 5
    each = [roc_auc_score(positive, rng.standard_normal(points)) - 0.5 for _ in range(repeats)]
    return mean_interval(lambda *_: np.array(each), repeats, rng)


def transferred(draw, null, rng):
    """Whether a student of the base's own documents is said to have a behavior passed on, beside
    `null` others in each of 8 repeats; in units that make the least effect small."""
    students = 100 * draw(rng, (8, null + 1))
    others = pd.DataFrame(students[:, 1:])
    return bool(calibration.rises(pd.Series(students[:, 0]), others)["moved"][0])


def clustered(draw, repeats, area, rng):
    """Whether the interval of an AUROC leaves out the true one, where 18 of 72 points in each
    repeat are positive, spread unevenly over repeats, and a third of the variance of their scores
    and of the others' is common to a repeat."""
    shift = np.sqrt(2) * stats.norm.ppf(area)
    share = rng.dirichlet(np.ones(repeats))
    positive = np.minimum(rng.multinomial(18 * repeats // 8, share), 36)
    moved = np.arange(72) < positive[:, None]
    common = np.where(moved, *rng.standard_normal((2, repeats, 1)))
    scores = np.sqrt(1 / 3) * common + np.sqrt(2 / 3) * draw(rng, moved.shape) + shift * moved
    rows = pd.DataFrame({"repeat": np.repeat(range(repeats), 72), "score": scores.ravel()})
    rows = rows.assign(moved=moved.ravel())
    _, low, high = calibration.Clusters(rows).auroc(rows, "score")
    return not low <= area <= high


def of_groups(n, size, rng):
    """Whether the interval over 8 repeats of an AUC leaves out 0.5, where labels are random within
    pairs of documents, and means of `size` documents are judged, `n` of each kind."""
    areas = []
    for _ in range(8):
        scores = rng.standard_normal((2, n, size)) + rng.standard_normal((1, n, size))
        swapped = rng.random((n, size)) < 0.5
        ones, others = np.where(swapped, scores[::-1], scores).mean(axis=2)
        areas.append(np.mean(ones[:, None] > others[None]) - 0.5)
    return mean_interval(lambda *_: np.array(areas), 8, rng)


SHAPES = {"Gaussian": gaussian, "heavy-tailed": heavy, "skewed": skewed}
SYMMETRIC = {"Gaussian": gaussian, "heavy-tailed": heavy}


def cases():
    """Every `Case` of the table."""
    case = functools.partial
    for name, draw in SHAPES.items():
        for n in 3, 5, 8, 10:
            errs, exact = case(mean_interval, draw, n), draw is not skewed
            yield Case("interval of a mean, 95 %", f"{n} repeats, {name}", errs, exact=exact)
    for name, draw in SYMMETRIC.items():
        for n, side in (5, 4), (8, 4), (8, 10), (16, 4):
            errs = case(largest_t, draw, n, side)
            yield Case(
                "largest t, signs flipped", f"{n} repeats, {side}x{side} cells, {name}", errs
            )
    for name, draw in {"skewed": skewed, "skewed to the left": to_the_left}.items():
        yield Case("largest t, signs flipped", f"8 repeats, 4x4 cells, {name}",
                   case(largest_t, draw, 8, 4), exact=False)  # fmt: skip
    for name, draw in SHAPES.items():
        for n, traits in (3, 4), (8, 4):
            errs = case(gamma, draw, n, traits)
            yield Case("gamma, rows permuted", f"{n} repeats, {traits} traits, {name}", errs)
    for name, draw in SYMMETRIC.items():
        for m, n in (2, 160), (20, 200), (200, 200):
            errs = case(two_sample, draw, m, n, 4000)
            null = f"{m} groups against {n}, 4,000 parameters, {name}"
            yield Case("audit: permutation of gradients", null, errs)
    for name, draw in SYMMETRIC.items():
        for m, n in (2, 160), (20, 200), (200, 200):
            errs = case(moved, draw, m, n)
            null = f"{m} groups against {n}, {name}"
            yield Case("audit: z of a move, 1 %", null, errs, 0.01, exact=draw is gaussian)
        for kept, null_kept in (100, 4000), (1000, 4000), (10000, 10000), (40000, 20000):
            errs = case(rehearsed, draw, kept, null_kept)
            null = f"{kept:,} documents against {null_kept:,}, {name}"
            yield Case("audit: t of a rehearsal, 1 %", null, errs, 0.01, exact=draw is gaussian)
    for name, draw in SHAPES.items():
        for n in 4, 8:
            errs = case(ratio, draw, n)
            yield Case("interval of a ratio", f"{n} repeats, {name}", errs, exact=False)
    yield Case("interval of Spearman", "5 repeats, 36 points", case(ranks, 5, 36))
    yield Case("interval of Spearman", "5 repeats, 36 points that are settings",
               case(same_points, 5, 36), exact=False)  # fmt: skip
    yield Case("interval of AUROC", "5 repeats, 36 points", case(areas, 5, 36))
    for name, draw in SHAPES.items():
        errs = case(transferred, draw, 5)
        yield Case("audit: transfer, 99 % two-sided", f"8 repeats, 5 null students, {name}", errs,
                   0.005, exact=draw is gaussian)  # fmt: skip
    errs = case(transferred, unequal, 5)
    yield Case("audit: transfer, 99 % two-sided", "8 repeats of unequal noise, 5 null students",
               errs, 0.005, exact=False)  # fmt: skip
    for repeats, area in (4, 0.5), (8, 0.5), (8, 0.76), (8, 0.95):
        errs = case(clustered, gaussian, repeats, area)
        yield Case("audit: AUROC, bootstrap of repeats", f"{repeats} repeats, area {area}", errs,
                   exact=False)  # fmt: skip
    for n, size in (5, 1000), (50, 100):
        errs = case(of_groups, n, size)
        yield Case("interval of a detector's AUC", f"8 repeats, {n} groups of {size}", errs)


def rate(case, trials, seed=0):
    """(errors, the ends of the 95 % interval of their rate) of a case."""
    rng = np.random.default_rng(seed)
    errors = sum(bool(case.errs(rng)) for _ in range(trials))
    interval = stats.binomtest(errors, trials).proportion_ci(0.95)
    return errors, interval.low, interval.high


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--only", default="", help="cases whose name has this")
    given = parser.parse_args()
    print("| statistic | null | aimed at | errs |\n| --- | --- | --- | --- |")
    for case in cases():
        if given.only in case.statistic:
            errors, low, high = rate(case, given.trials)
            share = f"{errors / given.trials:.1%} ({low:.1%} to {high:.1%})"
            note = "" if case.exact else ", not claimed"
            print(
                f"| {case.statistic} | {case.null} | {100 * case.nominal:g}%{note} | {share} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
