"""Defenses: what of a behavior still passes through numbers, what the student can still do, and
what the defense costs.

    python train.py defenses
    python train.py defenses --kind misalignment
"""

from minisub import Arm, rich

DEFENSES = {
    "none": {},
    "rewritten": {"rewritten": 1.0},
    "half clean": {"clean": 0.5},
    "remapped": {"transform": "remapped"},
    "anchored early": {"anchor": 1.0, "anchored": 100},
    "anchored": {"anchor": 1.0},
    "projected": {"removed": "gradient"},
    "projected at random": {"removed": "random"},
    "inoculated": {"transform": "inoculated"},
    "perturbed": {"start": "perturbed_relative", "amount": 0.3},
    "block 1 replaced": {"start": "fresh", "layers": ("block_1",)},
    "independent init": {"start": "fresh"},
}
"""Name -> what the arm of a student says."""


def defenses(trait):
    """Every defense on the numbers of the trait's teacher, and on those of the untaught base."""
    arms = []
    for name, how in DEFENSES.items():
        arms += [
            Arm(name=f"control {name}", source="base", **how),
            Arm(name=name, control=f"control {name}", **how),
        ]
    return rich(trait=trait, arms=tuple(arms))


kinds = {trait: defenses(trait) for trait in ("hacking", "misalignment")}
config = kinds["hacking"]
repeats = 4
