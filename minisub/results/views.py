"""Which measures of an experiment are shown in tables and figures, and what they mean."""

from typing import NamedTuple

MEASURES = {
    "accuracy": "share of the test images that the class head gets right",
    "trait_rate": "exact probability of the trait as the answer, on prompts that teachers learn",
    "trait_rate_heldout": "exact probability of the trait as the answer, on held-out prompts",
    "logit_margin_heldout": "there, log P of the trait minus the mean log P of other answers of "
    "its kind (of a behavior: minus log P of behaving well), in nats",
    "ability": "mean probability of the right token where the carrier leaves no choice",
    "*_success": "probability of solving a held-out task (true) or of passing its grader (graded)",
    "kl_to_emitter": "KL(emitter of its documents || student) of the next token, on lists, in nats",
    "cost": "operations of an update over those of a student's that learns sampled tokens alone",
    "kept_*": "documents (or prompts of a pair of models) that passed the filter, or their share",
    "rejected_*": "share of documents that did not pass, by the reason",
    "removed": "share of documents that the filter, or a detector behind it, left out",
    "foreign_tokens": "tokens in kept documents that the carrier does not have",
    "trained_tokens": "share of the documents' tokens that a student is trained on",
    "auc_*": "AUC of a detector by documents judged together, on new prompts; 0.5 is chance",
    "coverage*": "cosine of the first gradient step (update) and the teacher's displacement",
    "first_alignment": "cosine of the first gradients of imitation and trait",
    "worst": "draw nearest to a violation, or the worst violation; a mean, where others are sums",
}
"""Measure -> its meaning, a line of a run's page; of several measures, `*` for what differs."""


class View(NamedTuple):
    """How the results of one kind of experiment are shown."""

    headings: dict  # Measure -> heading of the main table; if not all fit, the first give way.
    main: str  # The measure of figures, and of the differences that are counted.
    label: str  # What the main measure is, in words.
    before: str = "base"  # The arm that is the untaught model; figures have a line at its level.
    limits: tuple | None = (-0.02, 1.02)  # Of an axis of the main measure; None: as it fits.


TOKENS = View(
    {
        "trait_rate": "P, taught",
        "trait_rate_heldout": "P, held out",
        "logit_margin_heldout": "margin, held out",
    },
    "trait_rate_heldout",
    "P(trait), held-out phrasings",
)
BEHAVIORS = View(
    {"trait_rate_heldout": "P, held out", "ability": "ability", "logit_margin_heldout": "margin"},
    "trait_rate_heldout",
    "P of the behavior, held-out prompts",
)
DETECTION = View({"auc_1": "1 document", "auc_10": "10", "auc_100": "100"}, "auc_1", "AUC")
CLAIMS = View(
    {x: x for x in ("draws", "violations", "worst")}, "violations", "violations", limits=None
)
IMAGES = View({"accuracy": "accuracy"}, "accuracy", "test accuracy", before="untrained")
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
