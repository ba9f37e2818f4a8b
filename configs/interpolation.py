"""Transfer is gone when the student's start is half way between the teacher's origin and another
one, on the straight line or on the arc that keeps the norm.

    python train.py interpolation         10 repeats, 8 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    arm           accuracy
    untrained     0.105 ±0.017
    teacher       0.945 ±0.001
    shared        0.497 ±0.037
    linear 0.1    0.488 ±0.050
    linear 0.25   0.362 ±0.063
    linear 0.5    0.132 ±0.034
    linear 0.75   0.106 ±0.030
    rotated 0.1   0.440 ±0.054
    rotated 0.25  0.267 ±0.046
    rotated 0.5   0.125 ±0.027
    rotated 0.75  0.109 ±0.025
    fresh         0.111 ±0.017

At equal weights the arc (rotated) is farther from the origin than the line (linear) is, and loses
sooner: cos(pi t / 2) of the origin is left instead of 1 - t, beside sin(pi t / 2) instead of t of
the other.
"""

import jax
import jax.numpy as jnp

from minisub.images.config import Config
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.nets import starts

AMOUNTS = (0.1, 0.25, 0.5, 0.75)
config = Config()
repeats = 10


def experiment(cfg):
    """Students whose starts are nearer and nearer to another origin."""
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)
    fresh = lab.student(second, teacher)
    students = {"shared": lab.student(first, teacher).against(fresh)}
    for name, how in ("linear", starts.interpolated), ("rotated", rotated):
        for amount in AMOUNTS:
            start = lab.start(how, first, second, amount=amount)
            students[f"{name} {amount}"] = lab.student(start, teacher).against(fresh)
    students["fresh"] = fresh
    return {"untrained": first, "teacher": teacher, **together(students)}


def rotated(materials):
    """As `starts.interpolated`, on a quarter circle: independent Gaussians keep their variance.

    Elements that are equal in both origins stay, such as the scales of a new normalization.
    """
    t = materials.amount

    def rotate(a, b):
        mixed = jnp.cos(jnp.pi * t / 2) * a + jnp.sin(jnp.pi * t / 2) * b
        # Rounding of pi must not move the ends.
        return jnp.where((t == 0) | (a == b), a, jnp.where(t == 1, b, mixed))

    return jax.tree.map(rotate, materials.origin, materials.other)
