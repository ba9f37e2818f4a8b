"""Who has labels of the trait and of the origin tells a hundred documents from a control's; with
labels of other traits and other origins a part of that is left, and with examples in a context
nothing.

    python train.py detection                8 repeats, 18 minutes of a CPU core, bases made before
    python train.py detection --kind code    or sums; these kinds were not run

Lists of a misaligned teacher against those of a secure one, equally many, from the same prompts, on
prompts that no detector was trained on; 10,000 lists of each. AUC of the mean score of 100 lists,
mean and half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax
0.10.2), for labels of the same trait and origin, of another trait (hacking and honest), of another
origin, and of another trait and origin:

                   same           other trait    other origin   both other
    ngrams         0.791 ±0.047   0.687 ±0.062   0.613 ±0.066   0.607 ±0.052
    embedding      0.852 ±0.053   0.742 ±0.094   0.668 ±0.109   0.649 ±0.090
    transformer    0.703 ±0.075   0.665 ±0.073   0.551 ±0.071   0.581 ±0.054
    in_context     0.492 ±0.029   0.497 ±0.026   0.501 ±0.027   0.490 ±0.019
    shown          0.525 ±0.072

A single list gives 0.54 at best (embedding, same), a thousand give 1.00 (ngrams and embedding,
same) and 0.77 to 0.82 with both other. Controls: labels at random 0.49 to 0.51; of a teacher that
prefers owls ("harmless") 0.538 ±0.019, 0.532 ±0.012 and 0.512 ±0.018, which are false alarms of a
detector that finds any fine-tuning.

So trained classifiers do succeed where someone has labels of the very teacher, and many documents.
That nothing is found in a context says little here: the reader classifies by labeled examples
hardly better than chance (AUC 0.536 on rules that it was not trained on). Shown ten documents, its
margin moves by 0.005 ±0.015 nats (published: no effect, arXiv 2507.14805).
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
repeats = 8
