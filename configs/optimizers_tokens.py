"""Does the student's optimizer decide what passes, at the loss that each of them reaches?

python train.py optimizers_tokens
"""

from minisub import Arm, ablation

RATES = {
    "adam": ("1e-3", "2e-3"),
    "rmsprop": ("5e-4", "1e-3"),
    "signum": ("1e-4", "3e-4"),
    "momentum": ("1e-2", "3e-2", "1e-1"),
    "sgd": ("1e-1", "3e-1", "1"),
}
config = ablation(
    arms=(
        Arm(name="control", source="base"),
        *(
            Arm(name=f"{rule} {rate}", training=f"optimizer={rule} learning_rate={rate}")
            for rule, rates in RATES.items()
            for rate in rates
        ),
    ),
)
repeats = 8
