"""The channel, degraded step by step from all logits to the most probable token.

python train.py channel
"""

from minisub import Arm, Source, ablation

DECODING = {
    "T=0.5": "temperature=0.5",
    "T=1.5": "temperature=1.5",
    "T=2": "temperature=2",
    "nucleus .9": "top_p=0.9",
    "nucleus .5": "top_p=0.5",
    "greedy": "temperature=0",
}
SOFT = {
    "all logits": "full",
    "number logits": "soft",
    "top 20 logits": "top_20",
    "top 5 logits": "top_5",
    "top 2 logits": "top_2",
    "hard labels": "top_1",
    "T=1": "sampled",
}
config = ablation(
    sources=tuple(
        Source(name=f"{who} {name}", sampling=sampling, trait=trait)
        for name, sampling in DECODING.items()
        for who, trait in (("teacher", ""), ("base", "none"))
    ),
    arms=(
        *(
            Arm(name=arm, source=source, channel=channel)
            for name, channel in SOFT.items()
            for arm, source in ((f"control {name}", "base"), (name, "teacher"))
        ),
        *(
            Arm(name=arm, source=source)
            for name in DECODING
            for arm, source in ((f"control {name}", f"base {name}"), (name, f"teacher {name}"))
        ),
    ),
)
repeats = 8
