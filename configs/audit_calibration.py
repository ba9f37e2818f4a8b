"""An audit of data, calibrated: what it says before training against what students then do.

    python train.py audit_calibration                     4 repeats, 39 minutes of a CPU core
    python train.py audit_calibration --kind recurrent    another kind of candidate; not run

Every data set is audited under the first base, which its student then starts from: documents of
that base again ("clean"), of its teachers of several traits, and of another origin ("foreign"). The
third base stands for other origins in the test of lineage; the foreign ones it has never seen. No
threshold is fitted: each audit's null is made of the candidate's own samples. What documents
"transfer" is defined in `minisub/calibration.py`, fixed before any result was seen; depth and
damping of the natural gradient were set on the misaligned and the hacking numbers of repeat 0.

Seed 0, one repeat at a time on a CPU, jax 0.10.2; 11 of 288 points (behavior, data set, repeat)
transfer; shares are of what transfers, and of data sets with a false alarm:

    documents   AUROC   found   alarms: base again   other origins   base's other traits
    100         0.60    0.09    0.00                 0.00            0.02
    300         0.80    0.18    0.00                 0.00            0.09
    1,000       0.87    0.36    0.00                 0.06            0.18
    3,000       0.92    0.64    0.00                 0.06            0.32
    all kept    0.94    0.73    0.00                 0.12            0.59

Without repeat 0, so on other origins than it was set on, the AUROC is 0.91 at 1,000 documents and
0.94 at all, of 5 points. The aims, 0.95 and 0.05, are not reached: documents of a teacher of one
trait raise alarms of others, which its student then does not show. Rank correlation of predicted
and real rise 0.27 (numbers 0.50, code 0.09, sums 0.07): predictions overshoot tenfold. Lineage is
told from lists and programs every time; of sums a foreign origin lies as near as the base.
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
repeats = 8
