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
    """A DataFrame of rows, or of the records.jsonl at a path: the swept fields, then `COLUMNS`.

    Raises `config.Refused` if there are no rows, or if a field has the name of a column.
    """
    if isinstance(rows, str | Path):
        lines = Path(rows).read_bytes().splitlines() if Path(rows).is_file() else ()
        rows = map(json.loads, lines)
    rows = list(rows)
    config.require(rows, "There are no records; let the run finish a repeat first.")
    # Tuples can be grouped, lists cannot; as floats, 1 and 0.5 of a sweep would be 1.0 and 0.5.
    settings = [
        {field: tuple(x) if isinstance(x, list) else x for field, x in row["setting"].items()}
        for row in rows
    ]
    swept = pd.DataFrame(settings, dtype=object)
    for field in swept:
        config.require(field not in COLUMNS, f"Rename the field {field!r}: records have a column.")
    measured = pd.DataFrame(rows, columns=COLUMNS).astype({"step": "Int64"})
    return pd.concat([swept, measured], axis="columns")


def fields(records):
    """The names of the swept fields."""
    return list(records.columns[: -len(COLUMNS)])


def settings(records):
    """(setting as a dict, its part of the records) for every setting, in order of appearance."""
    names = fields(records)
    parts = records.groupby(names, sort=False, dropna=False) if names else [((), records)]
    return [({name: part[name].iat[0] for name in names}, part) for _, part in parts]


def by_setting(records):
    """(setting, table with a row a repeat and a column an (arm, measure)) for every setting.

    Columns are in order of appearance. What was logged while students trained is left out, as are
    columns that are nan in all repeats.
    """
    parts = []
    for setting, final in settings(records[records["step"].isna()]):
        wide = final.pivot(index="repeat", columns=["arm", "measure"], values="value")
        ordered = pd.MultiIndex.from_frame(final[["arm", "measure"]].drop_duplicates())
        parts.append((setting, wide[ordered].dropna(axis="columns", how="all")))
    return parts


def named(setting, arm=""):
    """An arm's name behind the swept values of its setting: "student.steps=100, trait=owl arm"."""
    values = (f"{field}={value_text(value)}" for field, value in setting.items())
    return f"{', '.join(values)} {arm}".strip()


def value_text(value):
    """A swept value as it was typed: the words of a tuple side by side."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
