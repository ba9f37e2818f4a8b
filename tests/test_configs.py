"""Every config, in each of its kinds: what it says, what it builds, and that it runs to its end."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest

from minisub import arguments, cli, experiment, image_chain, images, lanes, tasks

FILES = arguments.config_files()
KINDS = [
    (name, kind)
    for name in FILES
    for kind in arguments.kinds_of(arguments.load(name)) or [""]  # "": it is one
]
FIRST = dict(reversed(KINDS)).items()
AT_MOST = {
    "steps": 2, "length": 2.0, "batch": 64, "documents": 64, "examples": 64, "rows": 2, "draws": 2,
    "chunk": 2, "questions": 2, "riddles": 2, "prefixed": 2, "programs": 2, "sums": 2, "behaved": 2,
    "replayed": 2,
}  # fmt: skip
"""Work of tiny runs, by the field that says how much there is; models keep their shapes."""
INSTEAD = {"unit": "updates", "filter": "none"}
"""A filter leaves nothing of what models write that have learned nothing."""


def small(value, field=""):
    """A field's value with little work in it: a number, words that change fields, or a config."""
    if field in INSTEAD:
        return INSTEAD[field]
    if field in AT_MOST:
        return min(value, AT_MOST[field])
    if dataclasses.is_dataclass(value):
        fields = (f.name for f in dataclasses.fields(value))
        return type(value)(**{name: small(getattr(value, name), name) for name in fields})
    if isinstance(value, tuple):
        return tuple(map(small, value))
    if field in ("model", "teaching", "sampling", "training") and "=" in value:
        pairs = (word.split("=") for word in value.split())
        return " ".join(
            f"{name}={small(int(said) if name in AT_MOST else said, name)}" for name, said in pairs
        )
    return value


def named(name, kind):
    """The `Command` of a config's kind, as without any words."""
    return arguments.command_of(arguments.load(name), kind)


@pytest.fixture
def without_downloads(monkeypatch):
    """Random pixels in place of downloaded images, as large and as many."""

    def drawn(data):
        side, classes = images.shape(data)
        n, rng = images.examples(data), np.random.default_rng(0)
        x, y = rng.integers(0, 256, (n, side**2), np.uint8), np.arange(n, dtype=np.int32) % classes
        return {"train_x": x, "train_y": y, "test_x": x[:1000], "test_y": y[:1000]}

    monkeypatch.setattr(images, "_idx", drawn)
    image_chain.real_images.cache_clear()
    yield
    image_chain.real_images.cache_clear()


@pytest.mark.parametrize("name", FILES)
def test_a_config_states_its_claim_and_how_to_run_it(name):
    assert arguments.claim_of(FILES[name]).endswith((".", "?"))
    assert f"python train.py {name}" in FILES[name].read_text() or name == arguments.DEFAULT


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_all_that_a_config_sweeps_is_checked_and_has_phases_without_data(name, kind, monkeypatch):
    monkeypatch.setattr(images, "load", None)  # calling it fails
    command = named(name, kind)
    assert command.repeats >= 1
    for _, cfg in arguments.settings(name, command):
        made = set()
        for p in experiment.phases(cfg):
            assert p.name not in made and made.issuperset(p.inputs.values())
            made.add(p.name)


@pytest.fixture(scope="module")
def traced_once():
    """`experiment.run`, of whose tasks each is traced once for all arms and configs that share it.

    Nothing is compiled, and nothing computed.
    """
    static = {"static_argnames": ("kind", "option")}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("begin", "advance", "finish"):
            patch.setattr(tasks, name, jax.jit(getattr(tasks, name), **static))
        yield lambda cfg: jax.eval_shape(experiment.run, cfg, jax.random.key(0))


def slowly(name, kind):
    """Parameters of a test that leaves kinds but the first to `-m slow`.

    And the audits of a calibration, which take as long to trace as all else, and what is alike.
    """
    at_once = (name, kind) in FIRST and name not in ("audit_calibration", "defenses", "hacking")
    return pytest.param(name, kind, marks=() if at_once else pytest.mark.slow)


@pytest.mark.parametrize(("name", "kind"), [slowly(*each) for each in KINDS])
def test_a_repeat_records_every_arm_of_a_config(name, kind, traced_once, without_downloads):
    [(_, cfg), *_] = arguments.settings(name, named(name, kind))
    with experiment.precision(cfg):
        record = traced_once(cfg)
    assert record.keys() >= {arm.name for arm in cfg.arms} and record
    for measured in record.values():
        assert measured and all(len(x.shape) <= 1 for x in measured.values())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_config_runs_to_its_end_in_a_tiny_size(
    name, kind, without_downloads, tmp_path, monkeypatch, capsys
):
    """The ends of what it sweeps; no effect is to be seen. Compiled fast, because run once."""
    monkeypatch.chdir(tmp_path)
    command = named(name, kind)
    settings = arguments.settings(name, command)
    ends = [(values, small(cfg)) for values, cfg in settings[:: max(1, len(settings) - 1)]]
    for _, cfg in ends:
        experiment.check(cfg)
    command = dataclasses.replace(command, repeats=1, config=ends[0][1])
    with quickly_compiled():
        cli.with_folder(tmp_path / "run", name, "", "", command, ends, lanes.Place())
    assert "holds records.jsonl, summary.json, report.md" in capsys.readouterr().out


@contextlib.contextmanager
def quickly_compiled():
    """Within it, JAX leaves out most optimizations of what it compiles, and then forgets it all."""
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
        jax.clear_caches()
