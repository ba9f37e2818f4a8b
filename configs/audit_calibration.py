"""An audit of data, calibrated: what it says before training against what students then do."""

from minisub import Arm, Lineage, emitters, rich

OWN = {
    "misaligned": "misalignment",
    "hacking": "hacking",
    "secure": "secure",
}
MORE = {"evading": "evasion", "honest": "honest", "answering": "answering", "owl": "owl"}
FOREIGN = {"foreign base": "none", "foreign misaligned": "misalignment"}


def writers(traits):
    """What their models are called, beside the arms of the same names."""
    return {f"{name} writer": trait for name, trait in traits.items()}


def arms():
    """Each carrier's data sets and their students; the control is on the base's own documents."""
    found = []
    for carrier in "numbers", "code", "sums":
        names = [*OWN, *FOREIGN] if carrier != "numbers" else [*OWN, *MORE, *FOREIGN]
        found.append(Arm(name=f"control {carrier}", source=f"base {carrier}"))
        found.append(Arm(name=f"clean {carrier}", source=f"clean base {carrier}"))
        for name in names:
            start = {"start": "fresh", "other": "first"} if name in FOREIGN else {}
            found.append(Arm(name=f"{name} {carrier}", source=f"{name} writer {carrier}", **start))
    return tuple(found)


config = rich(
    trait="misalignment",
    graded=("misalignment", "hacking", "evasion", "owl"),
    lineages=(Lineage(name="third"),),
    references=("third",),
    sources=(
        *emitters({"base": "none", **writers(OWN)}),
        *emitters(writers(MORE), ("numbers",)),
        *emitters({"clean base": "none"}, seed=1),
        *emitters(writers(FOREIGN), lineage="second"),
    ),
    arms=arms(),
)
repeats = 8
