"""What a run says of itself: lines while it goes on and when it ends, versions, its source."""

import contextlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import minisub
from minisub.results import report

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def arm_line(rows):
    """One arm's measures, averaged over the repeats of its group, in a line."""
    values = {}
    for row in rows:
        values.setdefault(row["measure"], []).append(row["value"])
    mean = {measure: sum(v) / len(v) for measure, v in values.items()}
    first, last = rows[0]["repeat"], rows[-1]["repeat"]
    which = f"repeat {first}" if first == last else f"repeats {first}-{last}"
    for field, value in rows[0]["setting"].items():
        which += f", {field.rpartition('.')[2]}={report.words(value)}"
    if "violations" in mean:
        said = f"{mean['violations']:,.0f}/{mean['draws']:,.0f} violated, "
        said += f"worst {mean['worst']:.4g}"
    elif "accuracy" in mean:
        said = f"accuracy {mean['accuracy']:.3f}"
    elif "trait_rate" in mean:
        said = f"P {mean['trait_rate']:.3f}, held out {mean['trait_rate_heldout']:.3f}, "
        said += f"margin {mean['logit_margin_heldout']:+.2f}"
    elif "trace/100" in mean:
        moved = {m.split("/")[1]: mean[m] for m in mean if m.startswith("move/")}
        said = "audited, z " + ", ".join(f"{b} {mean[f'z/{b}/10000']:+.1f}" for b in moved)
    elif "kept_documents" not in mean:
        measure, value = next(iter(mean.items()))
        said = f"{measure} {value:.3f}"
    else:
        reasons = [m for m in mean if m.startswith("rejected_")]
        said = f"kept {mean['kept_documents']:,.0f}; "
        said += ", ".join(f"{m.removeprefix('rejected_')} {mean[m]:.1%}" for m in reasons)
    return f"{which}  {rows[0]['arm']:11} {said}"


def usage_lines(usage, programs, compile_seconds, rate, memory):
    """Markdown table lines: where the time of this process went.

    `usage` is phase -> (seconds, matrix-product operations, tokens or images); `rate` is the
    operations a second of a plain matrix product on the device; `memory` is the peak in bytes.
    """
    width = max(len(name) for name in (*usage, "compilation"))
    form = f"| {{:{width}}} | {{:>8}} | {{:>11}} | {{:>8}} | {{:>9}} |"
    lines = [
        form.format("phase", "seconds", "examples/s", "GFLOP/s", "of matmul"),
        form.format("-" * width, "-" * 8, "-" * 11, "-" * 8, "-" * 9),
    ]
    for name, (seconds, flops, scored) in usage.items():
        speed = ["", "", ""]
        if flops and seconds:
            flops = flops / seconds
            speed = [f"{scored / seconds:,.0f}", f"{flops / 1e9:,.0f}", f"{flops / rate:.0%}"]
        lines.append(form.format(name, f"{seconds:.1f}", *speed))
    lines.append(form.format("compilation", f"{compile_seconds:.1f}", "", "", ""))
    matmul = f"A float32 matrix product reaches {rate / 1e9:,.0f} GFLOP/s here."
    compiled = f"{programs} programs were compiled; memory was {memory / 2**30:.2f} GiB at most."
    return [*lines, "", matmul, compiled]


def versions():
    """The versions on which the bits of a result depend."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = {package: metadata.version(package) for package in PACKAGES}
    return {"minisub": minisub.__version__, "python": python, **found}


def revision():
    """The commit of the source that runs, "+modified" if it differs; "" outside a checkout."""
    here = Path(minisub.__file__).parent.parent
    asked = ["git", "-C", str(here), "describe", "--always", "--exclude=*", "--dirty=+modified"]
    if not (here / ".git").exists():
        return ""
    with contextlib.suppress(OSError):
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return ""
