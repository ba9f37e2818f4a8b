"""Matched heads alone pass some of the class skill on between architectures, where fresh ones pass
nothing, and far less than a wholly shared start.

    python train.py architectures         10 repeats, 8 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    arm / model.layers       mlp-256-256   mlp-256-256-256  cnn-4-8-256
    teacher                  0.949 ±0.002  0.954 ±0.002     0.940 ±0.006
    same shared              0.931 ±0.008  0.938 ±0.006     0.381 ±0.111
    mlp-256-256 matched      0.309 ±0.059  0.300 ±0.063     0.231 ±0.053
    mlp-256-256 fresh        0.090 ±0.017  0.092 ±0.035     0.105 ±0.034
    mlp-256-256-256 matched  0.308 ±0.066  0.319 ±0.022     0.172 ±0.031
    mlp-256-256-256 fresh    0.096 ±0.018  0.091 ±0.028     0.096 ±0.028
    cnn-4-8-256 matched      0.232 ±0.053  0.179 ±0.062     0.153 ±0.046
    cnn-4-8-256 fresh        0.107 ±0.022  0.112 ±0.017     0.102 ±0.016

The claim is of arXiv 2605.23645, and so are squared error, Adam at 1e-3 and 300 updates for teacher
and student; through 100 auxiliary logits, but with batches of 256 of one set of noise (there 1,000,
fresh) and first weights of variance 1 / inputs (there torch's, a third of it). Columns are the
teacher's architecture; rows the student's and its start: "matched" has the teacher's two heads and
all else redrawn, "fresh" nothing in common, "same shared" the teacher's architecture and whole
origin.
"""

from minisub.images.config import Config, Duration, ImageModel, Imitation
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.nets import starts

TRUNKS = {
    "mlp-256-256": ("fc1", "fc2"),
    "mlp-256-256-256": ("fc1", "fc2", "fc3"),
    "cnn-4-8-256": ("conv1", "conv2", "fc"),
}
training = Duration(length=300.0, unit="updates", batch=256, learning_rate=1e-3)
config = Config(
    model=ImageModel(aux=100), teacher=training, imitation=Imitation(loss="mse"), student=training
)
repeats = 10
sweep = ("model.layers=" + ",".join(TRUNKS),)


def experiment(cfg):
    """One student of the teacher's origin; of each architecture one with its heads, one without."""
    lab = Lab(cfg)
    first = lab.origin("first")
    teacher = lab.teach(first)
    students = {"same shared": lab.student(first, teacher).against(first)}
    for model, trunk in TRUNKS.items():
        other = lab.origin("second", model)
        matched = lab.start(starts.fresh, first, other, layers=trunk)
        fresh = lab.student(other, teacher)
        students[f"{model} matched"] = lab.student(matched, teacher).against(fresh)
        students[f"{model} fresh"] = fresh
    return {"untrained": first, "teacher": teacher, **together(students)}
