"""Tables and lists of results in Markdown that read as plain text too, 80 columns wide at most."""

import collections
import fnmatch
import itertools
import re
import textwrap

from minisub.results import records, statistics, summary, views

WIDTH = 80


def table(header, rows, *, cut=True):
    """Markdown table lines; where they would be too wide, the widest columns are cut."""
    rows = [list(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    while cut and sum(widths) + 3 * len(widths) >= WIDTH:
        widths[widths.index(max(widths))] -= 1

    def line(row):
        pairs = zip(row, widths, strict=True)
        cells = (x.ljust(n) if len(x) <= n else f"{x[: n - 1]}…" for x, n in pairs)
        return f"| {' | '.join(cells)} |"

    return [line(header), line("-" * width for width in widths), *map(line, rows)]


def block(frame):
    """A DataFrame as an indented block of Markdown; columns that do not fit continue below."""
    text = frame.to_string(line_width=WIDTH - 4, na_rep="", float_format="{:.2f}".format)
    return [f"    {line}".rstrip() for line in text.splitlines()]


def with_interval(mean, low, form=".3f"):
    """A mean with the half-width of its interval, if it has one: "0.853 ±0.041"."""
    return f"{mean:{form}}" if low is None else f"{mean:{form}} ±{mean - low:{form.lstrip('+')}}"


def of_values(values, form=".3f"):
    """The mean of values over repeats, with the half-width of its interval."""
    mean, low, _ = statistics.interval(values)
    return with_interval(mean, low, form)


def number(row):
    """What a table has of a row of summary.json; differences have a sign."""
    if row["measure"] in ("draws", "violations"):  # of all repeats
        return f"{row['mean'] * row['repeats']:,.0f}"
    if row["measure"] == "worst":
        return f"{row['mean']:.4g}"
    low = None if row["measure"] == "ability" else row["ci95_low"]  # it stands beside what counts
    return with_interval(row["mean"], low, "+.3f" if "differs_in" in row else ".3f")


def short_names(names):
    """name -> what arms and differences are called everywhere that is read: a difference from a
    control of its own, "fresh - control fresh", is "fresh - its control"."""
    short = {name: re.sub(" - control .*", " - its control", name) for name in names}
    counts = collections.Counter(short.values())
    return {name: each if counts[each] == 1 else name for name, each in short.items()}


def heading(rows):
    """What numbers in tables of summary.json's rows are, in a line."""
    n = max(row["repeats"] for row in rows)
    if n == 1:
        return "One repeat, so there are no intervals:"
    if n < statistics.FEW:
        return f"Mean ± half-width of the 95 % interval; {n} repeats are too few for a useful one:"
    return f"Mean ± half-width of the 95 % interval (Student t) over {n} repeats:"


def main_table(rows, view, without=()):
    """Table lines: the main measures of every arm and difference but those named in `without`.

    `rows` are those of summary.json, and settings of a sweep are rows of the one table. Where not
    all measures fit, the first ones but the view's main one are left out.
    """
    names, cells = short_names(row["arm"] for row in rows), {}
    for row in rows:
        if row["measure"] in view.headings and "step" not in row and row["arm"] not in without:
            setting = ", ".join(map(records.value_text, row["setting"].values()))
            cells.setdefault((setting, names[row["arm"]]), {})[row["measure"]] = number(row)
    if not cells:
        return []
    swept = ", ".join(rows[0]["setting"])
    measures = [m for m in view.headings if any(m in row for row in cells.values())]
    while True:
        header = ["setting", "arm", *(view.headings[m] for m in measures)]
        body = [[*key, *(row.get(m, "") for m in measures)] for key, row in cells.items()]
        header, *body = [row if swept else row[1:] for row in (header, *body)]
        lines = table(header, body, cut=len(measures) < 2)
        if len(lines[0]) <= WIDTH:
            return [f"Settings are values of {swept}.", "", *lines] if swept else lines
        measures.remove(next(m for m in measures if m != view.main))


def difference_lines(table, differences, view, without=()):
    """Markdown lines: what the arms of differences differ in, and in how many repeats the main
    measure of one is above that of the other; of few repeats, each difference."""
    names, groups = short_names(map(summary.name, differences)), {}
    listed = [each for each in differences if summary.name(each) not in without]
    for each, (setting, wide) in itertools.product(listed, records.by_setting(table)):
        for _, values in summary.paired(wide, [each], view.main):
            said = f"above zero in {sum(values > 0)} of {len(values)}, lowest {min(values):+.3f}"
            if len(values) < statistics.FEW:
                said = "by repeat " + ", ".join(f"{value:+.3f}" for value in values)
            text = f"- {records.named(setting, names[summary.name(each)])}: {said}"
            lines = groups.setdefault(f"Arms that {differ_in(each)}:", [""])
            lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return [line for words in groups for line in [words, *groups[words], ""]][:-1]


def differ_in(difference):
    """In words what the arms of a stated difference differ in: "differ in start and documents"."""
    *others, last = difference.get("in") or ["what the experiment does not say"]
    return f"differ in {', '.join(others)}{' and ' if others else ''}{last}"


def other_lines(rows, view, graded=True):
    """List lines: means of the measures that the main table leaves out, a line for each arm.

    Without `graded`, those of other traits than the arm's, as "trait_rate/owl", are left out too.
    """
    cells = {}
    for row in rows:
        named = row["measure"] in view.headings or ("/" in row["measure"] and not graded)
        if not (named or "step" in row or "differs_in" in row):
            mean = f"{row['mean']:{',.0f' if row['mean'] >= 100 else '.4g'}}"
            values = cells.setdefault(records.named(row["setting"], row["arm"]), [])
            values.append(f"{row['measure']} {mean}")
    return [f"- {key}: {', '.join(values)}" for key, values in cells.items()]


def glossary(rows, view):
    """List lines: what the measures of summary.json's rows are, of those that `views` knows."""
    measures = {row["measure"].partition("/")[0] for row in rows}
    known = {name: x for name, x in views.MEASURES.items() if fnmatch.filter(measures, name)}
    headings = {name: f"{x} ({name})" for name, x in view.headings.items() if x != name}
    return [f"- {headings.get(name, name)}: {meaning}." for name, meaning in known.items()]
