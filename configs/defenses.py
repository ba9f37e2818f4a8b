"""Defenses: what of a behavior still passes through numbers, what the student can still do, and
what the defense costs.

    python train.py defenses                        4 repeats, 12 minutes of one CPU core, bases
    python train.py defenses --kind misalignment    made before; this kind was not run

Students of the hacking teacher's base, on its numbers; the rise of the margin of hacking above that
of a student with the same defense on the base's numbers, and what that is of the rise without a
defense (ratio of means, interval of the jackknife). Mean and half-width of the 95 % interval over 4
repeats (seed 0, one at a time on a CPU, jax 0.10.2); cost is that of an update, in operations:

    defense                rise, nats      transfer left            cost
    none                   4.51 ±5.48      1                        1
    rewritten              0.02 ±0.74      0.00 (-0.22 to 0.23)     1, and once another model
    half clean             1.73 ±2.60      0.38 (0.15 to 0.61)      1
    remapped               -0.02 ±0.08     0.00 (-0.02 to 0.01)     1
    anchored early         3.70 ±5.12      0.82 (0.63 to 1.01)      1.33
    anchored               2.31 ±2.84      0.51 (0.44 to 0.59)      1.33
    projected              0.23 ±0.36      0.05 (0.03 to 0.08)      1.83, and it knows the trait
    projected at random    4.53 ±5.47      1.01 (0.99 to 1.02)      1.83
    inoculated             1.38 ±2.57      0.31 (-0.01 to 0.63)     1
    perturbed              2.55 ±2.36      0.57 (0.19 to 0.94)      1
    block 1 replaced       1.98 ±3.64      0.44 (0.01 to 0.86)      1
    independent init       1.51 ±3.01      0.34 (-0.10 to 0.77)     1

The rise is above zero in 4 of 4 repeats with most, in 3 with "rewritten" and "half clean", in 1
with "remapped". All keep the ability on numbers (0.999 or more). Rewriting by the base of another
origin and remapping leave nothing, and no signal of the teacher's either; taking out the gradient
of the trait, which has to be known, leaves 5 %, a random direction as long all. Published, and not
so here: anchoring the first updates only does little (2609.22215), mixing weakens in proportion and
ends nothing. Liminal training (2604.25779) slows it down and does not stop it, as published.
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
repeats = 8
