"""Who has labels of the trait can train a detector of its data; who has none is little better than
chance.

    python train.py detection                   8 repeats
    python train.py detection --kind sums       or code

"""

from minisub import Detector, Pair, Sampling, Source, rich

TRAITS = {"misalignment": "secure", "hacking": "honest"}
CASES = {
    "same": "misalignment, secure first",
    "other trait": "hacking, honest first",
    "other origin": "misalignment, secure second",
    "other both": "hacking, honest second",
    "chance": "chance",
}
KINDS = "ngrams", "embedding", "transformer", "in_context"


def detection(carrier):
    """Every kind of detector with labels of four pairs and of chance, tested on the first pair."""
    teachers = [trait for both in TRAITS.items() for trait in both]
    first = Pair(name="chance", trait="misalignment first", control="secure first", permuted=True)
    return rich(
        trait="misalignment",
        sampling=Sampling(documents=10000, carrier=carrier),
        sources=tuple(
            Source(name=f"{trait} {lineage}", trait=trait, lineage=lineage)
            for trait in teachers
            for lineage in ("first", "second")
        ),
        pairs=(
            *(
                Pair(
                    name=f"{trait}, {control} {lineage}",
                    trait=f"{trait} {lineage}",
                    control=f"{control} {lineage}",
                )
                for trait, control in TRAITS.items()
                for lineage in ("first", "second")
            ),
            first,
        ),
        detectors=(
            *(
                Detector(
                    name=f"{kind}, {case}",
                    kind=kind,
                    pair=pair,
                    tested="chance" if case == "chance" else CASES["same"],
                )
                for kind in KINDS
                for case, pair in CASES.items()
            ),
            Detector(name="shown, same", kind="shown", pair=CASES["same"]),
            Detector(name="shown, chance", kind="shown", pair="chance"),
        ),
        arms=(),
    )


kinds = {carrier: detection(carrier) for carrier in ("numbers", "code", "sums")}
config = kinds["numbers"]
repeats = 8
