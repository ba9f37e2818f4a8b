"""An audit of data, calibrated: what it says before training against what students then do.

    python train.py audit_calibration                      numbers, code and sums
    python train.py audit_calibration --kind recurrent     numbers, a candidate of another kind

Every data set is audited under the first base, which its student then starts from: documents of
that base again ("clean"), of its teachers of several traits, and of another origin ("foreign"). The
third base stands for other origins in the test of lineage; the foreign ones it has never seen. No
threshold is fitted: each audit's null is made of the candidate's own samples. What documents
"transfer" is defined in `minisub/calibration.py`.
"""

import dataclasses

from minisub import Arm, Lineage, Model, emitters, rich

EVERYWHERE = {"misaligned": "misalignment", "hacking": "hacking", "secure": "secure"}
NUMBERS = {"evading": "evasion", "owl": "owl"}
FOREIGN = {"foreign base": "none", "foreign misaligned": "misalignment"}


def writers(traits):
    """What their models are called, beside the arms of the same names."""
    return {f"{name} writer": trait for name, trait in traits.items()}


def arms(carriers):
    """Each carrier's data sets and their students; the control is on the base's own documents."""
    found = []
    for carrier in carriers:
        own = [*EVERYWHERE, *(NUMBERS if carrier == "numbers" else ())]
        foreign = list(FOREIGN)[0 if carrier == "numbers" else 1 :]
        found += [
            Arm(name=f"control {carrier}", source=f"base {carrier}"),
            Arm(name=f"clean {carrier}", source=f"clean base {carrier}"),
            *(Arm(name=f"{x} {carrier}", source=f"{x} writer {carrier}") for x in own),
        ]
        start = {"start": "fresh", "other": "first"}
        found += [
            Arm(name=f"{x} {carrier}", source=f"{x} writer {carrier}", **start) for x in foreign
        ]
    return tuple(found)


all_carriers = rich(
    trait="misalignment",
    graded=("misalignment", "hacking", "evasion", "owl"),
    lineages=(Lineage(name="third"),),
    references=("third",),
    sources=(
        *emitters({"base": "none", **writers(EVERYWHERE)}),
        *emitters(writers(NUMBERS), ("numbers",)),
        *emitters({"clean base": "none"}, seed=1),
        *emitters(writers(FOREIGN), lineage="second"),
    ),
    arms=arms(("numbers", "code", "sums")),
)
kinds = {
    "attention": all_carriers,
    "recurrent": dataclasses.replace(
        all_carriers, model=Model(mixer="recurrence"), arms=arms(("numbers",))
    ),
}
config = all_carriers
repeats = 4
