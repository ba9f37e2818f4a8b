"""The claim of `mnist` on 8 x 8 digits that need no download."""

from minisub import Carrier, Data, Duration, ImageConfig, ImageModel

config = ImageConfig(
    data=Data(name="digits"),
    model=ImageModel(layers="mlp-128-128"),
    teacher=Duration(length=200.0, unit="updates", learning_rate=1e-3, batch=128),
    carrier=Carrier(examples=6000),
    student=Duration(length=1000.0, unit="updates", learning_rate=1e-3, batch=128),
)
repeats = 10
