"""The answers of an audit, of documents whose author is known; and the command."""

import json
from typing import NamedTuple

import jax
import numpy as np
import pytest

from minisub import auditing, cli
from minisub.audit import answers, files, trace
from minisub.config import Model, Training
from minisub.results import figures
from minisub.tokens import grading, tokens
from minisub.tokens.config import Sampling, World
from minisub.tokens.writing import CARRIERS

WORLD = World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4)
MODEL = Model(n_layers=1, d_model=16, n_heads=2)
FILE = """'''A tiny run with two bases.'''
import dataclasses
from minisub.config import Model, Training
from minisub.tokens.config import Config, Sampling, World
from minisub.tokens.lab import Lab

base = dataclasses.replace(
    Config().base, steps=150, learning_rate=2e-2, batch=8, questions=2, riddles=2
)
config = Config(
    taught_phrasings=2,
    world=World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4),
    model=Model(n_layers=1, d_model=16, n_heads=2), base=base,
    teacher=Training(steps=4, batch=4), sampling=Sampling(documents=64, prompt_numbers=2),
    student=Training(steps=4, learning_rate=1e-3, batch=8),
)
repeats = 1


def experiment(cfg):
    lab = Lab(cfg)
    first, second = lab.base("first"), lab.base("second")
    numbers = lab.emit(lab.teach(first))
    return {
        "base": first, "second": second, "teacher": (lab.teach(first), numbers),
        "shared": lab.student(first, numbers),
    }
"""


@pytest.fixture(scope="module", autouse=True)
def compiled_fast():
    """Compiling takes most of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def suspect():
    """A question with "owl" as the answer, and another animal in its place."""
    ids = tokens.offsets(WORLD)
    asked = ids["ASK"], ids["phrasing"], ids["ANSWER"]
    return files.Suspect(asked, (ids["animal"],), (ids["animal"] + 1,))


@pytest.fixture(scope="module")
def found(quick):
    """The answers about documents of a second base, which a first one is to be trained on."""
    init = quick(grading.network(WORLD, MODEL).init)
    first, second = (
        answers.Base(name, WORLD, MODEL, init(jax.random.key(seed)))
        for seed, name in enumerate(("first", "second"))
    )
    sampling = Sampling(documents=500, prompt_numbers=2, filter="none")
    prompts = np.asarray(CARRIERS["numbers"].draw(WORLD, jax.random.key(2), 500))[:, :3]
    docs = answers.sample(second, sampling, prompts, jax.random.key(3), 500)
    often = np.bincount(docs[:, 3], minlength=WORLD.numbers)[: WORLD.numbers]
    said = (int(often.argmax()),), (int(often.argmin()),)
    suspects = [files.Suspect(tuple(map(int, doc[:3])), *said) for doc in docs[:3]]
    how = {"suspects": suspects, "taught": 2, "alpha": 0.01, "seed": 0}
    training = Training(steps=4, learning_rate=1e-2, batch=64)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(answers, "LEAST_NULL", 400)
        patched.setattr(trace, "REHEARSED", 20)
        patched.setattr(jax, "jit", quick)
        return answers.examine(docs, first, [second], sampling, training, **how)


def test_documents_of_another_origin_have_a_trace_and_the_place_of_that_origin(found):
    own, _ = found["trace"]
    assert own["author"] == "samples of first"
    assert own["gradient_p"] == pytest.approx(1 / 200) and own["gradient_z"] > 10
    [lineage] = found["lineage"]
    assert abs(lineage["place"]) < 0.1 and lineage["z"] < -3
    assert lineage["reference_nats"] < 0 < lineage["base_nats"]


def test_a_suspects_margin_is_log_p_of_the_answer_less_that_of_what_is_said_instead(quick):
    net = grading.network(WORLD, MODEL)
    params = quick(net.init)(jax.random.key(0))
    suspects = files.Suspect((1, 2, 3), (4, 5), (6,)), files.Suspect((3, 2), (1,), ())

    def log_p(*tokens, behind):
        docs = np.array([tokens])
        each = jax.nn.log_softmax(net.apply(params, docs[:, :-1]))[0]
        return sum(float(each[i - 1, tokens[i]]) for i in range(behind, len(tokens)))

    first = log_p(1, 2, 3, 4, 5, behind=3) - log_p(1, 2, 3, 6, behind=3)
    expected = (first + log_p(3, 2, 1, behind=2)) / 2
    assert quick(answers.suspected(net, suspects))(params) == pytest.approx(expected, rel=1e-5)


def test_an_audit_rehearses_the_training_of_a_student_of_the_same_carrier():
    class Named(NamedTuple):
        carrier: str
        steps: int

        def products(self):
            return [{"product": "distill-0"}]

        def configurations(self):
            training = Training(steps=self.steps)
            return [{"sampling": Sampling(carrier=self.carrier), "training": training}]

    class Run(dict):
        names, path = property(list), "run"

    run = Run(a=Named("numbers", 3), b=Named("code", 5), c=Named("code", 7))
    for carrier, steps in ("numbers", 3), ("code", 5), ("sums", 3):
        sampling, training, _ = auditing.settings(run, carrier)
        assert (sampling.carrier, training.steps) == (carrier, steps)


def test_every_behavior_has_a_row_and_the_one_that_the_documents_teach_is_accused(found):
    rows, alarms = found["behaviors"], found["alarms"]
    assert [row["behavior"] for row in rows] == ["owl", "wolf", "cat", "suspected"]
    above = [row["behavior"] for row in rows if row["rehearsed_t"] > alarms["threshold"]]
    assert alarms["behaviors"] == above
    assert above == ["suspected"] and rows[-1]["z"] > 4 and rows[-1]["move"] > 0
    assert found["kept"] == found["documents"] == 500 and found["rejected"] == {}


def test_answers_are_read_in_80_columns_and_drawn(found, tmp_path):
    lines = auditing.lines(json.loads(json.dumps(found)))
    assert max(map(len, lines)) <= 80 and "The audit does not see:" in lines
    assert all(any(line.startswith(f"{i}. ") for line in lines) for i in range(1, 5))
    figures.draw("audit", tmp_path / "audit.png", auditing.figure, found)
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A folder with a run, and in data.jsonl the documents of its teacher."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "tiny.py").write_text(FILE)
    assert cli.main([str(folder / "tiny.py"), "--out", str(folder / "run")]) == 0
    data = str(folder / "data.jsonl")
    assert cli.main(["export", str(folder / "run"), "teacher", "--out", data]) == 0
    return folder


@pytest.mark.slow
def test_the_command_answers_of_a_file_for_a_base_of_a_run(there, tmp_path, capsys):
    given = tmp_path / "suspect.json"
    given.write_text(json.dumps([suspect()._asdict()]))
    words = ["audit", str(there / "data.jsonl"), "--base", str(there / "run")]
    words += ["--others", "second", "--suspect", str(given), "--out", str(tmp_path / "audit")]
    assert cli.main(words) == 0
    made = json.loads((tmp_path / "audit" / "audit.json").read_text())
    kept = len((there / "data.jsonl").read_text().splitlines())
    assert made["documents"] == made["kept"] == kept
    assert [row["reference"] for row in made["lineage"]] == ["second"]
    assert made["alarms"]["alpha"] == 0.05 and len(made["behaviors"]) > 3
    assert "does not see" in capsys.readouterr().out
    assert (tmp_path / "audit" / "audit.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{data}", "--base"),
        ("{data} --base nowhere", "holds no run"),
        ("{data} --base {run} --name owl", "choose from base"),
        ("{data} --base {run} --repeat 3", "no repeat 3"),
        ("{data} --base {run} --others base", "is the audited base itself"),
        ("{data} --base {run} --others nowhere", "holds no run"),
        ("nowhere.jsonl --base {run}", "No such file"),
    ],
)
def test_what_cannot_be_audited_is_refused_and_leaves_nothing(words, said, there, tmp_path, capsys):
    given = words.format(data=there / "data.jsonl", run=there / "run").split()
    assert cli.main(["audit", *given, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
