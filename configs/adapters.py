"""Low-rank adapters against full training: the trait at the loss that each of them reaches.

python train.py adapters
"""

from minisub import Arm, ablation

TRAININGS = {f"full, {rate}": f"learning_rate={rate}" for rate in ("1e-3", "2e-3")}
TRAININGS |= {
    f"rank {rank}, {rate}": f"rank={rank} learning_rate={rate}"
    for rank in (1, 4, 16)
    for rate in ("1e-3", "3e-3", "1e-2")
}
TRAININGS["rank 4, only B, 3e-3"] = "rank=4 learning_rate=3e-3 frozen=embed,unembed,lora_a"
config = ablation(
    arms=(
        Arm(name="control", source="base"),
        *(Arm(name=name, training=training) for name, training in TRAININGS.items()),
    ),
)
repeats = 8
