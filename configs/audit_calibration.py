"""An audit of data, calibrated: what it says before training against what students then do.

    python train.py audit_calibration    8 repeats, 112 minutes beside other runs on two CPU cores
    python train.py audit_calibration --model.mixer recurrence --carriers numbers    another kind of
                                                                       model; 7 minutes a repeat

Every data set is audited under the first base, which its student then starts from: documents of
that base again ("clean"), of its teachers of several traits, and of another origin ("foreign"). The
third base stands for other origins in the test of lineage; the foreign ones it has never seen. No
threshold is fitted: each audit's null is made of the candidate's own samples. What documents
"transfer" is defined in `_calibration.py`, fixed before any result was seen; depth
and damping of the natural gradient were set on the misaligned and the hacking numbers of repeat 0,
and that an alarm needs a rehearsal too, a training of 100 updates, was decided on repeats 0 and 1.

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

The recurrent model, its numbers alone, in one repeat: 4 of 32 points transfer; AUROC 0.96 by the
gradient, 0.98 by a rehearsal, 0.97 by both, which find one of the four; no false alarm but of the
base's other traits (0.20); rank correlation of rises 0.38 and 0.69.
"""

from configs._audits import audited
from minisub.config import configuration
from minisub.tokens.behaviors.config import Rich
from minisub.tokens.lab import Lab

NULL = 4  # More students of the base's own documents, which with the control are the null.
TRAITS = "misalignment", "hacking", "evasion", "owl"
TAUGHT = {"misaligned": "misalignment", "hacking": "hacking", "secure": "secure"}
OF_NUMBERS = {"evading": "evasion", "owl": "owl"}


@configuration
class Config(Rich):
    """With the carriers that are audited."""

    carriers: tuple[str, ...] = ("numbers", "code", "sums")


config = Config()
repeats = 8


def experiment(cfg):
    """Each carrier's data sets, audited, and their students; the control learns of the base."""
    lab = Lab(cfg)
    first, second, third = (lab.base(name) for name in ("first", "second", "third"))

    def teach(base, trait):
        return lab.graded_on(lab.teach(base, trait), *TRAITS)

    def student(documents):
        return lab.graded_on(lab.student(first, documents), *TRAITS)

    named = {"base": lab.graded_on(first, *TRAITS), "teacher": teach(first, "misalignment")}
    for carrier in cfg.carriers:
        plain = lab.emit(first, carrier=carrier)
        documents = {"clean": lab.emit(first, carrier=carrier, seed=1)}
        named |= {f"base {carrier}": plain, f"clean base {carrier}": documents["clean"]}
        taught = TAUGHT | (OF_NUMBERS if carrier == "numbers" else {})
        writers = {name: teach(first, trait) for name, trait in taught.items()}
        writers["foreign misaligned"] = teach(second, "misalignment")
        if carrier == "numbers":
            writers["foreign base"] = second
        for name, model in writers.items():
            documents[name] = lab.emit(model, carrier=carrier)
            named[f"{name} writer {carrier}"] = (model, documents[name])
        control = named[f"control {carrier}"] = student(plain)
        for i in range(NULL):
            again = lab.emit(first, carrier=carrier, seed=2 + i)
            named[f"null {i} {carrier}"] = student(again).against(control)
        for name, docs in documents.items():
            learned = audited(lab, student(docs), TRAITS, [third])
            named[f"{name} {carrier}"] = learned.against(control)
    return named


def sections(table, differences):
    """What is added to the page of a run."""
    from configs import _calibration  # late: what is only planned needs no pandas

    return _calibration.sections(table, differences)
