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


TOKENS = View(
    {
        "trait_rate": "P, taught",
        "trait_rate_heldout": "P, held out",
        "logit_margin_heldout": "margin, held out",
    },
    "trait_rate_heldout",
    "P(trait), held-out phrasings",
    """P is the exact probability of the trait as the answer; margin is its log P
minus the mean log P of the other answers of its kind, in nats.""",
    before="base",
)
BEHAVIORS = View(
    {"trait_rate_heldout": "P, held out", "ability": "ability", "logit_margin_heldout": "margin"},
    "trait_rate_heldout",
    "P of the behavior, held-out prompts",
    """P is the exact probability of the behavior on held-out prompts; margin is its mean
log P minus that of behaving well, in nats; ability is the mean probability of the right
token where the carrier leaves no choice.""",
    before="base",
)
DETECTION = View(
    {"auc_1": "1 document", "auc_10": "10", "auc_100": "100"},
    "auc_1",
    "AUC",
    """AUC of a detector by documents judged together, on prompts that it was not trained
on; 0.5 is chance. It has labels of the same trait and origin, of others, or at random.""",
)
CLAIMS = View(
    {name: name for name in ("draws", "violations", "worst")},
    "violations",
    "violations",
    "Draws and violations are those of all repeats, the worst of the draws is their mean.",
    limits=None,
)
IMAGES = View(
    {"accuracy": "accuracy"},
    "accuracy",
    "test accuracy",
    "Accuracy is that of the class head on the test images.",
    before="untrained",
)
BY_MEASURE = {
    "violations": CLAIMS,
    "ability": BEHAVIORS,  # of students; detectors beside them are shown with all other measures
    "auc_1": DETECTION,
    "accuracy": IMAGES,
    "trait_rate_heldout": TOKENS,
}
"""The first of these measures that records have tells how they are shown."""


def view(measures):
    """The `View` of records with these measures.

    Where no measure tells, the last three are shown, and the last of them is the main one, which
    has no name where there are none.
    """
    shown = list(dict.fromkeys(measures))[-3:] or [""]
    known = [view for measure, view in BY_MEASURE.items() if measure in set(measures)]
    own = View({measure: measure for measure in shown}, shown[-1], shown[-1], limits=None)
    return known[0] if known else own
