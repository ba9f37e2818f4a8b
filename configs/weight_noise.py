"""Noise on the weights while teacher or student are trained, and bfloat16: what passes.

python train.py weight_noise
python train.py weight_noise --model.dtype bfloat16
"""

from minisub import Arm, Source, ablation

NOISE = (0.05, 0.1, 0.2)
ARMS = {
    "no noise": ("teacher", ""),
    **{f"student {x}": ("teacher", f"weight_noise={x}") for x in NOISE},
    **{f"taught {x}": (f"teacher {x}", "") for x in NOISE},
    **{f"both {x}": (f"teacher {x}", f"weight_noise={x}") for x in NOISE},
}
config = ablation(
    sources=tuple(Source(name=f"teacher {x}", teaching=f"weight_noise={x}") for x in NOISE),
    arms=(
        Arm(name="control no noise", source="base"),
        *(
            Arm(name=f"control student {x}", source="base", training=f"weight_noise={x}")
            for x in NOISE
        ),
        *(
            Arm(name=name, source=source, training=training)
            for name, (source, training) in ARMS.items()
        ),
    ),
)
repeats = 8
