"""How well what is known of a student before training predicts its transfer, over many settings.

A point is an arm in a setting; statistics are taken over points within one repeat, intervals over
repeats. Transfer is the share of its teacher's rise over the untaught model that a student makes.
"""

import numpy as np

from minisub import report, views

PREDICTORS = {
    "coverage": "gradient, teacher's displacement",
    "coverage_update": "update, teacher's displacement",
    "first_alignment": "gradient, trait's gradient",
}
LEAST_POINTS = 20
TRANSFERRED = 0.1
"""Transfer from which on AUROC counts a trait as passed on."""


def points(rows, predictor):
    """repeat -> (arms, predictor, transfer), one element for each point of some records."""
    table, shown, found = report.columns(rows), views.view(rows), {}
    for (setting, arm, measure), values in table.items():
        if measure != predictor:
            continue
        graded = [table[setting, name, shown.main] for name in (shown.before, "teacher", arm)]
        for repeat, value in values.items():
            before, teacher, after = (grades[repeat] for grades in graded)
            transfer = (after - before) / (teacher - before)
            found.setdefault(repeat, []).append((arm, value, transfer))
    return {repeat: tuple(map(np.array, zip(*rows, strict=True))) for repeat, rows in found.items()}


def statistics(rows, predictor, without=()):
    """Spearman's rank correlations and AUROCs of a predictor: for each repeat, and of the means.

    ((repeats,), (repeats,)), (scalar, scalar), points. Arms named in `without` are left out.
    """
    repeats = [
        (scores[kept], transfer[kept])
        for arms, scores, transfer in points(rows, predictor).values()
        for kept in [~np.isin(arms, without)]
    ]
    if not repeats:
        return ((), ()), (), 0
    each = [judged(*repeat) for repeat in repeats]
    return tuple(zip(*each, strict=True)), judged(*np.mean(repeats, axis=0)), len(repeats[0][0])


def judged(scores, transfer):
    """(Spearman's rank correlation, AUROC of a transfer of at least TRANSFERRED)."""
    passed = transfer >= TRANSFERRED
    auroc = report.auroc(scores[passed], scores[~passed])
    return report.rank_correlation(scores, transfer), auroc


def lines(rows, without=()):
    """Markdown lines: a table of all predictors, none if the records hold too few points."""
    body, count = [], 0
    for predictor, words in PREDICTORS.items():
        each, means, count = statistics(rows, predictor, without)
        if count < LEAST_POINTS:
            return []
        body.append([words, *map(interval, each), "{:.2f}, {:.2f}".format(*means)])
    header = ["cosine before training, of first", "Spearman", "AUROC", "of means"]
    said = [
        f"Transfer (1: all of the teacher's) at {count} points, arms in settings. AUROC is",
        f"that of at least {TRANSFERRED}. Within each repeat, and of means over repeats:",
    ]
    return [*said, "", *report.table(header, [33, 10, 10, 10], body)]


def interval(values):
    """Mean and half-width of the interval over repeats, as "0.95 ±0.02"."""
    mean, low, _ = report.interval(values)
    return f"{mean:.2f}" if low is None else f"{mean:.2f} ±{mean - low:.2f}"
