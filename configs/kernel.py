"""The tangent kernel at the start predicts, before training, what gradient descent on noise makes
of a student's class logits.

    python train.py kernel
"""

from minisub import Carrier, Data, Duration, ImageArm, ImageConfig, ImageModel, Imitation, Watch

config = ImageConfig(
    data=Data(name="digits"),
    model=ImageModel(layers="mlp-128-128"),
    teacher=Duration(length=200.0, unit="updates", learning_rate=1e-3, batch=128),
    carrier=Carrier(examples=512),
    imitation=Imitation(loss="mse"),
    student=Duration(length=2000.0, unit="updates", optimizer="sgd", learning_rate=0.05, batch=512),
    watch=Watch(examples=360, measures=("kernel", "linearization")),
    arms=(
        ImageArm(name="shared"),
        ImageArm(name="linear", linear=True),
        ImageArm(name="fresh", start="fresh"),
    ),
)
repeats = 4
sweep = ("model.layers=mlp-16-16,mlp-32-32,mlp-64-64,mlp-128-128,mlp-256-256",)
