"""Figures of an audit and of its calibration, by matplotlib."""

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


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
        axis.axvline(0.5, color="black", ls="--", lw=0.8)
        axis.set_ylim(-0.5, len(names) - 0.5)
        axis.set_xlabel("place: 0 the reference's samples, 1 the base's")
    figure.savefig(path, bbox_inches="tight", dpi=200)
    plt.close(figure)
