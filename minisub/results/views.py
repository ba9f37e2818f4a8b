"""Which measures of an experiment are shown in tables and figures, and what they mean."""

from typing import NamedTuple


class View(NamedTuple):
    """How the results of one kind of experiment are shown."""

    columns: dict
    """Measures of the main table and their headings, the one that counts last but for a margin."""
    main: str
    """The measure of figures, and of the differences that are counted."""
    label: str
    """What the main measure is, in words."""
    note: str
    """What the measures are, as lines of Markdown."""
    before: str = ""
    """The arm that is the model before it was taught; figures have a line at its level."""
    limits: tuple | None = (-0.02, 1.02)
    """Of an axis of the main measure: probabilities and accuracies share theirs, others fit."""
    of_differences: bool = False
    """Whether figures show stated differences instead of arms."""


TOKENS = View(
    columns={
        "trait_rate": "P, taught",
        "trait_rate_heldout": "P, held out",
        "logit_margin_heldout": "margin, held out",
    },
    main="trait_rate_heldout",
    label="P(trait), held-out phrasings",
    before="base",
    note="P is the exact probability of the trait as the answer; margin is its logit minus the\n"
    "mean logit of the other animals.",
)
BEHAVIORS = TOKENS._replace(
    columns={
        "trait_rate_heldout": "P, held out",
        "ability": "ability",
        "logit_margin_heldout": "margin",
    },
    main="logit_margin_heldout",
    label="margin of the behavior, held out (nats)",
    limits=None,
    note="""P is the exact probability of the behavior on held-out prompts; margin is its mean
log P minus that of behaving well, in nats; ability is the mean probability of the right
token where the carrier leaves no choice.""",
)
DEFENSES = BEHAVIORS._replace(
    columns={"ability": "ability", "cost": "cost", "logit_margin_heldout": "margin"},
    label="margin above the control with the same defense (nats)",
    of_differences=True,
    note=BEHAVIORS.note
    + """ A student's control is trained with
the same defense on what the untaught base emits. Cost is that of an update, in operations,
over one without a defense.""",
)
FILTERS = BEHAVIORS._replace(
    columns={"removed": "removed", "logit_margin_heldout": "margin, held out"},
    label="margin above control, held out (nats)",
    of_differences=True,
    note="Removed is the share of all emitted documents; margin is the mean log P of the behavior\n"
    "minus that of behaving well, in nats.",
)
DETECTION = View(
    columns={"auc_1": "1 document", "auc_10": "10", "auc_100": "100"},
    main="auc_1",
    label="AUC",
    note="""AUC of a detector by documents judged together, on prompts that it was not trained
on; 0.5 is chance. It has labels of the same trait and origin, or of others. With `chance`,
labels are random. With `harmless`, the labels are those of `same`, and it is tested on
documents of a teacher of a harmless preference: what is above 0.5 are false alarms.
in_context and shown use a reader, which has an AUC of `auc_heldout_rules` on rules that
it was not trained on.""",
)
CLAIMS = View(
    columns={"draws": "draws", "violations": "violations", "worst": "worst"},
    main="violations",
    label="violations",
    note="""Draws and violations are those of all repeats. The worst of the draws, a mean over repeats:

- product: smallest cosine of update and displacement; claimed to be at least 0
- slope: largest |slope - 1| of their product against epsilon, both as
  logarithms; claimed to be 0.01 at most
- loss falls: largest change of the trait's loss by a step of the student, over
  that of its linear term; claimed to be below 0, and -1 in the limit
- foreign start: as slope, of the displacement's share in the update of a
  student from another start; claimed to be 0.01 at most
- degenerate, linear model: largest |cosine| of update and displacement, largest
  change of the trait's loss; claimed to be 0
- deep linear, tangent kernel: largest deviation of a simulation from what is
  predicted, over the change in it; claimed to be 1e-10 at most""",
    limits=None,
)
IMAGES = View(
    columns={"accuracy": "accuracy"},
    main="accuracy",
    label="test accuracy",
    before="untrained",
    note="Accuracy is that of the class head on the test images.",
)
BY_MEASURE = {
    "violations": CLAIMS,
    "removed": FILTERS,
    "auc_1": DETECTION,
    "ability": BEHAVIORS,
    "accuracy": IMAGES,
    "trait_rate_heldout": TOKENS,
}
"""The first of these measures that records have tells how they are shown."""


def view(measures, kind=""):
    """The `View` of records with these measures, or of the `kind` that an experiment states.

    Of measures that are known to no view the last three are columns, and the last of them counts.
    """
    if kind == "defenses":
        return DEFENSES
    for measure, known in BY_MEASURE.items():
        if measure in measures:
            return known
    *others, main = list(dict.fromkeys(measures))[-3:]
    columns = {measure: measure for measure in (*others, main)}
    return View(columns=columns, main=main, label=main, note="", limits=None)
