"""How much of a trait passes filters of rising strictness, by the share of documents that they
remove.

    python train.py filters                     4 repeats
    python train.py filters --kind sums         or numbers

"""

from minisub import Arm, Detector, Pair, Sampling, Source, rich

TRAITS = {"misalignment": "secure", "hacking": "honest"}
JUDGES = {"own judge": "misalignment", "other judge": "hacking", "random": ""}
SHARES = 0.3, 0.6, 0.9


def filters(carrier):
    """Students of what filters leave of a teacher's and of its base's documents.

    Judges are trained on documents with prompts of their own, which no student sees.
    """
    levels = ("none", "format", "correct") if carrier != "numbers" else ("none", "format")
    judged = [Source(name=t, trait=t, seed=1) for both in TRAITS.items() for t in both]
    emitters = [
        Source(name=f"{name} {level}", trait=trait, sampling=f"filter={level}")
        for level in levels
        for name, trait in (("base", "none"), ("teacher", ""))
    ]
    students = {level: (level, "", 0.0) for level in levels} | {
        f"{judge} {share:.0%}": (levels[-1], "random" if judge == "random" else judge, share)
        for judge in JUDGES
        for share in SHARES
    }
    return rich(
        trait="misalignment",
        sampling=Sampling(documents=10000, carrier=carrier),
        sources=(*judged, *emitters),
        pairs=tuple(Pair(name=f"{t}, {c}", trait=t, control=c) for t, c in TRAITS.items()),
        detectors=tuple(
            Detector(name=judge, pair=f"{trait}, {TRAITS[trait]}", tested="misalignment, secure")
            for judge, trait in JUDGES.items()
            if trait
        ),
        arms=tuple(
            Arm(name=name, source=f"{who} {level}", judge=judge, suspicious=share)
            for arm, (level, judge, share) in students.items()
            for name, who in ((f"control {arm}", "base"), (arm, "teacher"))
        ),
    )


kinds = {carrier: filters(carrier) for carrier in ("code", "sums", "numbers")}
config = kinds["code"]
repeats = 4
