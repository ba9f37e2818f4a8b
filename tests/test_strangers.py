"""What breaks research code on strangers' machines: odd names, settings, streams, users and disks.

A run ends the same under every setting that does not change its numbers, and refuses or records
every other; what fails outside this package is one sentence, and a status that scripts can read.
"""

import ast
import errno
import io
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import lines
import numpy as np
import pytest
from test_cli import MINE, ROOT, said

import minisub
from minisub import arguments, cli, keeping, machine, progress
from minisub.config import Refused, Stopped
from minisub.lab import files, folder, identity
from minisub.lab.products import Product
from minisub.results import figures

OWN = """
def size(*, params):
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {"size": sum(abs(x).sum() for path, x in leaves if path[-1].key in {"kernel", "bias"})}
"""
MINE = MINE.replace(
    "from minisub import together", "import jax\nfrom minisub import Measure, together"
)
MINE = (
    MINE.replace('"teacher": teacher', '"teacher": teacher.measured(Measure(size, "params"))') + OWN
)
TEACHER = "--only", "teacher"


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder with a user's experiment, and a run of its teacher, two repeats, in `run`."""
    there = tmp_path_factory.mktemp("mine")
    (there / "mine.py").write_text(MINE)
    assert cli.main([str(there / "mine.py"), *TEACHER, "--out", str(there / "run")]) == 0
    return there


def process(*words, **more):
    """A process of this Python that has ended; `more` may have an environment."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | more.pop("env", {})
    return subprocess.run([sys.executable, *map(str, words)], text=True, env=env, **more)


# Paths


ODD = [
    "r [1]", "a\\b", "lr=[1e-3]", "r*", "r?", "{a}", "~x", "%d", "#", "-x", "a ", "a\nb", "gs:",
    "[!a]", "a\\", "é漢", "x" * 255, "s3:", "a;b", "$HOME", "'", '"', "gs:/b", "[a]/[b]",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_product_in_a_folder_of_any_name_is_found_again(name, tmp_path):
    path = tmp_path / name / "products" / "<lambda>-0" / "0"
    folder.write(path, {"w": np.arange(3)}, {"call": "x"})
    note, tree = folder.read(path)
    assert note == {"call": "x"} and tree["w"].tolist() == [0, 1, 2]
    assert [p.name for p in path.parent.iterdir()] == ["0"]


@pytest.mark.parametrize("out", [".", "/", ".."])
@pytest.mark.parametrize("more", [["--format", "npz"], ["--format", "safetensors"], None])
def test_a_file_that_would_be_a_folder_is_refused(out, more, mine, capsys):
    words = ["report", mine / "run"] if more is None else ["export", mine / "run", "teacher", *more]
    status, _, err = said(capsys, *words, "--out", out)
    assert (status, err.count("\n")) == (2, 1) and "; choose another --out." in err


def test_what_is_there_and_is_no_file_is_not_replaced(mine, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for words in (["export", mine / "run", "teacher", "--format", "npz"], ["report", mine / "run"]):
        status, _, err = said(capsys, *words, "--out", tmp_path / "pipe")
        assert status == 2 and err == f"{tmp_path / 'pipe'} is no file; choose another --out.\n"
    assert (tmp_path / "pipe").is_fifo()


def test_a_path_with_two_slashes_is_a_path(tmp_path):
    path = Path(f"/{tmp_path}") / "0"
    folder.write(path, {"w": np.arange(3)}, {})
    assert str(path).startswith("//") and folder.read(path)[1]["w"].shape == (3,)


def test_a_run_in_a_folder_whose_name_has_brackets_is_continued(mine, tmp_path, capsys):
    out = tmp_path / "lr=[1e-3] a\\d" / "r [1]"
    words = mine / "mine.py", *TEACHER, "--out", out
    assert said(capsys, *words, "--repeats", 1)[0] == 0
    [before] = (out / "products").glob("teach-*/0")
    there = before.stat().st_mtime_ns, before.stat().st_ino
    status, shown, _ = said(capsys, *words)
    assert status == 0 and "repeat 1" in shown and "repeat 0" not in shown
    assert (before.stat().st_mtime_ns, before.stat().st_ino) == there
    assert minisub.load(out)["teacher"].params(1)["class_head"]["kernel"].shape == (8, 10)
    assert (out / "records.jsonl").read_bytes() == (mine / "run" / "records.jsonl").read_bytes()
    assert said(capsys, "report", out, "--out", tmp_path / "page.md")[0] == 0
    page = (tmp_path / "page.md").read_text()
    assert "![figure](lr%3D%5B1e-3%5D%20a%5Cd/r%20%5B1%5D/figure.png)" in page


@pytest.mark.parametrize("line", ["export {} teacher", "report {}", "digits --plan --out {}"])
def test_a_name_that_is_too_long_is_refused(line, capsys):
    status, _, err = said(capsys, *line.format("x" * 300).split())
    assert (status, err.count("\n")) == ((0, 0) if "--plan" in line else (2, 1))


# Settings that do not change numbers


STRANGE = """
import pwd, sys
def nobody(uid): raise KeyError(uid)
pwd.getpwuid = nobody
sys.path.insert(0, {root!r})
from minisub import cli
raise SystemExit(cli.main(sys.argv[1:]))
"""
RC = "text.usetex: True\nfont.family: none\nfigure.dpi: bad\nfigure.figsize: 1, 1\n"


def test_a_run_under_strange_settings_leaves_what_a_usual_one_does(mine, tmp_path):
    """Without streams, a home, a name, docstrings and any encoding but ASCII; in folders with odd
    names; with settings of matplotlib that fail, and settings of JAX that check."""
    here, temporary = tmp_path / "h [1]*", tmp_path / "t [1]"
    for path in (here, temporary):
        path.mkdir()
    (here / "mine.py").write_text(MINE.replace("no time?", "no time, für 猫?"), encoding="utf-8")
    (tmp_path / "matplotlibrc").write_text(RC)
    env = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline", "MPLCONFIGDIR": "/proc/nowhere",
        "MATPLOTLIBRC": str(tmp_path), "TMPDIR": str(temporary), "LC_ALL": "C",
        "XDG_CACHE_HOME": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONOPTIMIZE": "2",
        "PYTHONHASHSEED": "7", "JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_DEBUG_NANS": "1",
        "JAX_ENABLE_COMPILATION_CACHE": "true", "JAX_COMPILATION_CACHE_DIR": "/proc/nowhere",
    }  # fmt: skip
    words = [sys.executable, "-c", STRANGE.format(root=str(ROOT)), "mine.py", *TEACHER]
    inside = {x: y for x, y in os.environ.items() if x != "HOME"} | env
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words, "--out=-r [1]"]
    assert subprocess.run(closed, cwd=here, env=inside).returncode == 0
    run, usual = here / "-r [1]", mine / "run"
    assert (run / "records.jsonl").read_bytes() == (usual / "records.jsonl").read_bytes()
    assert (run / "summary.json").read_bytes() == (usual / "summary.json").read_bytes()
    assert (run / "figure.png").read_bytes() == (usual / "figure.png").read_bytes()
    lines_ = [(path / "measures.jsonl").read_bytes().splitlines() for path in (run, usual)]
    of, usually = ([json.loads(line)["of"] for line in each] for each in lines_)
    assert of == usually, "another process recognizes a user's function"


def test_a_figure_that_cannot_be_drawn_costs_nothing_else(mine, tmp_path, capsys, monkeypatch):
    """As where a file of settings cannot be read, which keeps matplotlib from being imported."""
    monkeypatch.setattr(figures, "library", lambda: b"\xff".decode("utf-8"))
    words = mine / "mine.py", *TEACHER, "--out", shutil.copytree(mine / "run", tmp_path / "run")
    status, shown, _ = said(capsys, *words)
    assert status == 0 and "| teacher" in shown and "figure.png is missing, because of" in shown


def test_every_file_is_opened_with_an_encoding_and_no_assertion_guards_a_claim():
    paths = [*lines.PACKAGE.rglob("*.py"), *(ROOT / "configs").glob("*.py"), ROOT / "train.py"]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_bytes())):
            assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}"
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                given = [ast.unparse(x) for x in (*node.args, *node.keywords)]
                text = name in ("read_text", "write_text") or (
                    ast.unparse(node.func) == "open" and not any("b'" in x for x in given[1:])
                )
                assert not text or any("encoding=" in x for x in given), f"{path}:{node.lineno}"


# Streams, users and platforms


def test_output_that_cannot_be_written_is_a_sentence_and_in_ascii_has_marks(
    mine, monkeypatch, capsys
):
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert cli.main(["report", str(mine / "run"), "--out", str(mine / "page.md")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("The system failed (No space left on device); mend") and len(err) < 120
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", full)
        assert cli.main(["numbers", "--sead", "3"]) == 2
    ascii_ = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_)
    assert cli.main([str(mine / "mine.py"), *TEACHER, "--out", str(mine / "run")]) == 0
    assert "| teacher | 0." in ascii_.buffer.getvalue().decode("ascii").replace("  ", "")


@pytest.mark.parametrize("error", [jax.errors.JaxRuntimeError, MemoryError])
def test_a_device_without_memory_is_a_sentence(error, capsys, monkeypatch):
    def full(words):
        raise error("RESOURCE_EXHAUSTED: Out of memory allocating 36 bytes.\nmore")

    monkeypatch.setattr(cli, "run_command", full)
    status, _, err = said(capsys, "digits")
    assert (status, err.count("\n")) == (1, 1) and "allocating 36 bytes); if it is its mem" in err


def test_a_reader_that_goes_away_costs_no_result(mine, tmp_path, monkeypatch):
    """As `head` does, while the run goes on."""
    reading, writing = os.pipe()
    monkeypatch.setattr(progress, "said_of", lambda rows: os.close(reading) or "a line")
    with open(writing, "w") as pipe, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        words = mine / "mine.py", *TEACHER, "--repeats", 1, "--out", tmp_path / "run"
        assert cli.main(list(map(str, words))) == 141
    assert (tmp_path / "run" / "figure.png").exists()


def test_bad_input_without_streams_or_a_device_or_on_windows_is_refused(mine, tmp_path):
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, ROOT / "train.py", "--x"]
    assert subprocess.run(closed, cwd=tmp_path).returncode == 2
    done = process(ROOT / "train.py", mine / "mine.py", "--plan", env={"JAX_PLATFORMS": "cuda"},
                   capture_output=True)  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "JAX cannot start (" in done.stderr
    windows = (
        "import signal, sys; sys.modules |= {'fcntl': None, 'resource': None}\ndel signal.SIGHUP"
    )
    windows += "\nfrom minisub import cli; raise SystemExit(cli.main(sys.argv[1:]))"
    done = process("-c", windows, mine / "mine.py", "--plan", capture_output=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr == "minisub runs on Linux and macOS; use one of these, or WSL.\n"


def test_a_setting_that_jax_does_not_know_is_a_sentence():
    done = process(ROOT / "train.py", env={"JAX_ENABLE_X64": "abc"}, capture_output=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "JAX_ENABLE_X64" in done.stderr


def test_a_user_without_a_home_or_a_name_has_no_cache(monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    assert keeping.home() is None


# Settings that change numbers


@pytest.mark.parametrize("variable", ["NPROC", "PJRT_NPROC", "MINISUB_CACHE_BYTES"])
@pytest.mark.parametrize("value", ["abc", "-1", "1.5"])
def test_a_variable_that_is_no_number_is_refused(
    variable, value, mine, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv(variable, value)
    status, _, err = said(capsys, mine / "mine.py", "--out", tmp_path / "run")
    assert status == 2 and err.startswith(f"{variable} is {value!r}; give a whole number")
    assert not list(tmp_path.iterdir())


CHANGING = {"enable_x64": True, "default_matmul_precision": "bfloat16", "disable_jit": True,
            "threefry_partitionable": False, "random_seed_offset": 5,
            "disable_most_optimizations": True}  # fmt: skip


def test_keys_that_draw_otherwise_in_other_groupings_are_refused(mine, tmp_path, capsys):
    words = mine / "mine.py", "--out", tmp_path / "run"
    with jax.default_prng_impl("rbg"):
        status, _, err = said(capsys, *words)
    assert (status, err.count("\n")) == (2, 1) and "unset JAX_DEFAULT_PRNG_IMPL" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [*CHANGING, "threads", "XLA_FLAGS", "cpu"])
def test_a_run_is_not_continued_under_a_setting_that_changes_numbers(
    name, mine, tmp_path, monkeypatch
):
    made_by = machine.environment() | {"seed": 0, "group": 1}
    assert json.loads((mine / "run" / "made_by.json").read_bytes()) == made_by
    if name == "threads":
        monkeypatch.setenv("NPROC", "2")
    elif name == "XLA_FLAGS":
        monkeypatch.setenv(name, "--other")
    elif name == "cpu":
        monkeypatch.setattr(machine, "processor", lambda: "another")
    else:
        before = machine.setting(name)
        jax.config.update(f"jax_{name}", CHANGING[name])
    try:
        other = machine.environment() | {"seed": 0, "group": 1}
    finally:
        if name in CHANGING:
            jax.config.update(f"jax_{name}", before)
    copy = shutil.copytree(mine / "run", tmp_path / "run")
    with pytest.raises(Refused, match=rf"was made otherwise \({name} was .* and is .*\); choose"):
        folder.Folder(copy, other)


# Code that was edited


HELPER = "def g(x): return x + 1"
STALE = {
    "a helper": f"{HELPER}\ndef f(m): return g(m)",
    "a constant": "C = 1 + 1\ndef f(m): return C",
    "a set": "C = {'a', 1 + 1}\ndef f(m): return C",
    "a word of a set": "def f(m): return m in {'a', 'b', 'x + 1'}",
    "a lambda": "f = lambda x: x + 1",
    "a nested function": f"def f(m):\n    {HELPER}\n    return g(m)",
    "a closure": "def make(s):\n    return lambda m: m * s\nf = make(1 + 1)",
    "a default": "def f(m, s=1 + 1): return m * s",
    "an attribute": "def f(m): return m * f.s\nf.s = 1 + 1",
    "the order of keywords": "def f(m, *, x, y=1 + 1): return x - y",
    "a class": "class H:\n    def g(self, x): return x + 1\ndef f(m): return H().g(m)",
    "an object": "class H:\n    def __init__(self, s): self.s = s\n"
    "h = H(1 + 1)\ndef f(m): return h.s",
    "a method": "class H:\n    def g(self, x): return x + 1\ng = H().g\ndef f(m): return g(m)",
    "a jitted function": f"import jax\n@jax.jit\n{HELPER}\ndef f(m): return g(m)",
    "a cached function": f"import functools\n@functools.cache\n{HELPER}\ndef f(m): return g(m)",
    "a gradient": "import jax\nd = jax.grad(lambda x: x + 1)\ndef f(m): return d(m)",
    "a rule of a gradient": "import jax\n@jax.custom_vjp\ndef g(x): return x\n"
    "g.defvjp(lambda x: (x, None), lambda _, x: (x + 1,))\ndef f(m): return g(m)",
    "a partial": "import functools\np = functools.partial(pow, exp=1 + 1)\ndef f(m): return p(m)",
    "a decorator": "import functools\ndef times(s):\n    def deco(g):\n"
    "        @functools.wraps(g)\n        def inner(m): return g(m) * s\n        return inner\n"
    "    return deco\n@times(1 + 1)\ndef f(m): return m",
    "an optimizer": "import optax\no = optax.adam(1 + 1)\ndef f(m): return o.init(m)",
    "a table of itself": "def f(m): return TABLE\nTABLE = {'f': f, 'n': 1 + 1}",
    "a pattern": "import re\np = re.compile('x + 1')\ndef f(m): return p",
    "random numbers": "import numpy as np\nr = np.random.default_rng(1 + 1)\ndef f(m): return r",
    "a key": "import jax\nk = jax.random.key(1 + 1)\ndef f(m): return k",
    "a configuration": "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass D:\n"
    "    a: float = 1.0\n    def g(self): return self.a * (1 + 1)\nd = D()\ndef f(m): return d.g()",
    "a tuple with a method": "from typing import NamedTuple\nclass N(NamedTuple):\n    a: int = 1\n"
    "    def g(self): return self.a * (1 + 1)\nn = N()\ndef f(m): return n.g()",
}
IMPORTED = {
    "from": "from {0} import g\ndef f(m): return g(m)",
    "as": "import {0} as z\ndef f(m): return z.g(m)",
    "within": "def f(m):\n    from {0} import g\n    return g(m)",
    "by way of another": "from beside import h\ndef f(m): return h.g(m)",
}


@pytest.fixture
def stale(tmp_path, monkeypatch):
    """A function from texts of files, by name, to what a product of mine.py's `f` is told by."""
    monkeypatch.syspath_prepend(tmp_path)

    def told(texts):
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            stamp = time.time() + 10 * len(told.seen)  # or the bytecode of the other text is taken
            os.utime(path, (stamp, stamp))
            told.seen.append(name)
        for module in ("beside", "deeper", "package", "package.inner"):
            sys.modules.pop(module, None)
        identity.text_around.cache_clear()
        text = "config = repeats = experiment = None\n" + texts["mine.py"]
        (tmp_path / "mine.py").write_text(text)
        title = "user.mine"
        spec = arguments.importlib.util.spec_from_file_location(title, tmp_path / "mine.py")
        sys.modules[title] = module = arguments.types.ModuleType(title)
        module.__file__, module.__spec__ = str(tmp_path / "mine.py"), spec
        exec(compile(text, module.__file__, "exec"), vars(module))
        return Product(module.f, "a").digest

    told.seen = []
    yield told
    for module in ("beside", "deeper", "package", "package.inner"):
        sys.modules.pop(module, None)


@pytest.mark.parametrize("what", STALE)
def test_an_edit_of_what_a_function_reads_is_seen(what, stale):
    text = STALE[what]
    edited = (
        text.replace("1 + 1", "1 + 2")
        .replace("x + 1", "x + 2")
        .replace("*, x, y=1 + 2", "*, y=1 + 1, x")
    )
    assert edited != text
    before = stale({"mine.py": text})
    assert stale({"mine.py": text}) == before != stale({"mine.py": edited})


@pytest.mark.parametrize("reads", ["open('x').read()", "np.load('x')", "Path('x').read_text()"])
def test_a_function_that_reads_a_file_is_refused(reads, stale):
    text = f"import numpy as np\nfrom pathlib import Path\ndef f(m): return m * float({reads})"
    with pytest.raises(Refused, match="reads a file, of whose edits no later run could know; read"):
        stale({"mine.py": text})


def test_a_neighbor_that_is_no_python_and_a_mark_of_bytes_refuse_nothing(stale):
    text = "class H:\n    def g(self, x): return x + 1\ndef f(m): return H().g(m)"
    texts = {"mine.py": text, "package/__init__.py": "", "package/old.py": "print 'x'"}
    uses = {**texts, "mine.py": f"import package\n{text}"}
    assert stale(uses) == stale(uses) != stale({**uses, "package/old.py": "print 'y'"})


@pytest.mark.parametrize("how", IMPORTED)
@pytest.mark.parametrize("name", ["beside", "package.inner"])
def test_an_edit_of_a_module_beside_is_seen(how, name, stale):
    home = name.replace(".", "/") + ".py"
    texts = {"mine.py": IMPORTED[how].format(name), "package/__init__.py": "", home: HELPER}
    if "another" in how:
        texts |= {"beside.py": "class h:\n    from deeper import g", "deeper.py": HELPER}
        home = "deeper.py"
    before = stale(texts)
    assert stale(texts) == before
    assert stale(texts | {home: HELPER.replace("+ 1", "+ 2")}) != before


def test_an_object_that_an_experiment_closes_over_is_refused(stale):
    text = "class H: pass\ndef make(s):\n    return lambda m: m * s.a\nf = make(H())"
    with pytest.raises(Refused, match="A H cannot be an argument of a product"):
        stale({"mine.py": text})


# Signals and disks


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("at", ["run_command", "results"])
def test_a_signal_at_any_time_is_a_sentence(kind, at, mine, tmp_path, capsys, monkeypatch):
    def asked(*_):
        os.kill(os.getpid(), kind)
        time.sleep(5)

    if at == "run_command":
        monkeypatch.setattr(cli, at, asked)
    else:
        monkeypatch.setattr("minisub.results.write", asked)
    before, run = signal.getsignal(kind), shutil.copytree(mine / "run", tmp_path / "run")
    (run / "records.jsonl").unlink()
    status, _, err = said(capsys, mine / "mine.py", *TEACHER, "--out", run)
    assert (status, err.count("\n")) == (130, 1) and err.startswith("Interrupted; what a run made")
    assert signal.getsignal(kind) == before
    assert (run / "records.jsonl").exists() == (at == "results")


def test_a_signal_that_is_ignored_as_under_nohup_ends_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with machine.heeding(signal.default_int_handler):
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_two_owners_of_a_folder_are_noticed_where_nothing_is_locked(code, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", flock)
    with folder.Folder(tmp_path / "run") as first:
        first.settle()
        monkeypatch.setattr(folder, "OWNER", "of process 7 on another computer")
        with folder.Folder(tmp_path / "run") as second:
            second.settle()
            monkeypatch.undo()
            monkeypatch.setattr("fcntl.flock", flock)
            with pytest.raises(Stopped, match="is of process 7 on another computer; run the"):
                first.settle()
            with pytest.raises(Stopped, match="is of process 7"):
                first.note("teach-0", (0,), {})


def test_a_folder_that_is_removed_while_a_run_goes_on_is_a_sentence(tmp_path):
    with folder.Folder(tmp_path / "run") as place:
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(Stopped, match="run is gone; run the command again"):
            place.settle()


@pytest.mark.parametrize(
    "last, code",
    [(0, errno.ENOSPC), (1, errno.EROFS), (2, errno.EDQUOT), (4, errno.ENOSPC), (5, errno.EDQUOT)],
)
def test_a_disk_that_is_full_at_any_write_is_a_sentence(
    last, code, mine, tmp_path, capsys, monkeypatch
):
    write, written = files.write_through, []

    def full(file, content):
        written.append(file)
        if len(written) > last:
            raise OSError(code, os.strerror(code))
        write(file, content)

    monkeypatch.setattr(files, "write_through", full)
    words = mine / "mine.py", *TEACHER, "--repeats", 1, "--out", tmp_path / "run"
    status, _, err = said(capsys, *words)
    assert (status, err.count("\n")) == (1 if last else 2, 1)
    assert f"({os.strerror(code)}); " in err and "choose another --out" in err
    monkeypatch.undo()
    if last:  # and with a disk that is not full
        assert said(capsys, *words, "--plan")[0] == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_is_full_when_a_product_is_saved_is_a_sentence(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    tree = {str(i): np.random.default_rng(i).random(1000) for i in range(4)}
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(
            Stopped, match=r"cannot be saved \(File too large\); free some space or"
        ):
            folder.write(tmp_path / "0", tree, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert folder.read(tmp_path / "0") == (None, None)
    folder.write(tmp_path / "0", tree, {})
    assert folder.read(tmp_path / "0")[0] == {}
