"""The claim of `mnist` on 8 x 8 digits that need no download."""

from minisub import Carrier, Data, Duration, ImageConfig

config = ImageConfig(
    data=Data(name="digits"),
    teacher=Duration(length=60.0, batch=128),
    carrier=Carrier(examples=6000),
    student=Duration(length=20.0, batch=128),
)
repeats = 10
