"""Experiments that nobody had written: each takes under 20 lines, and does what it says."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from same import equal

from minisub import arguments
from minisub.lab import folder, perform, run

EXPERIMENTS = Path(__file__).parent / "experiments"


@pytest.fixture
def performed(tiny, tmp_path):
    """A function from the name of an experiment's file to its products, and to what they stand for
    in the one repeat that is planned and performed."""
    there = folder.Folder(tmp_path)
    jax.config.update("jax_disable_most_optimizations", True)  # compiling takes most of the time

    def performed(name):
        path = EXPERIMENTS / f"{name}.py"
        assert len([line for line in path.read_text().splitlines() if line]) < 20
        # What teachers emit differs, and none of it is dropped.
        teacher = dataclasses.replace(tiny.teacher, learning_rate=0.1)
        sampling = dataclasses.replace(tiny.sampling, filter="none")
        cfg = dataclasses.replace(tiny, teacher=teacher, sampling=sampling)
        named = arguments.load(str(path)).experiment(cfg)
        performance = perform.Performance([({}, named)], there)
        performance.make_all()
        rows = [*performance.rows()]
        assert {row["arm"] for row in rows} == set(named)

        def value(product):
            return run.part(there.load(product, (0,)), product.path)

        return named, value, rows

    yield performed
    jax.config.update("jax_disable_most_optimizations", False)
    there.lock.close()


def test_half_of_the_lists_of_a_student_of_two_teachers_are_of_each(performed):
    named, value, rows = performed("two_teachers")
    docs = {name: np.asarray(value(x.learned)["docs"][0]) for name, x in named.items()}
    same = {x: np.all(docs["both"] == docs[x], axis=1) for x in ("owl", "wolf")}
    assert np.all(same["owl"] | same["wolf"])
    differ = np.any(docs["owl"] != docs["wolf"], axis=1)
    assert differ.sum() > 20 and 0.25 < same["wolf"][differ].mean() < 0.75
    graded = {(row["arm"], row["measure"]) for row in rows}
    assert {("both", f"trait_rate_heldout/{trait}") for trait in ("owl", "wolf")} < graded


def test_every_second_generation_is_of_the_other_base(performed):
    """Embeddings are not trained."""
    named, value, _ = performed("alternating")
    embedded = [value(model)["embed"] for model in named.values()]
    equal(embedded[0], embedded[2])
    equal(embedded[0], embedded[4])
    equal(embedded[1], embedded[3])
    assert np.all(embedded[0]["embedding"] != embedded[1]["embedding"])


def test_a_teacher_of_two_bases_starts_at_their_average(performed):
    """Embeddings are not trained."""
    named, value, _ = performed("averaged")
    first, second = (value(named[name].arguments["start"]) for name in ("first", "second"))
    average = (first["embed"]["embedding"] + second["embed"]["embedding"]) / 2
    equal(value(named["teacher"])["embed"], {"embedding": average})
