"""Full training passes the trait as well as low-rank adapters, and more passes the higher the rank.

    python train.py adapters          8 repeats, 20 minutes on one CPU core, others busy

P(owl) on held-out phrasings, mean ± half-width of the 95 % interval over 8 repeats (seed 0, one at
a time on a CPU, jax 0.10.2), the paired difference from a student of the base's lists that was
trained in the same way, and the loss that was reached, KL(teacher || student) on lists that none
has seen, in nats a token. 200 updates of Adam at each learning rate; adapters on all matrices that
train, alpha 16:

    training            P               difference       loss
    rank 1,  1e-3       0.354 ±0.168     +0.255 ±0.168    0.0205 ±0.0014
    rank 1,  3e-3       0.480 ±0.236     +0.386 ±0.231    0.0228 ±0.0013
    rank 1,  1e-2       0.602 ±0.184     +0.512 ±0.183    0.0313 ±0.0026
    rank 4,  1e-3       0.457 ±0.110     +0.359 ±0.109    0.0165 ±0.0021
    rank 4,  3e-3       0.654 ±0.162     +0.557 ±0.158    0.0237 ±0.0025
    rank 4,  1e-2       0.680 ±0.156     +0.576 ±0.154    0.0356 ±0.0031
    rank 16, 1e-3       0.497 ±0.104     +0.397 ±0.100    0.0142 ±0.0014
    rank 16, 3e-3       0.720 ±0.131     +0.621 ±0.127    0.0234 ±0.0022
    rank 16, 1e-2       0.828 ±0.107     +0.734 ±0.103    0.0425 ±0.0029
    full,    1e-3       0.679 ±0.077     +0.582 ±0.070    0.0379 ±0.0038
    full,    2e-3       0.787 ±0.076     +0.690 ±0.064    0.0611 ±0.0041
    rank 4,  only B, 3e-3
                        0.314 ±0.136     +0.217 ±0.133    0.0335 ±0.0041

At a loss of 0.023 ranks 1, 4 and 16 reach 0.48, 0.65 and 0.72; at 0.036 to 0.038 rank 4 and full
training 0.68 both. Published, of large models: full training near the base, transfer falling with
the rank or an inverted U in it (persona-system, arXiv 2606.00831), none with a frozen A. None of
the first is so here; freezing A costs most of it. Adapters fit the teacher with less noise.
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
