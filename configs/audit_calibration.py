"""An audit of data, calibrated: what it says before training against what students then do.

    python train.py audit_calibration                     8 repeats, 112 minutes beside other runs
                                                          on two CPU cores
    python train.py audit_calibration --kind recurrent    another kind of model; 7 minutes a repeat

Every data set is audited under the first base, which its student then starts from: documents of
that base again ("clean"), of its teachers of several traits, and of another origin ("foreign"). The
third base stands for other origins in the test of lineage; the foreign ones it has never seen. No
threshold is fitted: each audit's null is made of the candidate's own samples. What documents
"transfer" is defined in `minisub/calibration.py`, fixed before any result was seen; depth and
damping of the natural gradient were set on the misaligned and the hacking numbers of repeat 0, and
that an alarm needs a rehearsal too, a training of 100 updates, was decided on repeats 0 and 1.

Seed 0, one repeat at a time on a CPU, jax 0.10.2; 18 of 576 points (behavior, data set, repeat)
transfer; shares are of what transfers, and of data sets with a false alarm:

    documents   AUROC   found   alarms: base again   other origins   base's other traits
    100         0.65    0.06    0.00                 0.00            0.02
    300         0.78    0.22    0.00                 0.00            0.10
    1,000       0.80    0.44    0.00                 0.06            0.28
    3,000       0.87    0.72    0.04                 0.06            0.41
    all kept    0.89    0.83    0.04                 0.16            0.68
    unfiltered  0.91    0.83    0.04                 0.16            0.64
    rehearsed   0.99    0.89    0.00                 0.16            0.12
    both        0.94    0.78    0.00                 0.00            0.09

Without repeats 0 and 1 the last rows are 0.99, 0.88, 0, 0.13, 0.14 and 0.93, 0.75, 0, 0, 0.11. The
aims are an AUROC of 0.95, which a rehearsal reaches, and 0.05 of false alarms on clean data, which
both together reach (0.94). By the gradient alone documents of a teacher of one trait raise alarms
of others, which its student then does not show; all 8 sets that both accuse falsely have the trait
that is named, with a rise of the student below the definition's. Rank correlation
with the real rise: of the gradient's moves 0.25, which overshoot three- to fourfold, of rehearsed
rises 0.44 (numbers 0.65, code 0.25, sums 0.26), which reach 0.7 of it. Lineage is told from lists
and programs every time; of sums a foreign origin lies as near as the base, and the one real
transfer from another origin (hacking, sums, +4.7 nats) is missed. Filtering for correct documents
changes little of what the audit sees.

The recurrent kind, its numbers alone, in one repeat: 4 of 32 points transfer; AUROC 0.96 by the
gradient, 0.98 by a rehearsal, 0.97 by both, which find one of the four; no false alarm but of the
base's other traits (0.20); rank correlation of rises 0.38 and 0.69.
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
