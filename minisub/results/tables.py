"""Tables and lists of results in Markdown that read as plain text too, 80 columns wide at most."""

import collections
import textwrap

from minisub.results import records, statistics, summary

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


def number(row):
    """A mean with the half-width of its interval, as "0.853 ±0.041"; differences have a sign."""
    if row["measure"] in ("draws", "violations"):  # of all repeats
        return f"{row['mean'] * row['repeats']:,.0f}"
    if row["measure"] == "worst":
        return f"{row['mean']:.4g}"
    text = f"{row['mean']:{'+' if 'differs_in' in row else ''}.3f}"
    if row["ci95_low"] is None or row["measure"] == "ability":  # it stands beside what counts
        return text
    return f"{text} ±{row['mean'] - row['ci95_low']:.3f}"


def short_names(rows):
    """arm -> its name in tables: of a difference from a control without whose control it is."""
    short = {}
    for row in rows:
        one, control, _ = row["arm"].partition(" - control ")
        short[row["arm"]] = f"{one} - control" if control and "differs_in" in row else row["arm"]
    counts = collections.Counter(short.values())
    return {arm: name if counts[name] == 1 else arm for arm, name in short.items()}


def main_table(rows, view, without=()):
    """Table lines: the main measures of every arm and difference but those named in `without`.

    `rows` are those of summary.json. One table, for a sweep too: its settings are rows. Where not
    all measures fit, the first ones but the view's main one are left out.
    """
    names, cells = short_names(rows), {}
    for row in rows:
        if row["measure"] in view.headings and "step" not in row and row["arm"] not in without:
            setting = ", ".join(map(records.value_text, row["setting"].values()))
            cells.setdefault((setting, names[row["arm"]]), {})[row["measure"]] = number(row)
    swept = ", ".join(rows[0]["setting"])
    measures = [m for m in view.headings if any(m in row for row in cells.values())]
    header = ["setting", "arm", *(view.headings[m] for m in measures)]
    body = [[*key, *(row.get(m, "") for m in measures)] for key, row in cells.items()]
    header, *body = [row if swept else row[1:] for row in (header, *body)]
    lines = table(header, body, cut=len(measures) < 2)
    if len(lines[0]) > WIDTH:
        measures.remove(next(m for m in measures if m != view.main))
        fewer = {m: view.headings[m] for m in measures}
        return main_table(rows, view._replace(headings=fewer), without)
    return [f"Settings are values of {swept}.", "", *lines] if swept else lines


def difference_lines(table, differences, view, without=()):
    """Markdown lines: what the arms of differences differ in, and in how many repeats the main
    measure of one is above that of the other."""
    settings, groups, whole = records.by_setting(table), {}, {}
    for each in differences:
        name, lines = summary.name(each), []
        for i, (setting, wide) in enumerate(settings):
            paired = summary.difference(wide, each)
            if view.main in paired and name not in without:
                values = paired[view.main].dropna()
                text = f"- {records.named(setting, name)}: above zero in {sum(values > 0)} of "
                text += f"{len(values)}, lowest {min(values):+.3f}"
                if view.shares:
                    text += f"; {left(values, whole.setdefault(i, values))}"
                lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
        if lines:
            groups.setdefault(differ_in(each), []).extend(lines)
    blocks = [["", f"Arms that {words}:", "", *lines] for words, lines in groups.items()]
    return [line for block in blocks for line in block][1:]


def left(values, whole):
    """How much of the first difference, `whole`, is left in another."""
    whole = whole[whole.index.isin(values.index)]
    share, low, high = statistics.ratio(values[whole.index], whole)
    between = "" if low is None else f" ({low:.2f} to {high:.2f})"
    return f"{share:.2f}{between} of the first"


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
        if named or "step" in row or "differs_in" in row:
            continue
        key = records.named(row["setting"], row["arm"])
        mean = f"{row['mean']:{',.0f' if row['mean'] >= 100 else '.4g'}}"
        cells.setdefault(key, []).append(f"{row['measure']} {mean}")
    return [f"- {key}: {', '.join(values)}" for key, values in cells.items()]
