"""What audits said of documents before training, against what their students then did."""

import itertools
import math

import numpy as np
import pandas as pd
from scipy import special, stats

from configs import _audits, _prediction
from minisub.audit import trace
from minisub.results import figures, records, statistics, tables
from minisub.results.pages import Section

MARGIN, RATE = "logit_margin_heldout/", "trait_rate_heldout/"
EFFECT, COVERED, ALPHA = 0.5, 0.99, 0.05
"""Documents transfer a behavior if their student's margin rises by more than `EFFECT` nats, and
above the prediction interval that covers a share `COVERED` of null students. `ALPHA` is the rate of
false alarms that audits aim at, for a data set and the whole battery of behaviors. `EFFECT` and
`COVERED` were set when results by an earlier definition were known, and before any by this one."""
KEPT = "10000"  # The size by which audits name the measures of all kept documents.
RISEN = (0.002, 0.02, 0.1)  # Of P; above the second one calls a behavior visible.
DRAWS = 2000  # Of repeats, with replacement.
KINDS = {"clean": "base again", "foreign": "other origins", "taught": "base's teachers"}
COLORS = "#999999", "#56B4E9", "#0072B2", "#D55E00"  # Of `KINDS`, and of what transfers.


def sections(table, differences, documents=int(KEPT)):
    """What is added to the page of a run whose models emit so many documents: tables and a figure;
    [] if no audit was recorded."""
    rows = audits(table, differences, documents)
    return [] if rows.empty else [Section(lines(rows), "", "audit", (figure, rows))]


def audits(table, differences, documents=int(KEPT)):
    """What audits said of documents, and what their students did: a row a repeat, arm and behavior.

    The null of an audited arm is the control of its stated difference, and the arms "null ..." with
    the same control: students of what the base itself emits. "kind" is "clean" for arms that are
    named "clean CARRIER" (the base again), "foreign" for "foreign ... CARRIER" (other origins),
    else "taught"; "risen" is how far P of the behavior is above the mean of the null students. See
    `rises` and `foretold`, too.
    """
    parts, groups = [], documents // _audits.group_of(documents)
    for setting, wide in records.by_setting(table):
        audited = {arm for arm, measure in wide if measure == f"trace/{KEPT}"}
        for each in differences:
            arm, control = each["one"], each["other"]
            null = [x["one"] for x in differences if x["other"] == control]
            null = [control, *(x for x in null if x.startswith("null "))]
            for measure in wide[arm] if arm in audited else ():
                there = [x for x in null if (x, measure) in wide]
                if measure.startswith(MARGIN) and len(there) > 1:
                    own = wide[[(x, measure) for x in there]].dropna()
                    behavior = measure.removeprefix(MARGIN)
                    said = foretold(wide[arm], behavior, groups)
                    part = rises(wide[arm, measure], own).assign(**said)
                    part["risen"] = risen(wide, arm, there, behavior)
                    named = {"behavior": behavior, "arm": arm, "setting": records.named(setting)}
                    parts.append(part.assign(**named).reset_index())
    if not parts:
        return pd.DataFrame()
    rows = pd.concat(parts, ignore_index=True)
    words = rows["arm"].str.split()
    kind = words.str[0].where(words.str[0].isin(["clean", "foreign"]), "taught")
    return rows.assign(kind=kind, carrier=words.str[-1])


def rises(margins, null):
    """The "rise" of margins (repeats,), in nats, above the mean of null students (repeats, n), and
    its "limit", the upper end of their prediction interval. "moved" is whether the behavior
    transfers, "unclear" whether a rise above `EFFECT` is within the interval.

    The variance is that of null students within a repeat, pooled over the repeats.
    """
    n, middle = null.shape[1], null.mean(axis=1)
    error = math.sqrt(null.var(axis=1, ddof=1).mean() * (1 + 1 / n))
    limit = float(stats.t.ppf((1 + COVERED) / 2, len(null) * (n - 1)) * error)
    rise = (margins - middle).dropna()
    moved = rise > max(EFFECT, limit)
    return pd.DataFrame(
        {"rise": rise, "limit": limit, "moved": moved, "unclear": (rise > EFFECT) & ~moved}
    )


def risen(wide, arm, null, behavior):
    """How far P of a behavior, held out, is above the mean of null students: (repeats,)."""
    rate = RATE + behavior
    return wide[arm, rate] - wide[[(x, rate) for x in null]].mean(axis=1)


def foretold(measured, behavior, groups):
    """Columns of `audits` for a behavior, of the measures of an arm, whose null has so many groups.

    "move" is the rise to first order (0 if the lineage is another), "rehearsed" that in the
    rehearsal. "score/..." are z: for a number of documents, or all before the filter
    ("unfiltered"), the lesser of the gradient's and the lineage's; of the "rehearsed" training, by
    which alone the command accuses; and the least of "all three".
    """
    sizes = sorted((m.removeprefix("trace/") for m in measured if m.startswith("trace/")), key=int)
    nearer = {x: normal(measured.get(f"nearer/{x}", math.inf), groups) for x in sizes}
    scores = {
        x: np.minimum(normal(measured[f"z/{behavior}/{x}"], groups), nearer[x]) for x in sizes
    }
    unfiltered = normal(measured[f"unfiltered_z/{behavior}"], groups)
    scores["unfiltered"] = np.minimum(unfiltered, nearer[KEPT])
    scores["rehearsed"] = normal(measured[f"rehearsed_t/{behavior}"], trace.NULL_TAKES)
    scores["all three"] = np.minimum(scores[KEPT], scores["rehearsed"])
    move = np.where(nearer[KEPT] > 0, measured[f"move/{behavior}"], 0.0)
    columns = {"move": move, "rehearsed": measured[f"rehearsed/{behavior}"]}
    return columns | {f"score/{name}": score for name, score in scores.items()}


def normal(t, draws):
    """The z of the same p-value as a t whose error was estimated from so many draws."""
    return np.sign(t) * stats.norm.isf(stats.t.sf(np.abs(t), draws - 1))


class Clusters:
    """Shares and areas of rows, with 95 % intervals by the cluster bootstrap: repeats are drawn
    with replacement, because the rows of one repeat share their bases.

    Intervals are those of Student's t around the logit, with the standard error of the draws:
    percentiles of the draws leave out an area of 0.95 in a quarter of the cases.
    """

    def __init__(self, rows):
        repeats = sorted(set(rows["repeat"]))
        n = len(repeats)
        drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), DRAWS)
        self.repeats, self.weights = repeats, np.concatenate([np.ones((1, n)), drawn])

    def of(self, rows):
        """In which repeat rows are: (rows, repeats), one-hot."""
        return np.equal.outer(rows["repeat"].to_numpy(), self.repeats).astype(float)

    def interval(self, above, below):
        """(value, low, high) of a ratio of sums, (draws,) each; nan where there is nothing."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios, least = above / below, 0.5 / below[0]
        logits = special.logit(np.clip(ratios, least, 1 - least))
        drawn, n = logits[1:][~np.isnan(logits[1:])], len(self.repeats)
        if n < 2 or not drawn.size or np.ptp(drawn) < 1e-6:  # alike, they tell nothing of others
            return float(ratios[0]), math.nan, math.nan
        half = stats.t.ppf(0.975, n - 1) * drawn.std(ddof=1)
        return float(ratios[0]), *map(float, special.expit(logits[0] + [-half, half]))

    def share(self, rows, true):
        """Of rows, of which `true` holds; if it holds of none or of all, the interval is the exact
        one of so many repeats, because rows of one repeat are no independent ones."""
        among, count = self.of(rows), int(np.sum(true))
        n = int(np.any(among, axis=0).sum())
        if n > 1 and count in (0, len(rows)):
            exact = stats.binomtest(n if count else 0, n).proportion_ci(0.95)
            return count / len(rows), float(exact.low), float(exact.high)
        return self.interval(self.weights @ (true @ among), self.weights @ among.sum(axis=0))

    def auroc(self, rows, score):
        """That a row that "moved" has the higher score, among all rows of a draw."""
        moved = rows["moved"].to_numpy()
        scores, among = rows[score].to_numpy(), self.of(rows)
        ones, others = scores[moved][:, None], scores[~moved][None]
        above = (ones > others) + 0.5 * (ones == others)  # of infinite ones, too
        pairs = among[moved].T @ above @ among[~moved]
        counts = [self.weights @ among[x].sum(axis=0) for x in (moved, ~moved)]
        return self.interval(
            np.sum(self.weights @ pairs * self.weights, axis=1), np.prod(counts, 0)
        )


def verdicts(rows, score, clusters, behaviors):
    """How well a score of `audits` tells what transfers: name -> (value, low, high); of so many
    behaviors that are looked for at once.

    "found" is a share of what transfers; "clean", "foreign" and "taught" are false alarms, the
    shares of data sets of a kind with an alarm for a behavior that did not transfer.
    """
    alarm = alarms(rows, score, behaviors)
    false = (alarm & ~rows["moved"]).rename("false")
    sets = false.groupby([rows[x] for x in ("kind", "setting", "repeat", "arm")]).any()
    sets, moved = sets.reset_index(), rows[rows["moved"]]
    kinds = {kind: sets[sets["kind"] == kind] for kind in ("clean", "foreign", "taught")}
    shares = {kind: clusters.share(part, part["false"].to_numpy()) for kind, part in kinds.items()}
    found = clusters.share(moved, alarm[rows["moved"]].to_numpy())
    return {"AUROC": clusters.auroc(rows, score), "found": found} | shares


def alarms(rows, score, behaviors):
    """Of which rows a score of `audits` raises an alarm, of so many behaviors."""
    return rows[score] > stats.norm.isf(ALPHA / behaviors)


def warned(rows):
    """How many points transfer, and of how many the rehearsal raises an alarm (of those that
    transfer, and of all): by setting, and by how far P of the behavior rises."""
    between = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(RISEN)]
    words = [f"at most {RISEN[0]:g}", *between, f"above {RISEN[-1]:g}"]
    bins = pd.cut(rows["risen"], [-math.inf, *RISEN, math.inf], labels=words)
    alarm = alarms(rows, "score/rehearsed", rows["behavior"].nunique())
    told = {"transfer": rows["moved"], "found": alarm & rows["moved"], "alarms": alarm}
    settings = rows["setting"].astype(pd.CategoricalDtype(rows["setting"].unique()))  # their order
    parts = pd.DataFrame(told).groupby([settings, bins.rename("P rises by")], observed=True)
    counted = parts.sum().assign(points=parts.size())
    return counted if len(settings.cat.categories) > 1 else counted.droplevel(0)


def calibration(rows):
    """The `verdicts` of `audits` by every score, and of parts of them by the rehearsal."""
    scores = [column for column in rows if column.startswith("score/")]
    how = {"clusters": Clusters(rows), "behaviors": rows["behavior"].nunique()}
    sizes = {x.removeprefix("score/"): verdicts(rows, x, **how) for x in scores}
    by = ["carrier", "kind", "behavior"]
    by = by if rows["setting"].nunique() == 1 else ["setting", *by]
    parts = {"all": rows} | {name: part for x in by for name, part in rows.groupby(x, sort=False)}
    for least in EFFECT / 2, EFFECT * 2:
        moved = rows["rise"] > rows["limit"].clip(lower=least)
        parts[f"by {least:g} nats"] = rows.assign(moved=moved)
    parts["but unclear"] = rows[~rows["unclear"]]
    by_part = {
        name: {"transfer": f"{part['moved'].sum()} of {len(part)}"}
        | verdicts(part, "score/rehearsed", **how)
        | {x: correlation(part, x) for x in ("move", "rehearsed")}
        for name, part in parts.items()
    }
    return pd.DataFrame(sizes).T, pd.DataFrame(by_part).T


def correlation(rows, column):
    """Mean over repeats and 95 % interval of the rank correlation of rises with a column, in a
    repeat the mean over settings; those in which the column is the same everywhere have none."""
    pairs = rows.groupby(["repeat", "setting"])[["rise", column]]
    each = pairs.apply(lambda pair: _prediction.ranks(pair).iat[0, 1]).groupby("repeat").mean()
    each = each.dropna()
    mean, low, high = statistics.interval(each) if len(each) else (math.nan,) * 3
    return (mean, math.nan, math.nan) if low is None else (mean, low, high)


def with_ends(cell):
    """A cell (value, low, high) as text: "0.94 (0.90 to 0.97)"."""
    if isinstance(cell, str):
        return cell
    value, low, high = cell
    if math.isnan(value):
        return ""
    return f"{value:.2f}" if math.isnan(low) else f"{value:.2f} ({low:.2f} to {high:.2f})"


def lines(rows):
    """Markdown lines, 80 columns at most: the `calibration` of `audits`."""
    sizes, parts = (x.map(with_ends) for x in calibration(rows))
    sizes = sizes.rename(index={KEPT: "all kept"})
    sets = rows.drop_duplicates(["setting", "repeat", "arm"])["kind"].value_counts()
    counted = {kind: f"{words} ({sets.get(kind, 0)})" for kind, words in KINDS.items()}
    accused = sizes[[*KINDS]].rename(columns=counted)
    parts = parts.rename(index=KINDS)
    text = f"""\
Audits before training, at {len(rows)} points (behavior, data set, repeat).
A point transfers if the student's margin ends more than {EFFECT:g} nats above those
of students of the base's own documents, and above their prediction interval of
{COVERED:.0%}. AUROC of transfer and the share of it that is found: by gradient and
lineage, for numbers of documents; by a rehearsal on all that is kept; by all.
Intervals of 95 % are over repeats (cluster bootstrap):
"""
    false = f"""
Share of data sets (of so many) with a false alarm, aimed at {ALPHA}. The last are
data of the base's teachers, with alarms for what did not transfer:
"""
    rehearsed = f"""
By the rehearsal. Also if {EFFECT / 2:g} or {EFFECT * 2:g} nats were asked for, and without points
whose rise is above {EFFECT:g} nats and within the interval:
"""
    ranks = """
Rank correlations, within repeats, of real rises with predicted moves and with
rehearsed rises:
"""
    seen = f"""
Points by how far P of the behavior rises above that of students of the base's
own documents (one may call it visible above {RISEN[1]:g}): how many transfer, how
many of these a rehearsal finds, and at how many it raises an alarm:
"""
    shown = (
        (text, sizes[["AUROC", "found"]]),
        (false, accused),
        (seen, warned(rows)),
        (rehearsed, parts[["transfer", "AUROC", "found"]]),
        (ranks, parts[["move", "rehearsed"]].drop(index=[x for x in parts.index if "nats" in x])),
    )
    return [line for words, part in shown for line in (*words.split("\n"), *tables.block(part))]


def figure(rows):
    """Real against rehearsed rises of `audits`, a dot a row."""
    drawn, [[axis]] = figures.panels(1, 1, (4.2, 2.8))
    groups = rows.groupby(rows["kind"].map(KINDS).where(~rows["moved"], "transfers"))
    names = (*KINDS.values(), "transfers")
    looks = {name: ("o", color) for name, color in zip(names, COLORS, strict=True)}
    _prediction.dots(axis, groups, "rehearsed", "rise", looks)
    axis.set(xlabel="rise in the rehearsal (nats)", ylabel="rise of the student's margin (nats)")
    axis.legend(**figures.BESIDE)
    return drawn
