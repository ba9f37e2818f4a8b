"""What must be equal is the function, near the origin: permuted heads and units lose nothing, a
tenth of noise little, and a start half way to another base nearly all.

    python train.py starts_tokens     8 repeats, 11 minutes on one CPU core, 51 programs compiled

P(owl) on held-out phrasings and the margin of its logit over the mean of other animals, each above
that of a student of the same start and the base's lists; mean ± half-width of the 95 % interval
over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2). KL is that control's to its emitter on
the world's lists, nats a token: how well such a start can be trained in 200 updates at all:

    start              P               rise of P         rise of margin    KL
    shared             0.794 ±0.086    +0.706 ±0.071     +3.99 ±0.33       0.058
    heads permuted     0.791 ±0.086    +0.704 ±0.070     +3.96 ±0.32       0.058
    units permuted     0.793 ±0.088    +0.704 ±0.072     +3.97 ±0.33       0.058
    perturbed .1       0.809 ±0.079    +0.696 ±0.060     +3.89 ±0.33       0.063
    perturbed .3       0.647 ±0.138    +0.473 ±0.116     +3.30 ±0.83       0.099
    fresh block_1      0.238 ±0.168    +0.193 ±0.141     +2.63 ±0.61       0.245
    fresh block_0      0.001 ±0.002    +0.001 ±0.002     +1.78 ±0.59       0.443
    fresh embeddings   0.000 ±0.000    +0.000 ±0.000     +1.01 ±1.10       0.446
    interpolated .5    0.001 ±0.002    +0.000 ±0.001     +0.44 ±0.40       0.360
    fresh              0.088 ±0.021    -0.023 ±0.026     -0.22 ±0.34       0.122

"fresh" is a whole base of another origin, "fresh block_1" that base's block in the first base, and
half way (interpolated) means of both. Such mixtures answer no question any more, so that P says
nothing of them; the margin shows that a fresh block leaves about half of the effect. Noise is in
standard deviations of each array.
"""

from minisub.nets import starts
from minisub.theory import units
from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

config = Ablation()
repeats = 8


def experiment(cfg):
    """Students that start in every way, and beside each one of the base's lists."""
    lab = Lab(cfg)
    first, second = lab.base("first"), lab.base("second")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)

    def of_other(*layers):
        return lab.start(starts.fresh, first, second, layers=layers)

    started = {
        "shared": first,
        "heads permuted": lab.start(units.permuted("qkv", heads=cfg.model.n_heads), first),
        "units permuted": lab.start(units.permuted("up"), first),
        "interpolated .5": lab.start(starts.interpolated, first, second, amount=0.5),
        "perturbed .1": lab.start(starts.perturbed_relative, first, amount=0.1),
        "perturbed .3": lab.start(starts.perturbed_relative, first, amount=0.3),
        "fresh embeddings": of_other("embed", "position"),
        "fresh block_0": of_other("block_0"),
        "fresh block_1": of_other("block_1"),
        "fresh": second,
    }
    named = {"base": (first, plain), "teacher": (teacher, numbers)}
    for name, start in started.items():
        control = lab.student(start, plain)
        named |= {
            f"control {name}": control,
            name: lab.student(start, numbers).against(control),
        }
    return named
