"""What a student learns from noise with its Jacobian frozen at the start, against what it learns
really: the wider the model, the more of the change the start explains.

    python train.py lazy
"""

from minisub import Carrier, Data, Duration, ImageArm, ImageConfig, ImageModel, Watch

config = ImageConfig(
    data=Data(name="digits"),
    model=ImageModel(layers="mlp-128-128"),
    teacher=Duration(length=200.0, unit="updates", learning_rate=1e-3, batch=128),
    carrier=Carrier(examples=6000),
    student=Duration(length=1000.0, unit="updates", learning_rate=1e-3, batch=128),
    watch=Watch(measures=("linearization",)),
    arms=(
        ImageArm(name="shared"),
        ImageArm(name="linear", linear=True),
        ImageArm(name="fresh", start="fresh"),
        ImageArm(name="fresh linear", start="fresh", linear=True),
    ),
)
repeats = 5
sweep = ("model.layers=mlp-16-16,mlp-32-32,mlp-64-64,mlp-128-128,mlp-256-256,mlp-512-512",)
