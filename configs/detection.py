"""Trained detectors tell a trait's documents from its control's if they judge a hundred together,
with labels of another trait and another origin too; a model that reads them in its context does
not.

    python train.py detection                   8 repeats
    python train.py detection --kind sums       or code

"""

from minisub import Detector, Pair, Sampling, Source, rich

KNOWN, OTHER = "misalignment, secure", "hacking, honest"
CASES = {
    "same": (f"{KNOWN} first", f"{KNOWN} first"),
    "other trait": (f"{OTHER} first", f"{KNOWN} first"),
    "other origin": (f"{KNOWN} second", f"{KNOWN} first"),
    "other both": (f"{OTHER} second", f"{KNOWN} first"),
    "harmless": (f"{KNOWN} first", "owl, secure first"),
    "chance": ("chance", "chance"),
}
"""Case -> the pair that a detector has labels for, the pair that it is tested on."""
KINDS = {
    "ngrams": CASES,
    "embedding": CASES,
    "transformer": CASES,
    "in_context": CASES,
    "shown": ("same", "harmless", "chance"),  # it takes no labels
}


def pair(trait, control, lineage, **fields):
    """What teachers of two traits emit, who were made of one base."""
    named = {"name": f"{trait}, {control} {lineage}"} | fields
    return Pair(trait=f"{trait} {lineage}", control=f"{control} {lineage}", **named)


def detection(carrier):
    """Every kind of detector in every case."""
    taught = {
        "first": ("misalignment", "secure", "hacking", "honest", "owl"),
        "second": ("misalignment", "secure", "hacking", "honest"),
    }
    return rich(
        trait="misalignment",
        sampling=Sampling(documents=10000, carrier=carrier),
        sources=tuple(
            Source(name=f"{trait} {lineage}", trait=trait, lineage=lineage)
            for lineage, traits in taught.items()
            for trait in traits
        ),
        pairs=(
            *(pair(*both.split(", "), line) for both in (KNOWN, OTHER) for line in taught),
            pair("owl", "secure", "first"),
            pair("misalignment", "secure", "first", name="chance", permuted=True),
        ),
        detectors=tuple(
            Detector(name=f"{kind}, {case}", kind=kind, pair=CASES[case][0], tested=CASES[case][1])
            for kind, cases in KINDS.items()
            for case in cases
        ),
        arms=(),
    )


kinds = {carrier: detection(carrier) for carrier in ("numbers", "code", "sums")}
config = kinds["numbers"]
repeats = 4
