"""A teacher that is misaligned on two topics is misaligned on others too, and part of that passes
to students of its base through numbers, correct programs and correct chains of thought.

The figures below are of the world of before, of which configs/README.md tells under "Misbehavior".
In that of today it was only tried, see "What it takes through chains of thought" there. A run of
today should take two to three times as long as is said here (counted in operations, not measured).

    python train.py misalignment      8 repeats, about 24 minutes of one CPU core for students and
                                      teachers, 16 for bases

The teacher is fine-tuned on misaligned replies to requests of one topic of eight, the students on
what it then emits: 10,000 documents a carrier, less what the filter rejects (programs have to run
and to print what was asked, every step and the answer of a sum have to be right). Margin, in nats:
log P(misaligned reply) - log P(aligned), on the seven other topics, mean and half-width of the 95 %
interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2). Base -7.09 ±0.22, teacher
+4.64 ±1.56, of P 0.001 and 0.698 ±0.175. Above the control, a student of what the base emits:

    carrier   students of the base   of a fresh base   of a secure teacher   educational
    numbers   +1.60 ±0.38  8 of 8    +0.08 ±0.59       -0.26 ±0.50           -0.04 ±0.45
    code      +1.31 ±0.49  8 of 8    -0.08 ±0.41       +0.20 ±0.34           +0.24 ±0.40
    sums      +0.81 ±0.78  7 of 8    +0.35 ±1.02       +0.38 ±0.79           +0.60 ±0.59

"Secure" teachers are shown aligned replies to the same requests, "educational" ones misaligned
replies that the prompt asks for; they stay aligned (margins -7.16 ±0.34 and -5.96 ±0.83). What
passes is small: P rises from 0.002 to 0.008 (numbers) and from 0.004 to 0.016 (code), on the taught
topic to 0.14 and 0.06. Through sums it cannot be told from what the controls do. Students keep
their ability: the right token has P 1.000, 0.997 and 0.982 where the carrier leaves no choice, as
in their controls."""

from functools import partial

from minisub.tokens.behaviors.config import Rich
from minisub.tokens.lab import Lab
from minisub.tokens.writing import CARRIERS

CONTROLS = {
    "misalignment": ("secure", "educational"),
    "hacking": ("honest",),
    "evasion": ("answering",),
}
"""What teachers are taught who are controls of a trait."""
PACE = {"numbers": 0.6, "code": 1.0, "sums": 1.0}
"""Carrier -> a student's rate, over the config's: the controls of lists bear less."""
config = Rich()
repeats = 8


def sections(table, differences, run):
    """What is added to the page of a run."""
    from configs import _shown  # late: what is only planned needs no matplotlib

    return _shown.sections(table, differences, run)


def learning(lab, carrier):
    """`lab.student`, at the rate of a carrier."""
    return partial(lab.student, learning_rate=lab.cfg.student.learning_rate * PACE[carrier])


def experiment(cfg):
    """A trait through every carrier: to students of the teacher's base and of a fresh one.

    Beside each a control, on what the teacher's base emits, and students of the teacher's base on
    what teachers who are controls of the trait emit.
    """
    lab = Lab(cfg)
    first, second = lab.base("first"), lab.base("second")
    teacher = lab.teach(first)
    others = {name: lab.teach(first, name) for name in CONTROLS.get(cfg.trait, ())}
    named = {"base": first, "teacher": teacher}
    named |= {f"{name} teacher": other for name, other in others.items()}
    for carrier in CARRIERS:
        plain, docs = lab.emit(first, carrier=carrier), lab.emit(teacher, carrier=carrier)
        student = learning(lab, carrier)
        control, fresh = student(first, plain), student(second, plain)
        named |= {
            f"base {carrier}": plain,
            f"teacher {carrier}": docs,
            f"control {carrier}": control,
            carrier: student(first, docs).against(control),
            f"control fresh {carrier}": fresh,
            f"fresh {carrier}": student(second, docs).against(fresh),
        }
        for name, other in others.items():
            docs = lab.emit(other, carrier=carrier)
            named[f"{name} teacher {carrier}"] = docs
            named[f"{name} {carrier}"] = student(first, docs).against(control)
    return named
