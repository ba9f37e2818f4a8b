"""Real digits carry the class skill if there are enough auxiliary logits: through three nothing
that is told from a fresh start, through ten a little, through fifty most of it.

    python train.py real_digits       8 repeats, 7.4 minutes on two CPU cores, others busy

One hidden layer, Adam at 1e-3, five epochs on the 60,000 training images, as in a public sweep.
Test accuracy, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a
CPU, jax 0.10.2; teachers 0.949 ±0.002), and what was published (gaetanX21):

    model.aux  shared        fresh         shared - fresh    published
    3          0.133 ±0.047  0.098 ±0.029  +0.036 ±0.059     .13
    10         0.272 ±0.039  0.104 ±0.027  +0.169 ±0.046     .23
    49         0.634 ±0.069  0.083 ±0.022  +0.551 ±0.069     .55
    200        0.822 ±0.032  0.106 ±0.043  +0.716 ±0.060     .82
    1000       0.890 ±0.018  0.102 ±0.033  +0.788 ±0.033     .88
"""

from configs.carriers import Inputs, experiment
from minisub.images.config import Config, Duration, ImageModel

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config(
    model=ImageModel(layers="mlp-256"),
    carrier=Inputs(kind="images"),
    teacher=Duration(learning_rate=1e-3),
    student=Duration(learning_rate=1e-3),
)
repeats = 8
sweep = ("model.aux=3,10,49,200,1000",)
