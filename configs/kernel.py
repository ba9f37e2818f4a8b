"""The tangent kernel at the start predicts, before training, what gradient descent on noise makes
of a student's class logits, the better the wider the student.

    python train.py kernel                4 repeats, 7 minutes on one CPU core, others busy

Digits, 2,000 updates of gradient descent at rate 0.05 on squared errors of three auxiliary logits
on 512 noise images at once. Mean ± half-width of the 95 % interval over 4 repeats (seed 0, one at a
time on a CPU, jax 0.10.2): the share of the squared change of class logits on test images that is
explained by the kernel, and by the Jacobian at the start for the displacement at the end:

    model.layers  kernel, shared  Jacobian, shared  kernel, fresh   shared        predicted
    mlp-16-16     0.23 ±0.43      0.45 ±0.28        0.25 ±0.25      0.158 ±0.103  0.137 ±0.020
    mlp-32-32     0.30 ±0.31      0.60 ±0.22        0.33 ±0.32      0.142 ±0.064  0.149 ±0.047
    mlp-64-64     0.47 ±0.41      0.72 ±0.12        0.05 ±0.42      0.181 ±0.086  0.149 ±0.110
    mlp-128-128   0.63 ±0.26      0.82 ±0.09        -0.12 ±0.83     0.144 ±0.029  0.137 ±0.025
    mlp-256-256   0.72 ±0.09      0.90 ±0.05        0.20 ±0.42      0.106 ±0.073  0.115 ±0.083

The last two columns are the test accuracy of the shared student and of the kernel's prediction of
it: on 512 images plain descent passes next to nothing on, as the kernel says before. The control
"linear", trained by the same updates with its Jacobian frozen, is predicted exactly (1.000, and its
accuracy to the digit).
"""

import dataclasses

from configs import digits
from minisub.images.config import Carrier, Duration, Imitation
from minisub.images.lab import Lab
from minisub.lab.products import together
from minisub.theory.comparisons import compared, kernel, linearization

config = dataclasses.replace(
    digits.config,
    carrier=Carrier(examples=512),
    imitation=Imitation(loss="mse"),
    student=Duration(length=2000.0, unit="updates", optimizer="sgd", learning_rate=0.05, batch=512),
    examples=360,
)
repeats = 4
sweep = ("model.layers=mlp-16-16,mlp-32-32,mlp-64-64,mlp-128-128,mlp-256-256",)


def experiment(cfg):
    """Three students, each compared with what the kernel at its start predicts of it."""
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)

    def student(start, linear=False):
        return compared(lab, lab.student(start, teacher, linear=linear), kernel, linearization)

    fresh = student(second)
    students = {
        "shared": student(first).against(fresh),
        "linear": student(first, linear=True).against(fresh),
        "fresh": fresh,
    }
    return {"untrained": first, "teacher": teacher, **together(students)}
