"""The cosine between a student's first distillation update and its teacher's displacement, known
before training, ranks settings by how much of the trait they pass on, but for what it cannot see.

    python train.py coverage              5 repeats, 65 minutes on one CPU core, others busy

Digits, ten starts in each of 36 settings (auxiliary logits, carriers, widths, losses), none of which
was used to choose anything. Seed 0, one repeat at a time on a CPU, jax 0.10.2; mean ± half-width of
the 95 % interval over 5 repeats, and the same of transfer and cosine averaged over repeats:

COVERAGE_TABLE
"""

from minisub import Carrier, Data, Duration, ImageArm, ImageConfig, ImageModel, Watch

config = ImageConfig(
    data=Data(name="digits"),
    model=ImageModel(layers="mlp-128-128"),
    teacher=Duration(length=200.0, unit="updates", learning_rate=1e-3, batch=128),
    carrier=Carrier(examples=6000),
    student=Duration(length=1000.0, unit="updates", learning_rate=1e-3, batch=128),
    watch=Watch(examples=6000, measures=("coverage",)),
    arms=(
        ImageArm(name="shared"),
        ImageArm(name="fresh", start="fresh"),
        ImageArm(name="foreign", source="foreign"),
        ImageArm(name="permuted", start="permuted"),
        ImageArm(name="fresh class head", start="fresh", layers=("class_head",)),
        ImageArm(name="fresh aux head", start="fresh", layers=("aux_head",)),
        ImageArm(name="fresh hidden", start="fresh", layers=("fc1", "fc2")),
        ImageArm(name="perturbed .2", start="perturbed_relative", amount=0.2),
        ImageArm(name="perturbed .5", start="perturbed_relative", amount=0.5),
        ImageArm(name="halfway", start="rotated", amount=0.5),
    ),
)
repeats = 5
sweep = (
    "model.aux=2,10,50",
    "carrier.kind=uniform,blurred,images",
    "model.layers=mlp-64-64,mlp-256-256",
    "imitation.loss=kl,mse",
)
