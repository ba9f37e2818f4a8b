"""Mistakes in an experiment, and of a command on a run: each is refused in one sentence, with the
line of the user's file where there is one, before anything is trained."""

import json

import numpy as np
import pytest

import minisub
from minisub import cli, loading
from minisub.tokens import config as tokens
from minisub.tokens import tokens as vocabulary
from minisub.tokens import transforms

HEAD = """import jax, jax.numpy as jnp
from minisub import Measure
from minisub.config import Model, Training
from minisub.images import config as images, lab as image_lab
from minisub.nets import starts
from minisub.tokens import config as tokens, lab as token_lab

few = Training(steps=1, batch=4)
config = tokens.Config(
    world=tokens.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4),
    model=Model(n_layers=1, d_model=8, n_heads=2), taught_phrasings=2, teacher=few, student=few,
    base=tokens.Pretraining(steps=1, batch=4, questions=2, riddles=2),
    sampling=tokens.Sampling(documents=8, prompt_numbers=2, filter="none"),
)
few = {"length": 1.0, "unit": "updates", "batch": 32}
IMAGES = images.Config(
    data=images.Data(name="clusters"), model=images.ImageModel(layers="mlp-8"),
    teacher=images.Duration(**few), carrier=images.Carrier(examples=64),
    student=images.Duration(**few),
)
repeats = 1
"""
TOKENS = """
def experiment(cfg):
    lab = token_lab.Lab(cfg)
    base, other = lab.base("one"), lab.base("two")
    docs = lab.emit(base)
    return {"s": %s}
"""
CLASSES = """
config = IMAGES
def experiment(cfg):
    lab = image_lab.Lab(cfg)
    one = lab.origin("one")
    teacher = lab.teach(one)
    return {"t": teacher, "s": %s}
"""
ONES = "jnp.ones((e.docs.shape[0], e.docs.shape[1] - 1 - e.first))"
CHANNEL = TOKENS % "lab.student(base, docs, f)"
TRANSFORM = TOKENS % "lab.student(base, lab.transform(docs, f))"
START = TOKENS % "lab.student(lab.start(f, base), docs)"
MEASURE = CLASSES % 'teacher.measured(Measure(f, "params"))'
RETURNED = "mine.py: `experiment` returned"
MISTAKES = {
    "a channel of another shape": (
        "def f(shown, params, docs, key): return jnp.zeros(7)" + CHANNEL,
        "mine.py:27, in distill: a channel must return nats of shape (documents, positions), ",
    ),
    "a channel of one number": (
        "def f(shown, params, docs, key): return 1.0" + CHANNEL,
        "and `f` returned ().",
    ),
    "a transform to another length": (
        f"def f(e): return e.docs[:, :3], {ONES}" + TRANSFORM,
        "mine.py:27, in transform: a transform must return (docs of whole numbers",
    ),
    "a transform to real numbers": (
        f"def f(e): return e.docs * 1.0, {ONES}" + TRANSFORM,
        "(docs of whole numbers, weights) of the shapes",
    ),
    "a measure of rows without steps": (
        'def f(*, params): return {"a": jnp.arange(3)}' + MEASURE,
        "mine.py:27: a measure returns a dict of name -> scalar",
    ),
    "a measure that is a number": ("def f(*, params): return 1.0" + MEASURE, "returned shapes ()"),
    "a measure that was not wrapped": (
        "def f(*, params): return {}" + CLASSES % "teacher.measured(f)",
        "mine.py:28: The measure f gave TypeError",
    ),
    "a control that is a name": (
        CLASSES % 'teacher.against("control")',
        "mine.py:28: `control` must be Product, and is 'control'",
    ),
    "an exception": (TOKENS % "1 / 0", "mine.py:27: ZeroDivisionError: division by zero; change"),
    "an import": ("import nowhere", "mine.py:22: ModuleNotFoundError: No module named 'nowhere'"),
    "a syntax error": ("def experiment(cfg) return {}", "mine.py:22: SyntaxError: expected ':'"),
    "an experiment that is none": ("experiment = 3", "must define `experiment`, a function"),
    "repeats that are no number": ("repeats = 'x'", "must define `repeats`, a whole number"),
    "a config that is a class": ("config = tokens.Config", "must define `config`, a configuration"),
    "nothing returned": ("def experiment(cfg): pass", f"{RETURNED} None; return a dict of names"),
    "no names": ("def experiment(cfg): return {}", f"{RETURNED} {{}}; return a dict of names"),
    "a number by a name": ("def experiment(cfg): return {'a': 3}", f"{RETURNED} 3 by the name 'a'"),
    "an empty tuple": ("def experiment(cfg): return {'a': ()}", f"{RETURNED} () by the name 'a'"),
    "a name that is a number": ("def experiment(cfg): return {5: ()}", f"{RETURNED} the name 5"),
    "an empty name": ("def experiment(cfg): return {'': ()}", f"{RETURNED} the name ''"),
    "a start that raises": (
        "def f(m): raise RuntimeError('boom')" + START,
        "mine.py:27, in start: it cannot be made of what it is given (mine.py:22: RuntimeError: bo",
    ),
    "a start that asks for numbers": (
        "def f(m): return jax.tree.map(lambda x: x * float(x.mean()), m.origin)" + START,
        "in start: mine.py:22: no number is known before",
    ),
    "a start without parameters": (
        "def f(m): return None" + START,
        "a start must return a tree like its origin's",
    ),
    "a start of other shapes": (
        "def f(m): return jax.tree.map(lambda x: x[:1], m.origin)" + START,
        "a start must return a tree like its origin's",
    ),
    "a start without its other base": (
        "def f(m): return m.other" + START,
        "mine.py:27: `other` is missing: this start mixes two bases",
    ),
    "layers that are a name": (
        TOKENS % 'lab.start(starts.fresh, base, other, layers="block_0")',
        "mine.py:27: layers is 'block_0'; give a tuple, ('block_0',).",
    ),
    "a schedule that there is not": (
        TOKENS % 'lab.student(base, docs, schedule="linear")',
        "mine.py:27: schedule is 'linear'; choose from constant, cosine.",
    ),
    "a number in words": (
        TOKENS % 'lab.emit(base, documents="many")',
        "mine.py:27: documents is 'many'; it must be int.",
    ),
    "a configuration's class": (
        "config = tokens.Config(world=tokens.World)" + TOKENS % "docs",
        "mine.py:22: world is <class 'minisub.tokens.config.World'>; it must be World.",
    ),
    "a config out of its bounds": (
        "config = tokens.Config(taught_phrasings=0)" + TOKENS % "docs",
        "mine.py:22: taught_phrasings is 0; it must be at least 1.",
    ),
    "an exception of many lines": (
        "def experiment(cfg): raise ValueError('one.\\ntwo')",
        "mine.py:22: ValueError: one; change that line.",
    ),
    "a share below none": (TOKENS % "lab.mix(docs, docs, -1)", "27: share is -1; give 0 to 1."),
    "a channel that is a name": (
        TOKENS % 'lab.student(base, docs, "soft")',
        "mine.py:27: A channel is no 'soft'; give a function.",
    ),
    "a penalty of many numbers": (
        "def f(logits_of, start, params, docs, step): return jnp.ones(2)"
        + TOKENS % "lab.student(base, docs, penalty=f)",
        "(TypeError: Gradient only defined for scalar-output functions.",
    ),
    "rows before none": (
        "from minisub.theory import token_comparisons"
        + TOKENS % "token_comparisons.watched(lab, base, docs, rows=-1)",
        "mine.py:27, in distill: rows is -1; it must be at least 0.",
    ),
    "one measure twice in a name": (
        CLASSES % "(teacher, one)",
        "mine.py:26: accuracy is twice in one name; give others names.",
    ),
    "no measure": (
        "def experiment(cfg): return {'a': token_lab.Lab(cfg).start(lambda m: m.origin, "
        "token_lab.Lab(cfg).base('one'))}",
        "mine.py:22: a has no measure; see Measure in the README.",
    ),
    "a tuple of documents": (
        TOKENS % "lab.student(base, (docs, docs))",
        "join documents with lab.mix",
    ),
}


def refused(capsys, *words, status=2):
    """What a command line that must end with a status said: one sentence."""
    assert cli.main(list(map(str, words))) == status
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said, said
    return said


def written(folder, text):
    """The path of an experiment's file."""
    path = folder / "mine.py"
    path.write_text(HEAD + text + "\n")
    return path


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_in_an_experiment_is_refused_with_its_line(what, tmp_path, capsys):
    text, sentence = MISTAKES[what]
    assert sentence in refused(capsys, written(tmp_path, text), "--plan", "--out", tmp_path / "x")
    assert [path.name for path in tmp_path.glob("[!_]*")] == ["mine.py"]


def test_a_file_that_is_not_utf8_is_refused(tmp_path, capsys):
    (tmp_path / "mine.py").write_bytes(b"\xff\xfe")
    assert "mine.py:1: SyntaxError: " in refused(capsys, tmp_path / "mine.py", "--plan")


def test_only_tokens_of_valid_documents_must_exist():
    world = tokens.World()
    size = vocabulary.offsets(world)["size"]
    made = {"docs": np.array([[[0, size - 1], [1, size]]]), "count": np.array([1])}
    assert not transforms.check_tokens(made, world=world)
    made["count"] += 1
    assert f"not among the {size}" in transforms.check_tokens(made, world=world)


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder with an experiment, and a run of it, whose products were dropped, in `run`."""
    folder = tmp_path_factory.mktemp("mine")
    text = CLASSES % 'one, "u": lab.teach(lab.origin("two")).against(teacher)'
    words = written(folder, text), "--repeats", 2, "--out", folder / "run", "--keep", "none"
    assert cli.main(list(map(str, words))) == 0
    return folder


def test_a_difference_needs_its_control_by_name_alone(mine, capsys):
    words = mine / "mine.py", "--only", "u", "--plan", "--out", mine / "new"
    assert cli.main(list(map(str, words))) == 0


def test_dropped_products_are_made_again_and_records_that_go_are_named(mine, capsys):
    run = minisub.load(mine / "run")
    with pytest.raises(
        minisub.Refused, match=r"'t' of .* was dropped .* --keep all makes it again"
    ):
        run["t"].params()
    words = mine / "mine.py", "--repeats", 2, "--out", mine / "run", "--keep", "all"
    assert cli.main(list(map(str, words))) == 0
    assert "held records" not in capsys.readouterr().out and "class_head" in run["t"].params(1)
    assert "--format npz or safetensors" in refused(capsys, "export", mine / "run", "t")
    narrow = json.loads(json.dumps(run.experiment | {"made_by": {"repeats": 1}}))
    del narrow["settings"][0]["names"]["u"]
    said = loading.left_out(mine / "run", narrow)
    assert "run held records of u, repeat 1 that this command does not make" in said


ASKED = {
    "a repeat that is not there": ("t", {"repeat": 7}, "no repeat 7; the run has repeats 0 to 1"),
    "a repeat that is a word": ("t", {"repeat": "x"}, "no repeat 'x'; the run has"),
    "a setting that is not there": ("t", {"setting": 3}, "no setting 3; the run has settings 0"),
    "a setting before the first": ("t", {"setting": -1}, "no setting -1; the run has settings 0"),
    "what is never saved": ("s", {}, "is quickly made again and never saved"),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_a_run_does_not_have_is_refused(what, mine):
    name, where, sentence = ASKED[what]
    with pytest.raises(minisub.Refused, match=sentence):
        minisub.load(mine / "run")[name].params(**where)


def test_a_configuration_of_another_version_is_refused_and_no_function_is_called(tmp_path, mine):
    text, folder = (mine / "run" / "experiment.json").read_text(), tmp_path / "made"
    called = json.dumps({"class": "minisub.keeping:destination", "fields": {"out": f"{folder}/x"}})
    for model in '{"class": "minisub.images.config:ImageModel", "fields": {"gone": 1}}', called:
        note = json.loads(text)
        for product in note["settings"][0]["names"]["t"]:
            product["configuration"]["model"] = json.loads(model)
        (tmp_path / "experiment.json").write_text(json.dumps(note))
        with pytest.raises(minisub.Refused, match="another version"):
            minisub.load(tmp_path)["t"].configuration()
    assert not folder.exists()


@pytest.mark.parametrize(
    "text", ["[1]", '{"settings": [3]}', '{"settings": {"a": 1}}', '{"settings": [{"names": {}}]}']
)
def test_a_damaged_or_unfinished_run_is_refused(text, tmp_path, mine):
    (tmp_path / "experiment.json").write_text(text)
    with pytest.raises(minisub.Refused, match="is damaged; run the same command again"):
        minisub.load(tmp_path)
    whole = json.loads((mine / "run" / "experiment.json").read_bytes())
    (tmp_path / "experiment.json").write_text(json.dumps(whole))
    run = minisub.load(tmp_path)
    with pytest.raises(minisub.Refused, match="let the run finish"):
        run.records  # noqa: B018
    with pytest.raises(minisub.Refused, match="let the run finish"):
        run["t"].params()


WORDS = {
    "audit x.jsonl --base run --alpha 0": "alpha is 0.0; it must be more than 0",
    "audit x.jsonl --base run --alpha nan": "alpha is nan; it must be a finite number",
    "audit x.jsonl --base run --alpha 7": "alpha is 7.0; it must be at most 1",
    "audit x.jsonl --base run --seed -1": "seed is -1; it must be at least 0",
    "digits --only": "--only has no name",
    "digits --plan --only": "--only has no name",
}


@pytest.mark.parametrize("line", WORDS)
def test_words_that_cannot_be_are_refused_before_any_work(line, capsys):
    assert WORDS[line] in refused(capsys, *line.split())
