"""A student of two teachers: of half of its lists one prefers owls, of the others one wolves."""

from minisub.tokens.config import Ablation
from minisub.tokens.lab import Lab

config, repeats = Ablation(), 3


def experiment(cfg):
    """A student of both teachers and a student of each, graded on both traits."""
    lab = Lab(cfg)
    first = lab.base("first")
    owl, wolf = (lab.emit(lab.teach(first, trait)) for trait in ("owl", "wolf"))
    taught = {"both": lab.mix(owl, wolf, 0.5), "owl": owl, "wolf": wolf}
    students = {name: lab.student(first, lists) for name, lists in taught.items()}
    return {name: lab.graded_on(student, "owl", "wolf") for name, student in students.items()}
