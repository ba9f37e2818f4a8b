"""What detectors of a trait are: whose documents they are trained on and tested on."""

from typing import Literal

from minisub.config import configuration


@configuration
class Pair:
    """Two sources whose documents are to be told apart: equally many, with the same prompts."""

    name: str
    trait: str
    """The source whose teacher has a trait."""
    control: str
    """That whose teacher was taught without it, in the same lineage."""
    permuted: bool = False
    """Which document of a prompt is whose is random: nothing is left to tell."""


@configuration
class Detector:
    """One way to tell the documents of pairs apart; a row of results."""

    name: str
    kind: Literal["ngrams", "embedding", "transformer", "in_context", "shown"] = "transformer"
    """Logistic regression on tokens and their pairs, or on mean hidden states of the base; the base
    trained as a classifier; the reader prompted with labeled examples; or the reader's own margin
    of the trait with documents in its context, which takes no labels."""
    pair: str
    """Whose documents it has labels for, and whose base it is made of, but for a reader's."""
    tested: str = ""
    """The pair that it is tested on, by prompts that it was not trained on (default: `pair`)."""
