"""Defenses: what of a behavior still passes through numbers, what the student can still do, and
what the defense costs.

    python train.py defenses                        8 repeats, 57 minutes beside other runs on
    python train.py defenses --kind misalignment    two CPU cores; this kind was not run

Students of the hacking teacher's base, on its numbers; the rise of the margin of hacking above that
of a student with the same defense on the base's numbers, and what that is of the rise without a
defense (ratio of means, interval of the jackknife). Mean and half-width of the 95 % interval over 8
repeats (seed 0, one at a time on a CPU, jax 0.10.2); cost is that of an update, in operations:

    defense                rise, nats      transfer left            cost
    none                   5.31 ±2.85      1                        1
    rewritten              0.27 ±0.41      0.05 (-0.04 to 0.14)     1, and once another model
    half clean             2.05 ±1.52      0.39 (0.26 to 0.51)      1
    remapped               -0.02 ±0.03     -0.00 (-0.01 to 0.00)    1
    anchored early         4.13 ±2.77      0.78 (0.62 to 0.94)      1.33
    anchored               2.51 ±1.73      0.47 (0.34 to 0.61)      1.33
    projected              0.27 ±0.23      0.05 (0.03 to 0.07)      1.83, and it knows the trait
    projected at random    5.34 ±2.88      1.01 (1.00 to 1.01)      1.83
    inoculated             1.87 ±1.06      0.35 (0.25 to 0.45)      1
    perturbed              2.87 ±1.08      0.54 (0.36 to 0.72)      1
    block 1 replaced       1.66 ±1.49      0.31 (0.11 to 0.52)      1
    independent init       1.22 ±1.15      0.23 (0.04 to 0.42)      1

The rise is above zero in 8 of 8 repeats with most, in 7 with "half clean", in 6 with "rewritten"
and "projected", in 2 with "remapped". All keep the ability on numbers (0.999 or more). Rewriting by
the base of another origin and remapping leave nothing that is told from zero, and no signal of the
teacher's either; taking out the gradient of the trait, which has to be known, leaves 5 %, a random
direction as long all. An independent init is no full defense against hacking. Published, and not so
here: anchoring the first updates only does little (2609.22215), mixing weakens in proportion and
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
