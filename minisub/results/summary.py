"""Means with intervals over repeats: of arms, of stated differences between arms, of logs.

A stated difference is {"one": arm, "other": arm, "in": [what the two differ in]}. It is taken
within repeats, in every measure that both arms have, and listed as the arm "ONE - OTHER".
"""

import pandas as pd

from minisub.results import records, statistics


def summary(table, differences=()):
    """Rows of summary.json of a `records.frame`, as dicts: see `row`.

    The row of a difference has "differs_in" too, and that of a log its "step". Settings are in
    order of appearance, in each the arms and then the differences; logs come last.
    """
    rows = []
    for setting, wide in records.by_setting(table):
        rows += [row(setting, arm, m, wide[arm, m]) for arm, m in wide]
        for each in differences:
            also = {"differs_in": list(each.get("in", ()))}
            paired = difference(wide, each)
            rows += [row(setting, name(each), m, paired[m]) | also for m in paired]
    for setting, part in records.settings(table.dropna(subset="step")):
        for (arm, measure, step), log in part.groupby(["arm", "measure", "step"], sort=False):
            rows.append(row(setting, arm, measure, log["value"]) | {"step": int(step)})
    return rows


def joined(rows, more):
    """Rows with the fields that rows of `more` add for the same setting, arm and measure; rows of
    `more` that are new come last."""
    merged: dict = {}
    for each in (*rows, *more):
        key = str(each["setting"]), each["arm"], each["measure"], each.get("step")
        merged[key] = merged.get(key, {}) | each
    return [*merged.values()]


def row(setting, arm, measure, values):
    """A row of summary.json: of values over repeats, where nan is a repeat without one.

    The sd and the ends of the interval are None for one repeat.
    """
    values = pd.Series(values).dropna()
    mean, low, high = statistics.interval(values)
    row = {"arm": arm, "measure": measure, "mean": mean}
    row |= {"sd": None if low is None else float(values.std()), "ci95_low": low, "ci95_high": high}
    return row | {"repeats": len(values), "setting": setting}


def name(difference):
    """What a stated difference is called: "ONE - OTHER"."""
    return f"{difference['one']} - {difference['other']}"


def difference(wide, stated):
    """A stated difference in one setting of `records.by_setting`: repeats by common measures.

    It has no columns if one of its arms was not made, as with `--only`.
    """
    if not {stated["one"], stated["other"]} <= set(wide.columns.get_level_values("arm")):
        return pd.DataFrame(index=wide.index)
    one, other = wide[stated["one"]], wide[stated["other"]]
    common = [measure for measure in one if measure in other]
    return (one[common] - other[common]).dropna(axis="columns", how="all")


def paired(wide, differences, measure):
    """(stated difference, its values over repeats) of those that a measure has."""
    each = [(stated, difference(wide, stated).get(measure)) for stated in differences]
    return [(stated, values.dropna()) for stated, values in each if values is not None]


def by_arm(wide, differences, measure):
    """Arm -> the values of the last `paired` difference that is stated of it."""
    return {stated["one"]: values for stated, values in paired(wide, differences, measure)}
