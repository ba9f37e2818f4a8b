"""What a run says of itself: lines while it goes on and when it ends, and its plan."""

import contextlib
import resource
import subprocess
import sys
from pathlib import Path

import minisub
from minisub.lab import costs, folder

SHORT = {
    "accuracy": "accuracy", "trait_rate": "P", "trait_rate_heldout": "P held out",
    "logit_margin_heldout": "margin", "kept_documents": "documents",
}  # fmt: skip
"""Measures that a line about a name shows, and how; of a name without them, the first two."""


def line_of(rows):
    """The measures of one name, averaged over the repeats of its group, in a line."""
    values: dict = {}
    for row in rows:
        values.setdefault(row["measure"], []).append(row["value"])
    mean = {measure: sum(v) / len(v) for measure, v in values.items()}
    low, high = rows[0]["repeat"], rows[-1]["repeat"]
    which = f"repeat {low}" if low == high else f"repeats {low}-{high}"
    for field, value in rows[0]["setting"].items():
        which += f", {field.rpartition('.')[2]}={value}"
    chosen = [m for m in SHORT if m in mean] or list(mean)[:2]
    said = ", ".join(f"{SHORT.get(m, m)} {mean[m]:,.3f}" for m in chosen)
    return f"{which}  {rows[0]['arm']:12} {said}"


def usage_lines(usage, rate, taken):
    """Markdown table lines: where the time of this process went.

    `usage` is task -> (seconds, matrix-product operations); `rate` the operations a second of a
    plain matrix product on the device; `taken` how many products came from earlier runs.
    """
    width = max(len(name) for name in (*usage, "compilation"))
    form = f"| {{:{width}}} | {{:>8}} | {{:>8}} | {{:>9}} |"
    lines = [
        form.format("task", "seconds", "GFLOP/s", "of matmul"),
        form.format("-" * width, "-" * 8, "-" * 8, "-" * 9),
    ]
    quiet = sum(seconds for seconds, flops in usage.values() if not flops)
    for name, (seconds, flops) in usage.items():
        if flops:
            speed = flops / max(seconds, 1e-9)
            lines.append(
                form.format(name, f"{seconds:.1f}", f"{speed / 1e9:,.0f}", f"{speed / rate:.0%}")
            )
    if quiet >= 0.05:
        lines.append(form.format("others", f"{quiet:.1f}", "", ""))
    lines.append(form.format("compilation", f"{costs.compile_seconds():.1f}", "", ""))
    matmul = f"A float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s here."
    memory = peak_memory() / 2**30
    programs = costs.compilations["programs"]
    compiled = f"{programs} programs were compiled; memory was {memory:.2f} GiB at most."
    reused = f" {taken} bases and teachers came from earlier runs (--fresh makes them anew)."
    return [*lines, "", matmul, compiled + (reused if taken else "")]


def peak_memory():
    """Most memory that this process has held so far, in bytes; of the host, not of a device."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def plan_lines(left):
    """A table of what is left to make, (product, repeats, operations), in the order of making."""
    form = "{:>9}  {:>10}  {:28}  {}"
    yield form.format("repeats", "GFLOP", "product", "line of the experiment")
    total = 0.0
    for product, repeats, flops in left:
        total += flops
        if product.stream is None:  # a measure: quickly made, and of a line that is listed already
            continue
        where = folder.label(repeats) if repeats else "all"
        name = str(product) if len(str(product)) <= 28 else f"{str(product)[:27]}…"
        yield form.format(where, f"{flops / 1e9:,.2f}", name, product.written)
    yield f"{total / 1e9:,.0f} GFLOP are left to make, measures included."


def revision():
    """The commit of the source that runs, "+modified" if it differs; "" outside a checkout."""
    here = Path(minisub.__file__).parent.parent
    asked = ["git", "-C", str(here), "describe", "--always", "--exclude=*", "--dirty=+modified"]
    if not (here / ".git").exists():
        return ""
    with contextlib.suppress(OSError):
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return ""
