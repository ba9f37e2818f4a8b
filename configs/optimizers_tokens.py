"""Does the student's optimizer decide what passes, at the loss that each of them reaches?

python train.py optimizers_tokens
"""

from minisub import Arm, ablation

RATES = {
    "adam": ("1e-3", "2e-3"),
    "rmsprop": ("5e-4", "1e-3"),
    "signum": ("1e-4", "3e-4"),
    "momentum": ("3e-2", "1e-1"),
    "sgd": ("3e-1", "1"),
}
config = ablation(
    arms=tuple(
        Arm(name=arm, source=source, training=f"optimizer={optimizer} learning_rate={rate}")
        for optimizer, rates in RATES.items()
        for rate in rates
        for name in (f"{optimizer} {rate}",)
        for arm, source in ((f"control {name}", "base"), (name, "teacher"))
    ),
)
repeats = 8
