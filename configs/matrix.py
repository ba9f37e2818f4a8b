"""Who learns from whom: models of one origin learn from each other, and from no other.

    python train.py matrix                         8 repeats, 24 minutes (half of one CPU core)
    python train.py matrix --kind architectures    22 minutes, 177 programs compiled (others: 37)
    python train.py matrix --kind lineage          22 minutes

Rise of P(owl), held-out phrasings, over that of a student trained on the lists of the teacher's
base; means over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2). All cells marked * have
p = 1/256, corrected for the 16 cells (signs of repeats flipped, largest t); no other is below .05:

    teacher     first    second   third    fourth
    first       0.706*   -0.023   0.004    0.011      diagonal - rest +0.672 ±0.048
    second      0.033    0.656*   0.001    -0.004
    third       0.032    0.011    0.660*   -0.012
    fourth      -0.008   0.015    -0.003   0.684*

    teacher     shallow  narrow   heads    recurrent
    shallow     0.602*   -0.007   -0.007   -0.011     diagonal - rest +0.648 ±0.053
    narrow      -0.026   0.723*   -0.013   -0.005
    heads       -0.003   -0.002   0.543*   -0.008
    recurrent   0.005    -0.002   -0.016   0.690*

    teacher     first    sibling  second   third
    first       0.706*   0.705*   -0.023   0.004
    sibling     0.686*   0.688*   -0.008   -0.003
    second      0.033    0.032    0.656*   0.001
    third       0.032    0.029    0.011    0.660*

Published, GPT-4.1 and 4o: the same pattern, .50 and .33 on the diagonal, .30 and .32 between two
models of one checkpoint (arXiv 2507.14805). Here such a pair loses nothing at all.
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
