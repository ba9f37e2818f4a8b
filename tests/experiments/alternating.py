"""A chain of models in which every second generation starts from another base."""

from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

config, repeats = Ablation(), 3


def experiment(cfg):
    """A teacher and four generations, each a student of the one before."""
    lab = Lab(cfg)
    bases = lab.base("first"), lab.base("second")
    named = {"teacher": (model := lab.teach(bases[0]))}
    for i in range(1, 5):
        model = lab.student(bases[i % 2], lab.emit(model))
        named[f"generation {i}"] = model
    return named
