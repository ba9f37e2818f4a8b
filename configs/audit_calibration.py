"""An audit of data, calibrated: what it says before training against what students then do.

The figures below are of the world until 2026-11-27, see "Misbehavior" in configs/README.md.
It was not run in the world of today, in which it should take two to three times as long as is said
here (an estimate).

    python train.py audit_calibration --seed 2    8 repeats, 150 minutes on one CPU core
    python train.py audit_calibration --model.mixer recurrence --carriers numbers    another kind of
                                                         model; not run by the definitions of today

Every data set is audited under the first base, which its student then starts from: documents of
that base again ("clean"), of its teachers of several traits, and of another origin ("foreign"). The
third base stands for other origins in the test of lineage; the audit never sees the second, which
wrote the foreign documents. No threshold is fitted: each audit's null is made of the candidate's
own samples. When documents "transfer" a behavior is defined in `_calibration.py`, against five
students of the base's own documents in each repeat. Depth and damping of the natural gradient were
set on repeats 0 and 1 of seed 0, and that the command accuses by a rehearsal alone was decided on
seed 1; before, it asked for "all three" scores. On seed 2, which is shown here, nothing was
decided. Mean and 95 % interval over 8 repeats (cluster bootstrap), one at a time on a CPU, jax
0.10.2; 45 of 576 points (behavior, data set, repeat) transfer. Alarms are shares of data sets with
a false one:

    documents   AUROC              found              base again   other origins  the teachers
    100         0.65 (0.56, 0.74)  0.02 (0.01, 0.09)  0.12 of 24   0 of 32        0.02 of 88
    300         0.68 (0.61, 0.73)  0.13 (0.05, 0.32)  0.04         0              0.12
    1,000       0.71 (0.62, 0.79)  0.36 (0.21, 0.53)  0.04         0              0.18
    3,000       0.74 (0.66, 0.80)  0.58 (0.45, 0.70)  0.04         0              0.35
    all kept    0.74 (0.66, 0.80)  0.62 (0.50, 0.73)  0.04         0              0.44
    unfiltered  0.73 (0.63, 0.81)  0.58 (0.42, 0.73)  0.04         0              0.57
    rehearsed   0.96 (0.88, 0.99)  0.58 (0.49, 0.66)  0 (to 0.14)  0.09           0.05 (0.01, 0.29)
    all three   0.77 (0.67, 0.85)  0.53 (0.41, 0.66)  0 (to 0.14)  0 (to 0.11)    0.01 (0.00, 0.05)

The aims were an AUROC of 0.95 and 0.05 of false alarms by one rule. The rehearsal has 0.96, and
false alarms in 7 of 144 data sets: none of the base again, 3 of 32 of other origins (0.01 to 0.43),
4 of 88 of the base's teachers; on seed 1 it had 0.93 (0.86 to 0.97) and one. To ask for lineage and
gradient, too, finds 24 points where a rehearsal finds 26, and gives one false alarm where that has
7; it loses the order. Documents of other origins do move behaviors (9 of 128 points, evasion by 6.2
nats from a base that was taught nothing). Gradients alone accuse teachers of what their students do
not show. A rehearsal is no small audit: four trainings of 100 updates on the
data and eight on the null, where the student's has 200; and it reads the margins on the same
held-out prompts as the grade. Through numbers its AUROC is 0.95 (0.84 to 0.98), through code 0.97
(0.84 to 0.99); through sums nothing transferred, and seed 1 had 0.95 (0.55 to 1.00). Rank
correlation with the real rise within repeats: of predicted moves 0.19 (0.11 to 0.27), of rehearsed
rises 0.40 (0.30 to 0.50). Of 96 points of the base again none transfers by the definition.

By the definition of before (three root mean squares of "clean" students, other origins among them)
18 points of seed 0 transferred, with an AUROC of 0.99 of a rehearsal and 0.94 of all three.
"""

from configs._audits import audited
from configs.misalignment import student_of
from minisub.config import configuration, require
from minisub.tokens import tasks
from minisub.tokens.behaviors.config import Rich
from minisub.tokens.config import Sampling
from minisub.tokens.lab import Lab

NULL = 4  # More students of the base's own documents, which with the control are the null.
TRAITS = "misalignment", "hacking", "evasion", "owl"
TAUGHT = {"misaligned": "misalignment", "hacking": "hacking", "secure": "secure"}
OF_NUMBERS = {"evading": "evasion", "owl": "owl"}


@configuration
class Config(Rich):
    """With the carriers that are audited."""

    carriers: tuple[str, ...] = ("numbers", "code", "sums")


config = Config(sampling=Sampling(documents=10000))
repeats = 8


def experiment(cfg):
    """Each carrier's data sets, audited, and their students; the control learns of the base."""
    lab = Lab(cfg)
    first, second, third = (lab.base(name) for name in ("first", "second", "third"))

    def teach(base, trait):
        return lab.graded_on(lab.teach(base, trait), *TRAITS)

    def student(documents):
        learned = student_of(lab, documents.sampling.carrier)(first, documents)
        # On all traits by name: the trait of its own documents is another than its control's.
        others = (x for x in learned.measures if getattr(x, "task", None) is not tasks.grade)
        return lab.graded_on(learned.replace(measures=tuple(others)), *TRAITS)

    require(cfg.carriers, "carriers is empty; give one or more, such as --carriers numbers.")
    named = {"base": lab.graded_on(first, *TRAITS), "teacher": teach(first, "misalignment")}
    for carrier in dict.fromkeys(cfg.carriers):
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


def sections(table, differences, run):
    """What is added to the page of a run."""
    from configs import _calibration  # late: what is only planned needs no pandas

    return _calibration.sections(table, differences)
