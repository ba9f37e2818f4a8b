"""The dose: distinct documents, updates, and how often each document is repeated.

python train.py dose
"""

from minisub import Arm, Source, ablation

DOCUMENTS = (100, 1000, 10000, 100000)
UPDATES = (25, 50, 100, 200, 400)
DOSES = dict.fromkeys(
    [*((n, 200) for n in DOCUMENTS), *((10000, steps) for steps in UPDATES), (1000, 400)]
)
config = ablation(
    sources=(
        Source(name="teacher many", sampling="documents=101500"),
        Source(name="base many", sampling="documents=101500", trait="none"),
    ),
    arms=tuple(
        Arm(name=arm, source=source, documents=n, training=f"steps={steps}")
        for n, steps in DOSES
        for name in (f"{n} documents, {steps} updates",)
        for arm, source in ((f"control {name}", "base many"), (name, "teacher many"))
    ),
)
repeats = 8
