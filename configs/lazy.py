"""Lazy training explains less than half of what a narrow student learns from noise, and more of
what a wider one does: with its Jacobian frozen at the start it learns less.

    python train.py lazy                  5 repeats, 5 minutes on one CPU core, others busy

Test accuracy on digits, mean ± half-width of the 95 % interval over 5 repeats (seed 0, one at a
time on a CPU, jax 0.10.2). "linear" is trained with the Jacobian of its start, on the same batches;
"explained" is the share of the shared student's squared change of class logits that this Jacobian
gives for the displacement at which training arrived:

    model.layers  shared        linear        fresh         fresh linear  explained
    mlp-16-16     0.326 ±0.158  0.168 ±0.127  0.088 ±0.046  0.097 ±0.036  0.38 ±0.12
    mlp-32-32     0.469 ±0.108  0.222 ±0.047  0.124 ±0.059  0.093 ±0.021  0.42 ±0.06
    mlp-64-64     0.569 ±0.146  0.229 ±0.091  0.121 ±0.065  0.123 ±0.018  0.48 ±0.11
    mlp-128-128   0.546 ±0.173  0.279 ±0.080  0.106 ±0.079  0.113 ±0.069  0.67 ±0.05
    mlp-256-256   0.419 ±0.162  0.279 ±0.180  0.119 ±0.061  0.119 ±0.073  0.78 ±0.08
    mlp-512-512   0.322 ±0.111  0.273 ±0.109  0.113 ±0.072  0.091 ±0.064  0.49 ±0.16

The width at which transfer is best (64 to 128) is one at which half of it is beyond the linear
model; where both agree, at 512, there is less of it. Adam at a fixed rate moves wide networks
further, which may be why the last column falls at 512.
"""

from configs.digits import config
from configs.kernel import linearization
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.theory.comparisons import compared

__all__ = ["config", "experiment", "repeats", "sweep"]
repeats = 5
sweep = ("model.layers=mlp-16-16,mlp-32-32,mlp-64-64,mlp-128-128,mlp-256-256,mlp-512-512",)


def experiment(cfg):
    """Of two starts each a student, and one that is linear in its parameters."""
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)

    def student(start, linear=False):
        return compared(lab, lab.student(start, teacher, linear=linear), linearization)

    fresh, fresh_linear = student(second), student(second, linear=True)
    students = {
        "shared": student(first).against(fresh),
        "linear": student(first, linear=True).against(fresh_linear),
        "fresh": fresh,
        "fresh linear": fresh_linear,
    }
    return {"untrained": first, "teacher": teacher, **together(students)}
