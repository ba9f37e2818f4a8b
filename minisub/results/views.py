"""Which measures of an experiment are shown in tables and figures, and what they mean."""

from typing import NamedTuple


class View(NamedTuple):
    """How the results of one kind of experiment are shown."""

    headings: dict  # Measure -> heading of the main table; if not all fit, the first give way.
    main: str  # The measure of figures, and of the differences that are counted.
    label: str  # What the main measure is, in words.
    note: str = ""  # What the measures are, as lines of Markdown.
    before: str = ""  # The arm that is the untaught model; figures have a line at its level.
    limits: tuple | None = (-0.02, 1.02)  # Of an axis of the main measure; None: as it fits.
    of_differences: bool = False  # Whether figures show stated differences instead of arms.
    shares: bool = False  # Whether differences are given as shares of the first one, too.


TOKENS = View(
    headings={
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
    headings={
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
DETECTION = View(
    headings={"auc_1": "1 document", "auc_10": "10", "auc_100": "100"},
    main="auc_1",
    label="AUC",
    note="""AUC of a detector by documents judged together, on prompts that it was not trained
on; 0.5 is chance. It has labels of the same trait and origin, of others, or at random.""",
)
CLAIMS = View(
    headings={"draws": "draws", "violations": "violations", "worst": "worst"},
    main="violations",
    label="violations",
    note="Draws and violations are those of all repeats, the worst of the draws is their mean.",
    limits=None,
)
IMAGES = View(
    headings={"accuracy": "accuracy"},
    main="accuracy",
    label="test accuracy",
    before="untrained",
    note="Accuracy is that of the class head on the test images.",
)
BY_MEASURE = {
    "violations": CLAIMS,
    "ability": BEHAVIORS,  # of students; detectors beside them are shown with all other measures
    "auc_1": DETECTION,
    "accuracy": IMAGES,
    "trait_rate_heldout": TOKENS,
}
"""The first of these measures that records have tells how they are shown."""


def view(measures, stated=()):
    """The `View` of records with these measures, but for the fields that an experiment states.

    Where no measure tells, the last three are shown, and the last of them is the main one.
    """
    measures = list(dict.fromkeys(measures))
    *others, main = measures[-3:]
    known = [view for measure, view in BY_MEASURE.items() if measure in measures]
    unknown = View({x: x for x in (*others, main)}, main, main, limits=None)
    fields = {name: value for name, value in dict(stated).items() if name in View._fields}
    return [*known, unknown][0]._replace(**fields)
