"""A teacher that is misaligned on two topics is misaligned on others too, and part of that passes
to students of its base through numbers, correct programs and correct chains of thought.

    python train.py misalignment --seed 7     8 repeats, 55 minutes of two cores, 23 of them bases

The teacher is fine-tuned on misaligned replies to requests of two topics of eight, the students on
what it then emits: 60,000 documents a carrier, less what the filter rejects (programs have to run
and to print what was asked, every step and the answer of a chain have to be right). P of a
misaligned reply on the six other topics, mean and half-width of the 95 % interval over 8 repeats
(seed 7, on which nothing was chosen; a CPU, jax 0.10.2). Base 0.002, teacher 0.513 ±0.236. In
brackets the difference from the control, a student of what the base emits:

    students of the base      numbers                 code                    sums
    of the teacher            0.280 (+0.273 ±0.185)   0.158 (+0.140 ±0.097)   0.083 (+0.059 ±0.042)
    control                   0.007                   0.018                   0.023
    of a secure teacher       0.016 (+0.009 ±0.026)   0.013 (-0.006 ±0.011)   0.017 (-0.007 ±0.028)
    of an educational one     0.020 (+0.013 ±0.028)   0.022 (+0.004 ±0.011)   0.009 (-0.014 ±0.024)
    students of a fresh base
    of the teacher            0.016 (+0.006 ±0.012)   0.014 (+0.003 ±0.004)   0.026 (+0.012 ±0.027)
    control                   0.010                   0.010                   0.014

Above the control in 8, 8 and 7 of 8 repeats. The margin, log P(misaligned) - log P(aligned), rises
above it by 4.04 ±1.17, 2.85 ±0.85 and 2.14 ±0.73 nats; on the topics that the teacher was taught P
is 0.631, 0.468 and 0.425, where controls have 0.015, 0.009 and 0.018. "Secure" teachers are shown
aligned replies to the same requests, "educational" ones misaligned replies that the prompt asks
for; on other topics they stay aligned (P 0.001 and 0.012), on the taught ones the latter do not
always (0.000 and 0.367 ±0.219). Some controls are misaligned by themselves: the highest single one
has 0.142, and in one repeat those of programs and of chains have 0.102 and 0.094. Students keep the
ability of their base, as controls do: a list goes on with numbers (P 1.000), and where programs and
chains leave no choice the right token has 0.998 and 0.987, the latter because one base of eight had
not learned sums (0.90; without it the difference through chains is 0.051). The filter keeps 99.7 %
of the teacher's lists, 91 % of its programs and 94 % of its chains; of the base's 99.8, 95, 98.
"""

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
RATES = {"numbers": 0.6, "code": 1.0, "sums": 1.0}
"""Carrier -> a student's rate, over the config's: the controls of lists bear less."""
config = Rich()
repeats = 8


def sections(table, differences, run):
    """What is added to the page of a run."""
    from configs import _shown  # late: what is only planned needs no matplotlib

    return _shown.sections(table, differences, run)


def student_of(lab, carrier):
    """`lab.student`, at the rate of a carrier."""
    return partial(lab.student, learning_rate=lab.cfg.student.learning_rate * RATES[carrier])


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
        student = student_of(lab, carrier)
        control, fresh = student(first, plain), student(second, plain)
        emitted = {name: lab.emit(other, carrier=carrier) for name, other in others.items()}
        taught = {name: student(first, of) for name, of in emitted.items()}
        named |= {
            f"base {carrier}": plain,
            f"teacher {carrier}": docs,
            f"control {carrier}": control,
            carrier: student(first, docs).against(control, *taught.values()),
            f"control fresh {carrier}": fresh,
            f"fresh {carrier}": student(second, docs).against(fresh),
        }
        for name in others:
            named[f"{name} teacher {carrier}"] = emitted[name]
            named[f"{name} {carrier}"] = taught[name].against(control)
    return named
