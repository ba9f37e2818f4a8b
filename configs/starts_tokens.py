"""Which distance between the student's start and the teacher's origin is too far, in the token
world: by layer, on a line, by noise, and by the order of heads and hidden units.

    python train.py starts_tokens
"""

from minisub import Arm, ablation

STARTS = {
    "shared": {},
    "heads permuted": {"start": "permuted", "layers": ("qkv",)},
    "units permuted": {"start": "permuted", "layers": ("up",)},
    "interpolated .5": {"start": "interpolated", "amount": 0.5},
    "perturbed .1": {"start": "perturbed_relative", "amount": 0.1},
    "perturbed .3": {"start": "perturbed_relative", "amount": 0.3},
    "fresh embeddings": {"start": "fresh", "layers": ("embed", "position")},
    "fresh block_0": {"start": "fresh", "layers": ("block_0",)},
    "fresh block_1": {"start": "fresh", "layers": ("block_1",)},
    "fresh": {"start": "fresh"},
}
config = ablation(
    arms=tuple(
        Arm(name=arm, source=source, control=control, **start)
        for name, start in STARTS.items()
        for arm, source, control in (
            (f"control {name}", "base", ""),
            (name, "teacher", f"control {name}"),
        )
    ),
)
repeats = 8
