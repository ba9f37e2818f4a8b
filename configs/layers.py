"""Which layers must be trained, in the teacher and in the student, of four.

python train.py layers
"""

from minisub import Arm, Model, Source, ablation

EVERY = ("embed", "unembed", "position", "final_norm")
BLOCKS = tuple(f"block_{i}" for i in range(4))


def only(block):
    """A change of a training: all but one block frozen."""
    return "frozen=" + ",".join((*EVERY, *(b for b in BLOCKS if b != block)))


config = ablation(
    model=Model(n_layers=4),
    sources=tuple(Source(name=f"teacher {b}", teaching=only(b)) for b in BLOCKS),
    arms=(
        Arm(name="control", source="base"),
        Arm(name="all"),
        *(Arm(name=f"student {b}", training=only(b)) for b in BLOCKS),
        *(Arm(name=f"taught {b}", source=f"teacher {b}") for b in BLOCKS),
    ),
)
repeats = 8
