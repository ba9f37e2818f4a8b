"""Ten generations: each student emits the lists that the next is trained on.

python train.py generations
"""

from minisub import Arm, ablation


def line(name, source):
    """Ten arms, each trained on the one before."""
    names = [f"{name} {g}" for g in range(1, 11)]
    return [
        Arm(name=own, source=before)
        for own, before in zip(names, [source, *names[:-1]], strict=True)
    ]


config = ablation(
    arms=(*line("control generation", "base"), *line("generation", "teacher")),
)
repeats = 8
