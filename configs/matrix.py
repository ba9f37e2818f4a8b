"""Who learns from whom: models of a common origin learn from each other, and from no other.

python train.py matrix
python train.py matrix --kind architectures
python train.py matrix --kind lineage
"""

from minisub import Arm, Lineage, Source, ablation


def matrix(names, lineages=()):
    """Every teacher with every student, each pair beside a control: the untaught base's lists."""
    arms = []
    for teacher in names:
        for student in names:
            pair = f"{teacher} -> {student}"
            start = {} if teacher == student else {"start": "fresh", "other": student}
            arms += [
                Arm(name=f"control {pair}", source=f"base {teacher}", **start),
                Arm(name=pair, source=f"teacher {teacher}", control=f"control {pair}", **start),
            ]
    return ablation(
        lineages=lineages,
        sources=tuple(Source(name=f"teacher {name}", lineage=name) for name in names),
        arms=tuple(arms),
    )


kinds = {
    "origins": matrix(
        ("first", "second", "third", "fourth"), (Lineage(name="third"), Lineage(name="fourth"))
    ),
    "architectures": matrix(
        ("shallow", "narrow", "heads", "recurrent"),
        (
            Lineage(name="shallow", model="n_layers=1"),
            Lineage(name="narrow", model="d_model=48"),
            Lineage(name="heads", model="n_heads=8"),
            Lineage(name="recurrent", model="mixer=recurrence"),
        ),
    ),
    # First and sibling are one model for four fifths of pretraining, then trained apart.
    "lineage": matrix(
        ("first", "sibling", "second", "third"),
        (Lineage(name="sibling", origin="first", shared_steps=400), Lineage(name="third")),
    ),
}
config = kinds["origins"]
repeats = 8
