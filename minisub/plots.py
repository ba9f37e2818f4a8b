"""What figures are drawn with: colors, lines and dots of means with their intervals."""

from minisub import report

# Okabe and Ito's colors, distinguishable with any color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def save(figure, path):
    """Write a figure to `path`, a PNG, and as vectors beside it, as PDF."""
    figure.savefig(path, bbox_inches="tight")
    # Without a date, so that the same run gives the same bytes.
    figure.savefig(path.with_suffix(".pdf"), bbox_inches="tight", metadata={"CreationDate": None})


def line(axis, xs, samples, arm, style, dashed=False):
    """Means over repeats at numbers, with their intervals as a band."""
    means, lows, highs = zip(*map(report.interval, samples), strict=True)
    marker, color = style
    drawn = {"ls": "--"} if dashed else {"marker": marker, "ms": 3}
    axis.plot(xs, means, color=color, lw=1, label=arm, **drawn)
    if None not in lows:
        axis.fill_between(xs, lows, highs, color=color, alpha=0.15, lw=0)
    if min(xs) > 0 and max(xs) / min(xs) > 20:
        axis.set_xscale("log")


def dots(axis, samples, arm, style, shift):
    """Means over repeats at names, which have no distances, with their intervals as bars."""
    means, lows, highs = zip(*map(report.interval, samples), strict=True)
    places = [x + shift for x in range(len(means))]
    ends = [[0] * len(means)] * 2
    if None not in lows:
        ends = [[m - low for m, low in zip(means, lows, strict=True)],
                [high - m for m, high in zip(means, highs, strict=True)]]  # fmt: skip
    marker, color = style
    axis.errorbar(places, means, ends, fmt=marker, ms=3, color=color, capsize=2, lw=1, label=arm)
