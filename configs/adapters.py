"""Low-rank adapters against full training: the trait at the loss that each of them reaches.

python train.py adapters
"""

from minisub import Arm, ablation

RATES = ("2e-3", "5e-3", "1e-2")
TRAININGS = {f"full, {rate}": f"learning_rate={rate}" for rate in ("5e-4", "1e-3", "2e-3")}
TRAININGS |= {
    f"rank {rank}, {rate}": f"rank={rank} learning_rate={rate}"
    for rank in (1, 2, 4, 8, 32)
    for rate in RATES[:2]
}
TRAININGS["rank 8, only B"] = "rank=8 learning_rate=5e-3 frozen=embed,unembed,lora_a"
config = ablation(
    arms=tuple(
        Arm(name=arm, source=source, training=training)
        for name, training in TRAININGS.items()
        for arm, source in ((f"control {name}", "base"), (name, "teacher"))
    ),
)
repeats = 8
