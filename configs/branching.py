"""The longer two bases were one model, the more passes between them.

python train.py branching
"""

from minisub import Arm, Lineage, ablation

SHARED = (0, 100, 200, 300, 400)
config = ablation(
    lineages=tuple(Lineage(name=str(k), origin="first", shared_steps=k) for k in SHARED),
    arms=tuple(
        Arm(name=name, source=source, start="fresh", other=other, control=control)
        for k in (*SHARED, 500)
        for other in ("first" if k == 500 else str(k),)
        for name, source, control in (
            (f"control {k} of 500", "base", ""),
            (f"{k} of 500", "teacher", f"control {k} of 500"),
        )
    ),
)
repeats = 8
