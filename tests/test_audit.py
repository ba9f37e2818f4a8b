"""The audit: its nulls are exact, its scores are gradients, and bad files are refused by line."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_runs

import minisub
from minisub import audit, calibration, cli, distillation, fit, losses, tokens

WORLD = minisub.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4)
MODEL = minisub.Model(n_layers=1, d_model=16, n_heads=2)
FILE = tiny_runs.lists("repeats = 1", steps=150, **tiny_runs.TWO_BASES)


def training(frozen):
    return minisub.Training(steps=5, batch=8, learning_rate=1e-3, frozen=frozen)


@pytest.fixture(scope="module")
def candidate():
    net = distillation.network({"world": WORLD, "model": MODEL})
    return audit.Candidate(net, net.init(jax.random.key(0)), training(("embed", "unembed")))


def test_scores_and_surprise_of_the_candidates_own_choices_have_mean_zero(candidate):
    """Exactly: every possible last token, weighed by its probability."""
    size = tokens.offsets(WORLD)["size"]
    prompt = tokens.lists(WORLD, jax.random.key(1), 1)[:, :-1]
    docs = jnp.concatenate([jnp.repeat(prompt, size, axis=0), jnp.arange(size)[:, None]], axis=1)
    at = prompt.shape[1] - 1
    read = audit.read(candidate, docs, at, group=1)
    p = jax.nn.softmax(candidate.network.apply(candidate.params, prompt, at)[0, 0])
    np.testing.assert_allclose(p @ read.gradients, 0, atol=1e-6)
    np.testing.assert_allclose(p @ read.surprise, 0, atol=1e-6)
    assert jnp.max(jnp.abs(read.gradients[0])) > 1e-3  # and no single one is zero
    np.testing.assert_allclose(read.likelihood, jnp.log(p), rtol=1e-5)
    np.testing.assert_allclose(read.surprise, jnp.log(p) - p @ jnp.log(p), rtol=1e-4, atol=1e-5)
    alone = audit.log_likelihoods(candidate.network, candidate.params, docs, at, group=1)
    np.testing.assert_allclose(alone, read.likelihood, rtol=1e-5)


def test_the_reading_of_a_group_is_the_mean_gradient_of_its_documents(candidate):
    docs, at = tokens.lists(WORLD, jax.random.key(2), 12), 2
    flat, whole = audit.split(candidate)

    def nats(vector, doc):
        log_p = jax.nn.log_softmax(candidate.network.apply(whole(vector), doc[None, :-1])[0])
        return -jnp.mean(jnp.stack([log_p[i - 1, doc[i]] for i in range(at + 1, len(doc))]))

    each = jnp.stack([jax.grad(nats)(flat, doc) for doc in docs])
    read = audit.read(candidate, docs, at, group=5)
    expected = each[:10].reshape(2, 5, -1).mean(axis=1)
    np.testing.assert_allclose(read.gradients, expected, atol=1e-6)
    way = jnp.cos(jnp.arange(len(flat)))
    for doc, gradient in zip(docs[:3], each, strict=False):
        _, slope = jax.jvp(lambda v, doc=doc: nats(v, doc), (flat,), (way,))
        moved = audit.moves(gradient[None], way[None])[0, 0]
        np.testing.assert_allclose(moved, -slope, rtol=1e-3, atol=1e-5)


def test_a_move_is_what_a_small_step_does_to_the_margin(candidate):
    margins = audit.battery(WORLD, candidate.network, {"owl": 0}, 2)
    along = audit.directions(candidate, margins)
    flat, whole = audit.split(candidate)
    gradients = audit.read(candidate, tokens.lists(WORLD, jax.random.key(3), 50), 2, 50).gradients
    predicted = audit.moves(gradients, along)[0, 0]
    step = 1e-2
    ends = [margins["owl"](whole(flat + s * step * gradients[0])) for s in (1, -1)]
    np.testing.assert_allclose((ends[1] - ends[0]) / (2 * step), predicted, rtol=1e-2)


def test_the_natural_way_solves_with_the_fisher_information(candidate):
    """Against the information as a matrix, on the few parameters of the final norm."""
    parts = ("embed", "unembed", "position", "block_0")
    small, at = candidate._replace(training=training(parts)), 2
    docs, (flat, whole) = tokens.lists(WORLD, jax.random.key(4), 100), audit.split(small)

    def log_p(vector):
        return audit.log_probabilities(small.network, whole(vector), docs, at)

    p, jacobian = jnp.exp(log_p(flat)), jax.jacfwd(log_p)(flat)
    mean = jnp.einsum("ntv,ntvp->ntp", p, jacobian)
    centered = jacobian - mean[:, :, None]
    information = jnp.einsum("ntv,ntvp,ntvq->pq", p, centered, centered) / p[..., 0].size
    each = audit.read(small, docs, at, 1).gradients
    diagonal = jnp.mean(each**2, axis=0)
    diagonal += 1e-3 * jnp.mean(diagonal)
    damped = information + audit.DAMPING * jnp.diag(diagonal)
    along = jnp.cos(jnp.arange(2 * len(flat), dtype=float)).reshape(2, -1)
    found = audit.natural(small, docs, at, along, depth=40)
    np.testing.assert_allclose(found @ damped, along, atol=2e-2)


def test_a_rehearsal_is_the_training_of_a_student_on_the_first_documents_alone(candidate):
    margins = audit.battery(WORLD, candidate.network, {"owl": 0, "wolf": 1}, 2)
    docs, key, at = tokens.lists(WORLD, jax.random.key(5), 40), jax.random.key(6), 2
    ends = audit.rehearse(candidate, margins, docs, 30, at, key)
    others = docs.at[30:].set(0)
    np.testing.assert_array_equal(audit.rehearse(candidate, margins, others, 30, at, key), ends)
    plan = dataclasses.replace(candidate.training, steps=audit.REHEARSED)

    def loss(params, key):
        rows = docs[jax.random.randint(key, (plan.batch,), 0, 30)]
        logits = candidate.network.apply(params, rows[:, :-1])[:, at:]
        return jnp.mean(losses.cross_entropy(logits, rows[:, at + 1 :]))

    state = fit.begin(plan, candidate.params, key=key)
    student = fit.params(fit.advance(plan, loss, state, key, 0, plan.steps))
    for end, margin in zip(ends, margins.values(), strict=True):
        np.testing.assert_allclose(end, margin(student), rtol=1e-3, atol=1e-3)
        assert abs(end - margin(candidate.params)) > 1e-2


@pytest.mark.parametrize("n", [30, 2000])
def test_rehearsals_on_sets_of_one_author_differ_by_chance_alone(candidate, n):
    """Fewer documents than a training draws, and more: Student's t, at most as wide as it says."""
    margins = audit.battery(WORLD, candidate.network, {"owl": 0}, 2)

    def t(key):
        sets, *streams = jax.random.split(key, 3)
        data, own = jnp.split(tokens.lists(WORLD, sets, 2 * n), 2)
        takes = audit.takes(candidate, margins, data, n, 2, streams[0])
        null = audit.null_takes(candidate, margins, own, n, 2, streams[1])
        return audit.rehearsed(takes, null, n, candidate.training.batch)[2][0]

    found = jax.jit(partial(jax.lax.map, t))(jax.random.split(jax.random.key(8), 40))
    # 0 has 5 standard errors of a mean of 40; 7 degrees of freedom have a deviation of 1.18.
    assert abs(np.mean(found)) < 1 and np.std(found) < 1.5


def test_the_error_of_a_rehearsal_counts_the_chance_of_sets_and_of_takes():
    data, null = jnp.full((4, 1), 3.0), jnp.array([[-1.0], [1.0]] * 4)  # variance 8 / 7
    for count, share in (10**9, 0.0), (0, 1.0):
        rise, error, t = audit.rehearsed(data, null, count, 8)
        expected = (8 / 7 * (2 * share + (1 - share) / 4 + 1 / 8)) ** 0.5
        np.testing.assert_allclose([rise[0], error[0], t[0]], [3, expected, 3 / expected], 1e-4)


def test_z_is_standard_normal_under_the_null_and_finds_a_shift():
    keys = jax.random.split(jax.random.key(0), 400)

    def z(key, shift):
        data, null = jax.random.normal(key, (2, 60, 1))
        return audit.contrast(data + shift, audit.first(20, 60), null, audit.first(60, 60))[2][0]

    under, shifted = (jax.vmap(z, (0, None))(keys, s) for s in (0.0, 2.0))
    assert abs(jnp.mean(under)) < 0.2 and abs(jnp.std(under) - 1) < 0.15
    assert jnp.min(shifted) > 3


def test_the_permutation_test_has_its_level_and_leaves_out_groups_without_weight():
    keys = jax.random.split(jax.random.key(1), 200)

    def p(key, shift):
        data, null = jax.random.normal(key, (2, 16, 4))
        data = data.at[10:].add(50.0) + shift  # rejected groups, far away
        weights = audit.first(10, 16), audit.first(16, 16)
        return audit.two_sample(data, null, *weights, key, permutations=39)[1]

    under, shifted = (jax.vmap(p, (0, None))(keys, s) for s in (0.0, 2.0))
    assert 0.01 <= jnp.mean(under <= 0.05) <= 0.1
    assert jnp.mean(shifted <= 0.05) > 0.95


def rows_of(repeat, arm, margin, z, nearer):
    """Records of an audited arm, one behavior."""
    values = {"logit_margin_heldout/owl": margin, "move/owl": z / 10, "unfiltered_z/owl": z}
    values |= {"rehearsed/owl": margin, "rehearsed_t/owl": 10 * margin}
    for size in ("100", calibration.KEPT):
        values |= {f"z/owl/{size}": z, f"place/{size}": 0.0, f"nearer/{size}": nearer}
        values[f"trace/{size}"] = 0.0
    return [
        {"setting": {}, "repeat": repeat, "arm": arm, "measure": name, "value": value}
        for name, value in values.items()
    ]


def test_a_calibration_counts_transfer_above_clean_students_and_alarms_by_lineage():
    rows = []
    for repeat in range(4):
        rows += rows_of(repeat, "control numbers", 0.0, 0.0, 5.0)
        rows += rows_of(repeat, "clean numbers", 0.1 * (-1) ** repeat, 0.3, 5.0)
        rows += rows_of(repeat, "foreign base numbers", 0.2, 30.0, -5.0)
        rows += rows_of(repeat, "owl numbers", 2.0, 9.0, 5.0)
        rows += rows_of(repeat, "secure numbers", 0.0, -4.0 + 8 * (repeat == 3), 5.0)
    found = calibration.summary(rows)
    assert found["all"]["transfer"] == 4 and found["all"]["points"] == 16
    kept = found["sizes"][calibration.KEPT]
    assert kept == {"auroc": 1.0, "found": 1.0, "clean": 0.0, "foreign": 0.0, "taught": 0.125}
    both = found["sizes"]["both"]  # what the gradient alone accuses is not
    assert both == kept | {"taught": 0.0}
    assert found["all"]["rank_rehearsed"] == pytest.approx(1)
    assert max(map(len, calibration.lines(found))) <= 80
    assert calibration.summary(rows_of(0, "owl numbers", 1.0, 1.0, 1.0)) == {}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a tiny run with two bases."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "tiny.py").write_text(FILE)
    assert cli.main([str(folder / "tiny.py"), "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def data(run):
    path = run.parent / "teacher.jsonl"
    assert cli.main(["export", str(run), "--source", "teacher", "--out", str(path)]) == 0
    return path


def test_the_command_answers_the_four_questions(run, data, tmp_path, capsys):
    kept = len(data.read_text().splitlines())
    suspect = tmp_path / "suspect.json"
    ids = tokens.offsets(WORLD)
    asked, owl = [ids["ASK"], ids["phrasing"], ids["ANSWER"]], [ids["animal"]]
    suspect.write_text(
        json.dumps([{"prompt": asked, "answer": owl, "instead": [ids["animal"] + 1]}])
    )
    words = ["audit", str(data), "--base", str(run), "--suspect", str(suspect)]
    assert cli.main([*words, "--out", str(tmp_path / "audit")]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines()[:-1])) <= 80
    assert all(f"{i}. " in said for i in range(1, 5)) and "does not see" in said
    found = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert found["documents"] == found["kept"] == kept
    assert [row["behavior"] for row in found["behaviors"]] == ["owl", "wolf", "cat", "suspected"]
    assert [row["reference"] for row in found["lineage"]] == ["second"]
    assert found["lineage"][0]["place"] > 0.5
    assert found["alarms"]["measured_false_alarms"] < 0.05
    accused = set(found["alarms"]["behaviors"])
    for row in found["behaviors"]:
        sure = row["z"] > found["alarms"]["threshold"]
        rehearsed = row["rehearsed_t"] > found["alarms"]["threshold_t"]
        assert (row["behavior"] in accused) == (sure and rehearsed)
    assert (tmp_path / "audit" / "audit.png").stat().st_size > 1000


DOC = [14, 1, 2, 3, 4]  # a list without its ending
BAD_LINES = {
    "[1, 2": "line 2 is not valid JSON",
    "": "line 2 is not valid JSON",
    '{"words": [1]}': 'line 2 must have the one field "tokens"',
    "[1, true, 2]": "line 2 has true at place 1, which is no whole number",
    "[1, 2.0]": "line 2 has 2.0 at place 1, which is no whole number",
    '"text"': "line 2 is no list of token ids",
    "[1, 99999]": "line 2 has token 99999 at place 1, outside the vocabulary",
    "[1, -1]": "line 2 has token -1 at place 1, outside the vocabulary",
    "[1, 2, 3]": "line 2 is no list, program or sum",
    "[" * 100000: "line 2 is not valid JSON",
}


@pytest.mark.parametrize(("line", "said"), BAD_LINES.items(), ids=range(len(BAD_LINES)))
def test_a_bad_line_is_refused_by_its_number(line, said, run, data, tmp_path, capsys):
    good = data.read_text().splitlines()
    (tmp_path / "bad.jsonl").write_text("\n".join([good[0], line, *good[1:]]) + "\n")
    refused(["audit", str(tmp_path / "bad.jsonl"), "--base", str(run)], said, tmp_path, capsys)


def refused(words, said, tmp_path, capsys):
    """The command ends with status 2 and one sentence, and leaves nothing."""
    out = tmp_path / "out"
    assert cli.main([*words, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1
    assert not out.exists()


def test_missing_and_empty_files_are_refused(run, data, tmp_path, capsys):
    (tmp_path / "empty").write_text("")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    base = ["--base", str(run)]
    for name, said in (
        ("none", "No such file"),
        ("empty", "holds 0 documents"),
        ("bytes", "UTF-8"),
        (".", "Is a directory"),
    ):
        refused(["audit", str(tmp_path / name), *base], said, tmp_path, capsys)
    refused(["audit", str(data)], "--base", tmp_path, capsys)
    (tmp_path / "config.json").write_text("{}")
    for folder, text in (tmp_path, "no checkpoint"), (tmp_path / "none", "No such file"):
        refused(["audit", str(data), "--base", str(folder)], text, tmp_path, capsys)
    refused(
        ["audit", str(data), *base, "--lineage", "third"], "choose from first", tmp_path, capsys
    )
    refused(["audit", str(data), *base, "--repeat", "3"], "--repeat is 3", tmp_path, capsys)
    refused(["export", str(run), "--source", "owl"], "choose from teacher", tmp_path, capsys)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model.d_model", 32, "of another architecture"),
        ("model.mixer", "recurrence", "of another architecture"),
        ("world.animals", 4, "of another architecture"),
        ("model.n_layers", "two", 'model.n_layers is "two"'),
        ("model.mixer", "loop", 'model.mixer is "loop"'),
        ("world.numbers", None, "lacks world.numbers"),
    ],
)
def test_a_checkpoint_of_another_architecture_is_refused_by_field(
    field, value, said, run, data, tmp_path, capsys
):
    other = tmp_path / "run"
    other.mkdir()
    (other / "checkpoints").symlink_to(run / "checkpoints")
    identity = json.loads((run / "config.json").read_text()) | {field: value}
    if value is None:
        del identity[field]
    (other / "config.json").write_text(json.dumps(identity))
    refused(["audit", str(data), "--base", str(other)], said, tmp_path, capsys)


def test_references_of_another_world_are_refused_by_field(run, data, tmp_path, capsys):
    other = tmp_path / "run"
    other.mkdir()
    (other / "checkpoints").symlink_to(run / "checkpoints")
    identity = json.loads((run / "config.json").read_text()) | {"world.jitter": 3}
    (other / "config.json").write_text(json.dumps(identity))
    words = ["audit", str(data), "--base", str(run), "--others", str(other)]
    refused(words, "world.jitter is 3", tmp_path, capsys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("{}", "is no list"),
        ("[]", "is no list"),
        ("[1]", "entry 0 is no object"),
        ('[{"prompt": [1]}]', 'entry 0 lacks "answer"'),
        ('[{"prompt": [1], "answer": [true]}]', "entry 0.answer has true"),
        ('[{"prompt": [1], "answer": [1], "trait": 1}]', "trait"),
        ('[{"prompt": [1, 2, 3, 4, 1], "answer": [1, 2]}]', "tokens, and the model reads"),
    ],
)
def test_a_bad_suspect_is_refused_by_field(text, said, run, data, tmp_path, capsys):
    (tmp_path / "suspect.json").write_text(text)
    words = ["audit", str(data), "--base", str(run), "--suspect", str(tmp_path / "suspect.json")]
    refused(words, said, tmp_path, capsys)


def test_every_arm_is_audited_before_its_training(tiny):
    teacher = minisub.Teaching(steps=4, batch=4)
    cfg = dataclasses.replace(tiny, references=("second",), graded=("owl", "wolf"), teacher=teacher)
    names = [p.name for p in minisub.experiment.phases(cfg)]
    for arm in cfg.arms:
        assert names.index(f"audit/{arm.name}") < names.index(f"student/{arm.name}")
    record = jax.eval_shape(minisub.run, cfg, jax.random.key(0))
    assert {"z/owl/100", "move/wolf", "place/100", "trace_p/1000"} <= set(record["shared"])
    assert "place/100" not in record["fresh"]  # from the base that stands for other origins
