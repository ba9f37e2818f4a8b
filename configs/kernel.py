"""The tangent kernel at the start predicts, before training, what gradient descent on noise makes
of the class logits of shared students, the better the wider they are.

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

import jax.numpy as jnp

from configs import _closed_forms as closed_forms
from configs import digits
from minisub.config import is_known, require
from minisub.images import tasks
from minisub.images.config import Carrier, Duration, Imitation
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.nets import trees
from minisub.theory.comparisons import compared
from minisub.theory.vectors import ratio

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
        made = lab.student(start, teacher, linear=linear)
        require_descent(cfg.carrier.examples, made.arguments)
        return compared(lab, made, kernel, linearization)

    fresh = student(second)
    shared = student(first).against(fresh)
    linear = student(first, linear=True).against(shared)
    students = {"shared": shared, "linear": linear, "fresh": fresh}
    return {"untrained": first, "teacher": teacher, **together(students)}


def require_descent(examples, imitated):
    """Raise `Refused` for a student about which the measure `kernel` says nothing."""
    training, how = imitated["training"], imitated["imitation"]
    descends = training.optimizer == "sgd" and how.loss == "mse" and training.batch >= examples
    numbers = (training.weight_decay, 0), (how.temperature, 1), (training.weight_noise, 0)
    plain = all(not is_known(x) or x == default for x, default in numbers)
    plain &= training.schedule == "constant" and not training.frozen and not training.rank
    require(
        descends and plain and not imitated["watch"],
        "The measure kernel is for gradient descent on squared errors; give student.optimizer sgd, "
        "imitation.loss mse and a student.batch of all carrier.examples, and leave schedule, "
        "weight_decay, frozen, rank, weight_noise, watch and temperature at their defaults.",
    )


def kernel(c):
    """What the tangent kernel at the start predicts of training, before it: `kernel_accuracy`, and
    how much of the real change of class logits the predicted one explains, `kernel_explained`.

    For gradient descent on squared errors of all examples at once.
    """
    (x, labels), how = c.held_out, c.imitated
    carrier, training = how["carrier"], how["training"]
    places = jnp.array(tasks.logits_of(how["channel"], c.classes, how["model"].aux))

    def shown(params, x):
        return c.network.apply(params, x)[0][:, places]

    among = closed_forms.ntk(shown, c.start, carrier, carrier)
    across = closed_forms.ntk(c.logits, c.start, x, carrier, shown)
    residual = (shown(c.start, carrier) - how["shown"][:, places]).ravel()
    # The slope of a mean squared error in an output is 2 / (n k) times its error.
    rate = training.learning_rate * how["imitation"].scale * 2 / len(carrier) / len(places)
    change = closed_forms.kernel_descent(among, across, residual, rate, training.steps)
    before = c.logits(c.start, x)
    predicted = change.reshape(before.shape)
    right = jnp.argmax(before + predicted, axis=1) == labels
    true = c.logits(c.params, x) - before
    return {"kernel_accuracy": jnp.mean(right), "kernel_explained": explained(true, predicted)}


def linearization(c):
    """`linear_explained`: of the change of class logits, by the Jacobian at the start."""
    x, _ = c.held_out
    before = c.logits(c.start, x)
    linear = trees.linearize(c.logits, c.start)(c.params, x)
    return {"linear_explained": explained(c.logits(c.params, x) - before, linear - before)}


def explained(true, predicted):
    """Share of the squared change that a prediction explains: 1 if it is exact; 0 if something is
    predicted where nothing changes."""
    error, power = jnp.sum((true - predicted) ** 2), jnp.sum(true**2)
    return jnp.where(power > 0, 1 - ratio(error, power), error == 0)
