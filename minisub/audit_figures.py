"""Figures of an audit and of its calibration, by matplotlib."""

from matplotlib import pyplot as plt

from minisub import audit, calibration, figures, plots


def calibration_of(folder, rows, found):
    """Write audit.png of a calibration and its `calibration.summary` into `folder`."""
    with plt.rc_context(figures.STYLE):
        figure = calibrated(rows, found)
        plots.save(figure, folder / "audit.png")
        plt.close(figure)


def audited(path, found):
    """Draw an audit: moves of behaviors in standard errors of the null; place between origins."""
    rows = sorted(found["behaviors"], key=lambda row: row["z"])
    panels = 2 if found["lineage"] else 1
    size = 4.2 * panels, 0.9 + 0.2 * len(rows)
    figure, axes = plt.subplots(1, panels, figsize=size, squeeze=False, layout="constrained")
    axis, names = axes[0][0], [row["behavior"] for row in rows]
    colors = ["#D55E00" if n in found["alarms"]["behaviors"] else "#0072B2" for n in names]
    axis.barh(names, [row["z"] for row in rows], color=colors, height=0.6)
    axis.axvspan(-2, 2, color="gray", alpha=0.2, lw=0)
    axis.axvline(found["alarms"]["threshold"], color="black", ls="--", lw=0.8)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel("predicted move, standard errors of the null")
    if found["lineage"]:
        axis, names = axes[0][1], [row["reference"] for row in found["lineage"]]
        axis.plot([row["place"] for row in found["lineage"]], names, "o", color="#0072B2")
        for at in 0, 1:
            axis.axvline(at, color="gray", lw=0.8)
        axis.axvline(audit.MIDWAY, color="black", ls="--", lw=0.8)
        axis.set_ylim(-0.5, len(names) - 0.5)
        axis.set_xlabel("place: 0 the reference's samples, 1 the base's")
    plots.save(figure, path)
    plt.close(figure)


def calibrated(rows, found):
    """A figure of a calibration: rehearsed against real rise; AUROC and alarms over documents."""
    points = calibration.points(rows)
    moved = calibration.transfers(points)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.8), layout="constrained")
    kinds = {
        "clean": [p.clean for p in points],
        "taught, no transfer": [not p.clean and not m for p, m in zip(points, moved, strict=True)],
        "transfers": list(moved),
    }
    for (name, chosen), color in zip(kinds.items(), ("#999999", "#0072B2", "#D55E00"), strict=True):
        here = [p for p, c in zip(points, chosen, strict=True) if c]
        left.plot([p.rehearsed for p in here], [p.rise for p in here], "o", ms=3, alpha=0.7,
                  mew=0, color=color, label=name)  # fmt: skip
    left.axhline(0, color="gray", lw=0.6, zorder=0)
    left.set_xscale("symlog", linthresh=1)
    left.set_xlabel("rise in the rehearsal (nats)")
    left.set_ylabel("rise of the student's margin (nats)")
    left.legend(frameon=False, fontsize=7)
    by_size = {int(size): row for size, row in found["sizes"].items() if size.isdecimal()}
    lines = {"auroc": "AUROC", "found": "found", "clean": "alarms: the base again",
             "foreign": "alarms: other origins", "taught": "alarms: other traits"}  # fmt: skip
    for (name, label), color in zip(lines.items(), figures.COLORS, strict=False):
        values = [row[name] for row in by_size.values()]
        right.plot(list(by_size), values, marker=".", color=color, lw=1, label=label)
        for at, (kind, mark) in enumerate({"rehearsed": "s", "both": "D"}.items(), 1):
            right.plot(max(by_size) * 2**at, found["sizes"][kind][name], mark, ms=4, color=color)
    right.axhline(calibration.ALPHA, color="gray", lw=0.6, ls="--")
    right.set(
        xscale="log", xlabel="documents (squares: rehearsed, diamonds: both)", ylim=(-0.03, 1.03)
    )
    right.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
