"""The run folder: claims are exclusive, records only grow, damaged checkpoints are noticed."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minisub import checkpointing, config, store

ROOT = pathlib.Path(__file__).resolve().parents[1]
IDENTITY = {"seed": 0, "name": "numbers", "student": {"steps": 300, "frozen": ["embed"]}}


class State(NamedTuple):
    """A state with everything that a run may hold."""

    params: Any
    missing: Any
    optimizer: Any
    empty: tuple
    extras: Any


def make_state(position=0):
    """A state that differs at every position."""
    key = jax.random.fold_in(jax.random.key(0), position)
    params = {"block_0/qkv": {"kernel": jax.random.normal(key, (17, 5)), "bias": jnp.zeros(5)}}
    optimizer = optax.chain(optax.scale_by_adam(), optax.scale_by_learning_rate(lambda t: 1e-3))
    gradients = jax.tree.map(jnp.sin, params)
    extras = {
        "documents": jax.random.randint(key, (300, 14), 0, 200),
        "none": jnp.zeros((0, 3), jnp.int32),
        "half": jnp.arange(3, dtype=jnp.bfloat16),
        "flags": jnp.array([True, False]),
        "odd": jnp.array([jnp.nan, -0.0, jnp.inf]),
        "negative zeros": jnp.full(3, -0.0),
        "position": jnp.int32(position),
    }
    state = optimizer.update(gradients, optimizer.init(params), params)[1]
    return State(params, None, state, (), extras)


def target(position, note):
    """The abstract state that `Checkpoints.restore` asks for."""
    return jax.eval_shape(make_state)


def assert_same(one, other):
    """Types, dtypes and bits are equal."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert isinstance(a, jax.Array)
        assert (a.dtype, a.shape, a.devices()) == (b.dtype, b.shape, b.devices())
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def saved(folder, *positions):
    """Checkpoints of `positions` in a new folder."""
    checkpoints = checkpointing.Checkpoints(folder)
    for position in positions:
        checkpoints.save(position, make_state(position), {"rows": position, "a": [1.5, None]})
    return checkpoints


def files(folder):
    """The contents of all files under `folder`, by path."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def start(code, *arguments):
    """A Python process with these modules imported, strict about warnings."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    header = "import pathlib, sys, test_store; from minisub import checkpointing, config, store; "
    header += "folder = pathlib.Path(sys.argv[1])\n"
    command = [sys.executable, "-W", "error", "-c", header + code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def wait_for(process, text):
    """Return when `process` has printed a line containing `text`."""
    while text not in (line := process.stdout.readline()):
        assert line, process.stderr.read()


def kill(process):
    """Kill `process` at once; return what it had printed."""
    process.send_signal(signal.SIGKILL)
    return process.communicate()[0]


# Checkpoints


def test_a_state_comes_back_bitwise_with_its_types(tmp_path):
    checkpoints = saved(tmp_path / "checkpoints", 120)
    position, note, state = checkpoints.restore(target)
    assert (position, note) == (120, {"rows": 120, "a": [1.5, None]})
    assert_same(state, make_state(120))
    assert not checkpoints.notices


def test_a_restored_state_can_be_donated_and_leaves_the_default_device_open(tmp_path):
    state = saved(tmp_path / "checkpoints", 1).restore(target)[2]
    assert not any(x.committed for x in jax.tree.leaves(state))
    kernel = state.params["block_0/qkv"]["kernel"]
    doubled = jax.jit(lambda x: 2 * x, donate_argnums=0)(kernel)
    assert kernel.is_deleted()
    np.testing.assert_array_equal(doubled, 2 * make_state(1).params["block_0/qkv"]["kernel"])


def test_a_state_without_arrays_comes_back(tmp_path):
    checkpoints = checkpointing.Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(0, ((), None, {}), {})
    assert checkpoints.restore(lambda position, note: ((), None, {})) == (0, {}, ((), None, {}))


def test_no_checkpoint_gives_none(tmp_path):
    assert checkpointing.Checkpoints(tmp_path / "checkpoints").restore(target) is None


def test_the_newest_two_are_kept_and_the_newest_is_restored(tmp_path):
    checkpoints = saved(tmp_path / "checkpoints", 8, 9, 10, 11)
    assert sorted(os.listdir(checkpoints.folder)) == ["10", "11"]
    assert checkpoints.restore(target)[0] == 11


@pytest.mark.parametrize("name", ["_CHECKPOINT_METADATA", "manifest.ocdbt", "d/*"])
def test_a_truncated_newest_is_set_aside_and_named_and_the_older_one_used(tmp_path, name):
    checkpoints = saved(tmp_path / "checkpoints", 80, 120)
    (checkpoints.folder / "damaged-120").mkdir()
    for path in (checkpoints.folder / "120").rglob(name):
        os.truncate(path, path.stat().st_size // 2)
    position, _, state = checkpoints.restore(target)
    assert position == 80
    assert_same(state, make_state(80))
    assert sorted(os.listdir(checkpoints.folder)) == ["80", "damaged-120", "damaged-120-2"]
    (notice,) = checkpoints.notices
    assert notice.startswith("checkpoints/120 is damaged (")
    assert notice.endswith(
        "; set aside as checkpoints/damaged-120-2, continuing from an older one."
    )


def test_a_checkpoint_for_which_there_is_no_target_is_set_aside(tmp_path):
    checkpoints = saved(tmp_path / "checkpoints", 80, 120)

    def only_early(position, note):
        if note["rows"] > 100:
            raise ValueError("no such phase")
        return target(position, note)

    assert checkpoints.restore(only_early)[0] == 80
    assert "no such phase" in checkpoints.notices[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda extras: extras | {"odd": jnp.zeros(3, jnp.int32)},
        lambda extras: extras | {"odd": jnp.zeros(4)},
        lambda extras: extras | {"new": jnp.zeros(0)},
        lambda extras: {name: x for name, x in extras.items() if name != "odd"},
    ],
    ids=["dtype", "shape", "one more", "one less"],
)
def test_a_target_unlike_the_saved_state_is_never_filled(tmp_path, change):
    checkpoints = saved(tmp_path / "checkpoints", 1)
    state = make_state()
    other = state._replace(extras=change(state.extras))
    assert checkpoints.restore(lambda position, note: other) is None
    assert len(checkpoints.notices) == 1


def test_a_checkpoint_renamed_to_another_position_is_detected(tmp_path):
    checkpoints = saved(tmp_path / "checkpoints", 1)
    (checkpoints.folder / "1").rename(checkpoints.folder / "2")
    assert checkpoints.restore(target) is None


def test_every_flipped_bit_is_harmless_or_detected(tmp_path):
    whole = saved(tmp_path / "whole", 3).folder / "3"
    chance, detected = random.Random(0), 0
    for name, content in files(whole).items():
        for place in chance.sample(range(len(content)), min(8, len(content))):
            folder = tmp_path / "flipped"
            shutil.copytree(whole, folder / "3")
            flipped = bytearray(content)
            flipped[place] ^= 1 << chance.randrange(8)
            (folder / "3" / name).write_bytes(flipped)
            checkpoints = checkpointing.Checkpoints(folder)
            found = checkpoints.restore(target)
            assert (found is None) == bool(checkpoints.notices)
            detected += found is None
            if found is not None:
                assert found[:2] == (3, {"rows": 3, "a": [1.5, None]})
                assert_same(found[2], make_state(3))
            shutil.rmtree(folder)
    assert detected > 10


def test_array_data_changed_behind_a_valid_file_is_detected(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path / "checkpoints", 3)
    load = checkpointing.ocp.load

    def with_one_bit_flipped(path):
        state = load(path)["state"].copy()
        state[1000] ^= 1
        return {"state": state}

    monkeypatch.setattr(checkpointing.ocp, "load", with_one_bit_flipped)
    assert checkpoints.restore(target) is None
    assert "checksum" in checkpoints.notices[0]


def test_a_kill_at_any_time_leaves_a_whole_checkpoint(tmp_path):
    code = """
checkpoints = checkpointing.Checkpoints(folder)
found = checkpoints.restore(test_store.target)
position = found[0] if found else 0
print("ready", flush=True)
while True:
    position += 1
    checkpoints.save(position, test_store.make_state(position), {})
    print("saved", position, flush=True)
"""
    chance, last, kills = random.Random(time.time_ns()), 0, 0
    deadline = time.monotonic() + 12
    # At least two, however slow the machine is.
    while kills < 2 or (kills < 5 and time.monotonic() < deadline):
        process = start(code, tmp_path / "checkpoints")
        wait_for(process, "saved" if last == 0 else "ready")
        time.sleep(chance.uniform(0, 0.3))
        printed = kill(process).split()
        last = max([last, *(int(word) for word in printed if word.isdecimal())])
        checkpoints = checkpointing.Checkpoints(tmp_path / "checkpoints")
        position, _, state = checkpoints.restore(target)
        assert position >= max(last, 1)
        assert not checkpoints.notices
        assert_same(state, make_state(position))
        last, kills = position, kills + 1
    (checkpoints.folder / "0.removed").mkdir()
    checkpoints.save(last + 1, make_state(last + 1), {})
    names = sorted(os.listdir(checkpoints.folder), key=int)
    assert names[-1] == str(last + 1)
    assert len(names) == 2


def test_a_full_disk_is_refused_and_keeps_the_older_checkpoints_without_noise(tmp_path):
    code = """
import os, resource, signal
checkpoints = test_store.saved(folder, 1, 2)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    checkpoints.save(3, test_store.make_state(3), {})
except config.Refused as refused:
    print(refused)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert checkpoints.restore(test_store.target)[0] == 2 and not checkpoints.notices
os.truncate(folder / "2" / "_CHECKPOINT_METADATA", 5)
assert checkpoints.restore(test_store.target)[0] == 1
checkpoints.save(4, test_store.make_state(4), {})
print(sorted(path.name for path in folder.iterdir()))
"""
    process = start(code, tmp_path / "checkpoints")
    output, errors = process.communicate()
    assert errors == ""
    refused, names = output.splitlines()
    remedy = "free some space or choose another --out."
    assert refused == f"{tmp_path}/checkpoints/3 cannot be saved (File too large); {remedy}"
    assert names == "['1', '4', 'damaged-2']"


def test_a_folder_that_cannot_be_written_is_refused_by_save(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(config.Refused, match=r"cannot be saved \(.*\); free some space"):
        saved(tmp_path / "file" / "checkpoints", 1)


# Records


def rows(first, last):
    """The rows that a run makes from `first` to `last`, exclusive."""
    return [{"step": n, "loss": 1 / (n + 3), "name": f"é{n}"} for n in range(first, last)]


def written(path, n=5):
    """Records of `n` rows at `path`."""
    records = store.Records(path)
    records.append(rows(0, n))
    return records


def test_a_resumed_run_writes_the_bytes_of_an_undisturbed_one(tmp_path):
    undisturbed = written(tmp_path / "one", 9)
    path = written(tmp_path / "two").path
    path.write_bytes(path.read_bytes()[:-7])
    resumed = store.Records(path).seek(2)
    assert resumed.rows() == rows(0, 2)
    resumed.append(rows(2, 6))
    resumed.append([])
    resumed.append(rows(6, 9))
    assert resumed.cursor == 9
    assert resumed.rows() == undisturbed.rows() == rows(0, 9)
    assert path.read_bytes() == undisturbed.path.read_bytes()
    assert not resumed.notices


@pytest.mark.parametrize(
    "tail", [b"{", b'{"step": 5}', b"\0" * 50, b'{"a": "\xff"}\n', b"1\n", b"\n"]
)
def test_an_unfinished_tail_is_cut(tmp_path, tail):
    path = written(tmp_path / "records.jsonl").path
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert store.Records(path).seek(5).rows() == rows(0, 5)
    assert files(tmp_path) == {pathlib.Path("records.jsonl"): whole}


def test_an_invalid_middle_is_moved_aside_with_what_follows(tmp_path):
    path = written(tmp_path / "records.jsonl").path
    lines = path.read_bytes().splitlines(keepends=True)
    (tmp_path / "records.jsonl.damaged").write_text("earlier")
    damaged = [*lines[:2], lines[2][5:], *lines[3:]]
    path.write_bytes(b"".join(damaged))
    records = store.Records(path)
    assert path.read_bytes() == b"".join(lines[:2])
    assert (tmp_path / "records.jsonl.damaged").read_text() == "earlier"
    assert (tmp_path / "records.jsonl.damaged-2").read_bytes() == b"".join(damaged[2:])
    (notice,) = records.notices
    assert "records.jsonl is damaged at line 3" in notice
    assert "records.jsonl.damaged-2" in notice
    records.append(rows(0, 5))
    assert path.read_bytes() == b"".join(lines)


def test_a_line_that_differs_is_refused_and_nothing_is_written(tmp_path):
    path = written(tmp_path / "records.jsonl").path
    before = files(tmp_path)
    records = store.Records(path).seek(3)
    changed = rows(3, 8)
    changed[1]["loss"] += 1e-16
    with pytest.raises(config.Refused, match=r"records.jsonl line 5 differs from what this run"):
        records.append(changed)
    assert files(tmp_path) == before
    assert records.cursor == 3


def test_a_checkpoint_ahead_of_the_records_is_an_error(tmp_path):
    records = written(tmp_path / "records.jsonl")
    with pytest.raises(ValueError, match="checkpoint is ahead"):
        store.Records(records.path).seek(6)


def test_a_number_that_is_not_finite_is_an_error_and_nothing_is_written(tmp_path):
    records = written(tmp_path / "records.jsonl")
    before = files(tmp_path)
    with pytest.raises(ValueError, match="Out of range float"):
        records.append([{"loss": 1.0}, {"loss": float("nan")}])
    assert files(tmp_path) == before


def test_records_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(config.Refused, match=r"cannot be used \(Is a directory\); free some"):
        store.Records(tmp_path)
    with pytest.raises(config.Refused, match="cannot be used"):
        written(tmp_path / "missing" / "records.jsonl")


# The claim


def claim_and_close(folder, identity):
    """Claim `folder` and let it go, as a process that ends."""
    store.claim(folder, identity).close()


def test_a_claim_writes_the_identity_and_can_be_repeated(tmp_path):
    folder = tmp_path / "runs" / "numbers"
    claim_and_close(folder, IDENTITY)
    before = files(folder)
    assert json.loads(before[pathlib.Path("config.json")]) == IDENTITY
    written(folder / "records.jsonl")
    claim_and_close(folder, IDENTITY | {"student": {"frozen": ("embed",), "steps": 300}})
    assert files(folder).items() >= before.items()


def test_another_run_is_refused_naming_the_fields_that_differ(tmp_path):
    claim_and_close(tmp_path, IDENTITY)
    before = files(tmp_path)
    other = {"seed": False, "student": {"steps": 500, "frozen": ["embed"], "width": {}}}
    with pytest.raises(config.Refused) as refused:
        store.claim(tmp_path, other)
    assert str(refused.value) == (
        f'{tmp_path} holds another run (seed is 0 there, false here; name is "numbers" there, '
        "absent here; student.steps is 300 there, 500 here; student.width is absent there, {} "
        "here); choose another --out or remove that folder."
    )
    assert files(tmp_path) == before


def test_a_refusal_names_six_fields_and_counts_the_others(tmp_path):
    claim_and_close(tmp_path, {f"field_{n}": n for n in range(9)})
    with pytest.raises(config.Refused, match="field_5 is 5 there, 6 here; and 3 more\\)"):
        store.claim(tmp_path, {f"field_{n}": n + 1 for n in range(9)})


def test_a_live_run_keeps_others_out_until_it_ends(tmp_path):
    folder = tmp_path / "run"
    process = start(
        f"lock = store.claim(folder, {IDENTITY}); print('ready', flush=True); sys.stdin.read()",
        folder,
    )
    wait_for(process, "ready")
    with pytest.raises(config.Refused) as refused:
        store.claim(folder, IDENTITY)
    remedy = "wait for it or choose another --out."
    assert str(refused.value) == f"{folder} is in use by another run; {remedy}"
    kill(process)
    claim_and_close(folder, IDENTITY)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"a": 1'])
def test_a_damaged_config_is_refused_and_left_alone(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(
        config.Refused, match=r"config.json is damaged \(not a JSON object\); choose"
    ):
        store.claim(tmp_path, IDENTITY)
    assert files(tmp_path) == {pathlib.Path("config.json"): content}


@pytest.mark.parametrize("name", ["records.jsonl", "report.md"])
def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(config.Refused, match=f"holds {name} but no config.json"):
        store.claim(tmp_path, IDENTITY)
    assert files(tmp_path) == {pathlib.Path(name): b"mine"}


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(config.Refused, match=r"cannot hold a run \(.+\); choose another --out"):
        store.claim(tmp_path / place, IDENTITY)
    assert files(tmp_path) == {pathlib.Path("file"): b"mine"}


def test_a_folder_of_the_kernel_is_refused():
    with pytest.raises(config.Refused, match="cannot hold a run"):
        store.claim(pathlib.Path("/proc/run"), IDENTITY)


def test_an_interrupted_write_keeps_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "report.md"
    store.write_atomically(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.write_atomically(path, b"new")
    assert files(tmp_path) == {pathlib.Path("report.md"): b"old"}
