"""The records of a run as a table: a row for each setting, repeat, arm and measure.

A row of records.jsonl is {"setting": {field: value}, "repeat", "arm", "measure", "value"}, with a
"step" if the value was logged while a student trained.
"""

import json
from pathlib import Path

import pandas as pd

from minisub import config

COLUMNS = ("repeat", "arm", "measure", "value", "step")


def frame(rows):
    """A DataFrame of rows, or of the records.jsonl at a path.

    Its columns are the swept fields, in their order, and then `COLUMNS`. What was not logged has no
    step. Raises `config.Refused` if there are no rows, or a field has the name of a column.
    """
    if isinstance(rows, str | Path):
        lines = Path(rows).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    rows = list(rows)
    config.require(rows, "There are no records; let the run finish a repeat first.")
    swept = list(dict.fromkeys(field for row in rows for field in row["setting"]))
    for field in swept:
        config.require(field not in COLUMNS, f"Rename the field {field!r}: records have a column.")
    data = {}
    for field in swept:
        values = [row["setting"].get(field) for row in rows]
        values = [tuple(x) if isinstance(x, list) else x for x in values]  # lists are not grouped
        data[field] = pd.Series(values, dtype=object)  # else 1 and 0.5 of a sweep are 1.0 and 0.5
    data |= {name: [row[name] for row in rows] for name in COLUMNS[:-1]}
    data["step"] = pd.array([row.get("step") for row in rows], dtype="Int64")
    return pd.DataFrame(data, columns=[*swept, *COLUMNS])


def fields(records):
    """The names of the swept fields."""
    return list(records.columns[: -len(COLUMNS)])


def settings(records):
    """(setting as a dict, its part of the records) for every setting, in order of appearance."""
    names = fields(records)
    if not names:
        return [({}, records)]
    parts = [part for _, part in records.groupby(names, sort=False, dropna=False)]
    return [(dict(zip(names, part[names].iloc[0], strict=True)), part) for part in parts]


def by_repeat(records):
    """The records of one setting with a row for each repeat and a column for each (arm, measure).

    Columns are in order of appearance; an arm without the measure in a repeat has nan there. What
    was logged while students trained is left out, as are measures that are nan in all repeats.
    """
    final = records[records["step"].isna()]
    wide = final.pivot(index="repeat", columns=["arm", "measure"], values="value")
    order = final[["arm", "measure"]].drop_duplicates()
    ordered = wide[list(order.itertuples(index=False, name=None))]
    return ordered.dropna(axis="columns", how="all")


def by_setting(records):
    """(setting as a dict, its records `by_repeat`) for every setting, in order of appearance."""
    return [(setting, by_repeat(part)) for setting, part in settings(records)]


def setting_text(setting):
    """Swept values in one line: "student.steps=100, trait=owl"."""
    return ", ".join(f"{field}={value_text(value)}" for field, value in setting.items())


def named(setting, arm):
    """An arm's name, behind its setting if there is one."""
    return f"{setting_text(setting)} {arm}".strip()


def value_text(value):
    """A swept value as it was typed: the words of a tuple side by side."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
