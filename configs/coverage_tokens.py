"""The claim of `coverage` on number lists.

python train.py coverage_tokens
"""

from minisub import Arm, Config, Pretraining, Sampling, Training, Watch

config = Config(
    base=Pretraining(steps=500, learning_rate=3e-3, schedule="cosine", batch=96, frozen=()),
    sampling=Sampling(documents=10000),
    student=Training(steps=200),
    watch=Watch(examples=4000, measures=("coverage",)),
    arms=(
        Arm(name="shared"),
        Arm(name="fresh", start="fresh"),
        Arm(name="control", source="base"),
        Arm(name="soft", channel="soft"),
        Arm(name="soft fresh", start="fresh", channel="soft"),
        Arm(name="soft perturbed .3", start="perturbed_relative", channel="soft", amount=0.3),
        Arm(name="perturbed .1", start="perturbed_relative", amount=0.1),
        Arm(name="perturbed .3", start="perturbed_relative", amount=0.3),
        Arm(name="fresh block_0", start="fresh", layers=("block_0",)),
        Arm(name="fresh block_1", start="fresh", layers=("block_1",)),
    ),
)
repeats = 4
sweep = ("model.d_model=32,64", "world.jitter=0,2", "sampling.temperature=0.7,1.2")
