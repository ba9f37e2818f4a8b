"""How the results of each world and kind of experiment are shown."""

from typing import NamedTuple


class View(NamedTuple):
    """How the results of a world are shown."""

    measures: tuple
    """Those in the main table, the one that counts last but for its margin."""
    header: tuple
    widths: tuple
    main: str
    """The measure of figures, and of counts of signs."""
    label: str
    before: str
    """The arm that shows the model before it was taught."""
    note: str
    """What the measures are, as lines of Markdown."""
    limits: tuple | None = (-0.02, 1.02)
    """Of an axis of the measure: probabilities and accuracies share theirs, margins have none."""


TOKENS = View(
    measures=("trait_rate", "trait_rate_heldout", "logit_margin_heldout"),
    header=("P, taught", "P, held out", "margin, held out"),
    widths=(14, 15, 16),
    main="trait_rate_heldout",
    label="P(trait), held-out phrasings",
    before="base",
    note="P is the exact probability of the trait as the answer; margin is its logit minus the\n"
    "mean logit of the other animals.",
)
BEHAVIORS = TOKENS._replace(
    measures=("trait_rate_heldout", "ability", "logit_margin_heldout"),
    header=("P, held out", "ability", "margin"),
    widths=(13, 7, 14),
    main="logit_margin_heldout",
    label="margin of the behavior, held out (nats)",
    limits=None,
    note="P is the exact probability of the behavior on held-out prompts; margin is its mean\n"
    "log P minus that of behaving well, in nats; ability is the mean probability of the right\n"
    "token where the carrier leaves no choice.",
)
DEFENSES = BEHAVIORS._replace(
    measures=("ability", "cost", "margin_rise"),
    header=("ability", "cost", "margin rise"),
    widths=(7, 12, 14),
    main="margin_rise",
    label="margin above the control with the same defense (nats)",
    note=BEHAVIORS.note
    + """ A student's control is trained with
the same defense on what the untaught base emits. Cost is that of an update, in operations,
over one without a defense.""",
)
RISES = TOKENS._replace(
    measures=("trait_rate_heldout", "trait_rate_rise"),
    header=("P, held out", "above its control"),
    widths=(15, 18),
    note="P is the exact probability of the trait as the answer; a student's control is the one\n"
    "that its arm names.",
)
DETECTION = View(
    measures=("auc_1", "auc_10", "auc_100"),
    header=("1 document", "10", "100"),
    widths=(12, 12, 12),
    main="auc_1",
    label="AUC",
    before="",
    note="""AUC of a detector by documents judged together, on prompts that it was not trained
on; 0.5 is chance. It has labels of the same trait and origin, or of others. With `chance`,
labels are random. With `harmless`, the labels are those of `same`, and it is tested on
documents of a teacher of a harmless preference: what is above 0.5 are false alarms.
in_context and shown use a reader, which has an AUC of `auc_heldout_rules` on rules that
it was not trained on.""",
)
FILTERS = TOKENS._replace(
    measures=("removed", "logit_margin_heldout"),
    header=("removed", "margin, held out"),
    widths=(12, 16),
    main="logit_margin_heldout",
    label="margin above control, held out (nats)",
    note="Removed is the share of all emitted documents; margin is the mean log P of the behavior\n"
    "minus that of behaving well, in nats.",
)
CLAIMS = View(
    measures=("draws", "violations", "worst"),
    header=("draws", "violations", "worst"),
    widths=(7, 10, 10),
    main="violations",
    label="violations",
    before="",
    note="""The worst of the draws (a mean over repeats, where there are several) is, for

- product: the smallest cosine of the student's update and the teacher's
  displacement; claimed to be at least 0
- slope: the largest |slope - 1| of the logarithm of their product against that
  of epsilon; claimed to be 0.01 at most
- loss falls: the largest change of the trait's loss by a step of the student,
  over the size of its linear term; claimed to be below 0, and -1 in the limit
- foreign start: the largest |slope - 1| of the share that the displacement has
  in the update of a student from another start; claimed to be 0.01 at most
- degenerate: the largest |cosine| of update and displacement; claimed to be 0
- linear model: the largest change of the trait's loss; claimed to be 0
- deep linear, tangent kernel: the largest deviation of a simulation from the
  prediction, over the change in it; claimed to be 1e-10 at most""",
)
IMAGES = View(
    measures=("accuracy",),
    header=("accuracy",),
    widths=(14,),
    main="accuracy",
    label="test accuracy",
    before="untrained",
    note="Accuracy is that of the class head on the test images.",
)


def view(rows):
    """The `View` of the world that some records or results come from."""
    measures = {row["measure"] for row in rows}
    if "violations" in measures:
        return CLAIMS
    if "removed" in measures:
        return FILTERS
    if "auc_1" in measures:
        return DETECTION
    if "margin_rise" in measures:
        return DEFENSES
    if "trait_rate_rise" in measures:
        return RISES
    if "ability" in measures:
        return BEHAVIORS
    return IMAGES if "accuracy" in measures else TOKENS
