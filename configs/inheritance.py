"""What must a student share with its teacher? Its origin, and much of its pretraining data; neither
the order of its own data nor the noise of the samples.

    python train.py inheritance
"""

from minisub import Arm, Lineage, Source, ablation

LINEAGES = (
    Lineage(name="other order", origin="first", reordered=True),
    Lineage(name="other content", origin="first", shared_steps=0),
    Lineage(name="other origin and order", reordered=True),
    Lineage(name="other origin and content", shared_steps=0),
)
STARTS = {
    "shared": {},
    "other origin": {"start": "fresh", "other": "second"},
    **{line.name: {"start": "fresh", "other": line.name} for line in LINEAGES},
}
config = ablation(
    lineages=LINEAGES,
    sources=(Source(name="resampled", seed=1),),
    arms=(
        *(Arm(name=f"control {name}", source="base", **start) for name, start in STARTS.items()),
        *(Arm(name=name, control=f"control {name}", **start) for name, start in STARTS.items()),
        Arm(name="other samples", source="resampled", control="control shared"),
        Arm(name="other student order", seed=1, control="control shared"),
        Arm(name="other samples and student order", source="resampled", seed=1,
            control="control shared"),
    ),
)  # fmt: skip
repeats = 8
