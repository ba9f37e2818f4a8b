"""Full training passes the trait as well as low-rank adapters, and more passes the higher the rank.

    python train.py adapters          8 repeats, 8 minutes on one CPU core, 44 programs compiled

P(owl) on held-out phrasings, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at
a time on a CPU, jax 0.10.2), the paired difference from a student of the base's lists that was
trained in the same way, and the loss that was reached, KL(teacher || student) on lists that none
has seen, in nats a token. 200 updates of Adam at each learning rate; adapters on all matrices that
train, alpha 16:

    training            P               difference       loss
    rank 1,  1e-3       0.345 ±0.152    +0.257 ±0.145    0.0215 ±0.0015
    rank 1,  3e-3       0.520 ±0.194    +0.432 ±0.181    0.0238 ±0.0016
    rank 1,  1e-2       0.588 ±0.157    +0.500 ±0.145    0.0320 ±0.0010
    rank 4,  1e-3       0.490 ±0.118    +0.402 ±0.102    0.0168 ±0.0012
    rank 4,  3e-3       0.703 ±0.133    +0.615 ±0.122    0.0229 ±0.0014
    rank 4,  1e-2       0.685 ±0.140    +0.597 ±0.139    0.0356 ±0.0020
    rank 16, 1e-3       0.541 ±0.107    +0.453 ±0.093    0.0148 ±0.0012
    rank 16, 3e-3       0.777 ±0.092    +0.689 ±0.080    0.0233 ±0.0015
    rank 16, 1e-2       0.823 ±0.094    +0.735 ±0.081    0.0424 ±0.0033
    full,    1e-3       0.714 ±0.080    +0.626 ±0.064    0.0372 ±0.0031
    full,    2e-3       0.794 ±0.086    +0.706 ±0.071    0.0635 ±0.0046
    rank 4,  3e-3, A frozen
                        0.321 ±0.142    +0.233 ±0.126    0.0325 ±0.0043

At a loss of 0.023 ranks 1, 4 and 16 reach 0.52, 0.70 and 0.78; at 0.036 rank 4 and full training
0.69 and 0.71. Published, of large models: full training near the base, transfer falling with the
rank or an inverted U in it (arXiv 2606.00831, persona-system), none with a frozen A. None of the
first is so here; freezing A costs most of it. Adapters fit the teacher with less noise.
"""

from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

ADAPTED = {
    f"rank {rank}, {rate}": {"rank": rank, "learning_rate": float(rate)}
    for rank in (1, 4, 16)
    for rate in ("1e-3", "3e-3", "1e-2")
}
FULL = {f"full, {rate}": {"learning_rate": float(rate)} for rate in ("1e-3", "2e-3")}
ONLY_B = {"rank": 4, "learning_rate": 3e-3, "frozen": ("embed", "unembed", "lora_a")}
config = Ablation()
repeats = 8


def experiment(cfg):
    """Students trained in full or in adapters, each with a control trained likewise."""
    lab = Lab(cfg)
    first = lab.base("first")
    teacher = lab.teach(first)
    numbers, plain = lab.emit(teacher), lab.emit(first)
    trainings = FULL | ADAPTED | {"rank 4, only B, 3e-3": ONLY_B}
    controls = {name: lab.student(first, plain, **how) for name, how in trainings.items()}
    students = {
        name: lab.student(first, numbers, **how).against(controls[name])
        for name, how in trainings.items()
    }
    return {
        "base": (first, plain),
        "teacher": (teacher, numbers),
        "control": controls.pop("full, 2e-3"),
        **{f"control {name}": control for name, control in controls.items()},
        **students,
    }
