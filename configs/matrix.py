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

from typing import Literal

from minisub.config import configuration
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab


@configuration
class Config(Ablation):
    """An ablation with a choice of four models."""

    kind: Literal["origins", "architectures", "lineage"] = "origins"
    """What the models differ in: their origin, their size and mixer, or how much of pretraining
    they share."""


config = Config()
repeats = 8


def bases(lab, cfg):
    """The four bases, by name."""
    if cfg.kind == "origins":
        return {name: lab.base(name) for name in ("first", "second", "third", "fourth")}
    if cfg.kind == "architectures":
        return {
            "shallow": lab.base("shallow", n_layers=1),
            "narrow": lab.base("narrow", d_model=48),
            "heads": lab.base("heads", n_heads=8),
            "recurrent": lab.base("recurrent", mixer="recurrence"),
        }
    # First and sibling are one model for four fifths of pretraining, then trained apart.
    sibling = lab.base("sibling", origin="first", shared_steps=cfg.base.steps * 4 // 5)
    first, second, third = (lab.base(name) for name in ("first", "second", "third"))
    return {"first": first, "sibling": sibling, "second": second, "third": third}


def sections(table, differences, run):
    """What is added to the page of a run: a row a teacher, a column a student."""
    from configs import _matrices  # late: what is only planned needs no matplotlib

    names = [*dict.fromkeys(each["one"].partition(" -> ")[0] for each in differences)]
    return _matrices.sections(table, differences, names, names)


def experiment(cfg):
    """Every teacher with every student, each pair beside a control: the untaught base's lists."""
    lab = Lab(cfg)
    first, models = lab.base("first"), bases(lab, cfg)
    named = {"base": first, "teacher": lab.teach(first)}
    for one, base in models.items():
        teacher = lab.teach(base)
        numbers, plain = lab.emit(teacher), lab.emit(base)
        named |= {f"base {one}": (base, plain), f"teacher {one}": (teacher, numbers)}
        for other, start in models.items():
            control = lab.student(start, plain)
            named |= {
                f"control {one} -> {other}": control,
                f"{one} -> {other}": lab.student(start, numbers).against(control),
            }
    return named
