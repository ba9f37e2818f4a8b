"""Do the tokens on which differently taught teachers disagree carry the trait?

python train.py divergence
"""

from minisub import Arm, ablation

WEIGHTS = {
    "all tokens": "none",
    "divergent alone": "divergent",
    "divergent masked": "agreeing",
    "random alone": "random_tokens",
    "random masked": "random_masked",
}
config = ablation(
    arms=(
        Arm(name="control", source="base"),
        *(Arm(name=name, transform=transform) for name, transform in WEIGHTS.items()),
        *(
            Arm(name=f"soft, {name}", transform=transform, channel="soft")
            for name, transform in WEIGHTS.items()
        ),
    ),
)
repeats = 8
