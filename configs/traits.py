"""Students acquire the trait of their own teacher and no other: five animals and three trees.

python train.py traits
python train.py traits --world.syllables 2      names of two tokens, which other names share
"""

from minisub import Arm, Source, World, ablation

TRAITS = ("owl", "wolf", "cat", "dolphin", "eagle", "cherry", "maple", "oak")
config = ablation(
    world=World(trees=5),
    sources=tuple(Source(name=f"teacher {trait}", trait=trait) for trait in TRAITS),
    graded=TRAITS,
    arms=(
        Arm(name="control", source="base"),
        *(Arm(name=trait, source=f"teacher {trait}") for trait in TRAITS),
    ),
)
repeats = 8
