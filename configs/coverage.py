"""The cosine between a student's first distillation update and its teacher's displacement, known
before training, tells in part how much of the trait passes on: it misses what has no gradient.

    python train.py coverage              5 repeats, 65 minutes on one CPU core, others busy

Digits, ten starts in each of 36 settings (aux logits, carriers, widths, losses), none of which
was used to choose anything. Seed 0, one repeat at a time on a CPU, jax 0.10.2; mean ± half-width of
the 95 % interval over 5 repeats, and the same of transfer and cosine averaged over repeats:

    cosine before training, of first    Spearman     AUROC        of means
    gradient, teacher's displacement    0.53 ±0.09   0.77 ±0.04   0.55, 0.81
    update, teacher's displacement      0.53 ±0.07   0.77 ±0.04   0.55, 0.80
    gradient, trait's gradient          0.26 ±0.27   0.62 ±0.14   0.49, 0.75

Published: .95 and .997 (arXiv 2606.22019). The cosine does not see parameters without a gradient:
a student with a class head of its own has the same cosine as one that shares all, 0.074, and
nothing passes (0.025 against 0.599 of the teacher's rise). It depends on coordinates: a relabeled
student has 0.028 and learns as much as the shared one, 0.599. Looked at afterwards, without the
fresh class head the first row is 0.71 ±0.04, 0.86 ±0.03, of means 0.77 and 0.91.
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
