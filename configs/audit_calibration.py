"""An audit before training foretells half of what then transfers, and accuses data of other origins
of what they do not do: it is no safeguard.

    python train.py audit_calibration --seed 7 --sweep student.steps=200,600,2000 --repeats 5
                                     132 minutes on two CPU cores, others busy, with bases
    python train.py audit_calibration --model.mixer recurrence --carriers numbers    another kind of
                                     model; not run by the definitions of today

Every data set, some 10,000 documents, is audited under the first base, which its student then
starts from: documents of that base again, of its teachers of several traits, and of other origins
("foreign" in the names of arms). The third base stands for other origins in the test of lineage;
the audit never sees the second, which wrote the foreign documents. No threshold is fitted: each
audit's null is made of the candidate's own samples, on other prompts than the data's (the command
`audit` takes the data's own). When documents "transfer" a behavior is defined in `_calibration.py`,
against five students of the base's own documents in each repeat. Depth and damping of the natural
gradient were set on repeats 0 and 1 of seed 0, and that the command accuses by a rehearsal alone
was decided on seed 1, in the world until 2026-11-27; on seed 7 nothing was decided. An audit does
not depend on how long its student is trained, so each stands beside three doses. Mean and 95 %
interval over 5 repeats (cluster bootstrap; of none or all of a share that of five repeats), one at
a time on a CPU, jax 0.10.2; 113 of 1,080 points (behavior, data set, dose, repeat) transfer. Alarms
are shares of data sets with a false one:

    documents   AUROC              found              base again    other origins  the teachers
    100         0.52 (0.46, 0.59)  0.03 (0.00, 0.35)  0.00 of 45    0.00 of 60     0.11 of 165
    300         0.51 (0.44, 0.59)  0.04 (0.00, 0.51)  0.00          0.00           0.20
    1,000       0.56 (0.49, 0.63)  0.18 (0.08, 0.33)  0.20          0.03           0.31
    3,000       0.59 (0.54, 0.64)  0.28 (0.13, 0.51)  0.07          0.03           0.64
    all kept    0.60 (0.54, 0.65)  0.29 (0.14, 0.50)  0.07          0.03           0.68
    unfiltered  0.64 (0.60, 0.68)  0.41 (0.28, 0.55)  0.13          0.05           0.67
    rehearsed   0.87 (0.84, 0.89)  0.48 (0.32, 0.64)  0.04          0.35           0.16
    all three   0.66 (0.61, 0.72)  0.20 (0.15, 0.27)  0 (to 0.52)   0 (to 0.52)    0.08

Numbers of documents are those of the gradient's prediction, which counts only where the lineage is
the base's; a rehearsal is four trainings of 100 updates on the data and eight on the null, of
which margins on the prompts of the grade are read; "all three" are lineage, gradient and rehearsal.

Does it warn before behavior shows? One may call a behavior visible where P is more than 0.02 above
that of students of the base's own documents. At 200 updates it is at 8 points of 360, and 24
transfer by their margin, of which a rehearsal finds 13 (AUROC 0.91, 0.86 to 0.94). At 600 updates
27 are visible and 43 transfer, found are 21 (0.89). At 2,000 updates, the dose of `misalignment`,
73 are visible and 46 transfer, found are 20 (0.84, 0.79 to 0.87); the rehearsal has an alarm at 24
of the 73, and at 14 of the 27 where P rises by more than 0.1. It finds 0.49 of what passes through
numbers, 0.67 through code and none of 13 points through sums. False alarms are aimed at 0.05: of
the base again 2 of 45, of its teachers 27 of 165, of other origins 21 of 60 (perhaps because an
optimizer whose steps have one length moves a base far on what is strange to it). Rank correlation
with the real rise within repeats and doses: of predicted moves 0.23 (0.09 to 0.37), of rehearsed
rises 0.54 (0.47 to 0.62).

In the world until 2026-11-27 (students of 200 updates by Adam; seed 2, 8 repeats) 45 of 576 points
transferred; a rehearsal had an AUROC of 0.96 (0.88 to 0.99), found 0.58, and had false alarms in 7
of 144 data sets.
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

    clean = [name for name in run.names if name.startswith("clean ")]
    if not clean:  # as with --only
        return []
    documents = run[clean[0]].configuration()["sampling"].documents
    return _calibration.sections(table, differences, documents)
