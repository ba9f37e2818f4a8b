"""Rooms import one way, each outside library has its doors, and files stay short."""

import ast
import graphlib

import lines
import pytest

ROOT = lines.PACKAGE.parent
ORDER = ({"nets"}, {"lab"}, {"tokens", "images"}, {"theory", "detection", "audit"}, {"results"})
"""Rooms, from below; those of one floor do not import each other. Modules outside are above all,
but for `config`, which is below."""
ROOMS = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}
DOORS = {
    "flax": {"nets.transformer", "images.classifiers"},
    "optax": {"nets.optimizers", "nets.fit"},
    "orbax": {"lab.folder"},
    "tensorflow_datasets": {"images.datasets"},
    "sklearn": {"images.pictures"},
    "tyro": {"arguments", "auditing", "loading"},
    "tqdm": {"cli"},
    "dask": {"executors"},
    "matplotlib": {"results"},
    "pandas": {"results"},
}
"""Which modules import a library; that of a room stands for all of its modules."""
ABOVE = len(ORDER)


def name_of(path):
    """The name of a module without that of the package: "nets.fit"; "" of the package itself."""
    parts = path.relative_to(lines.PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(lines.PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
EVERY = pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "minisub")


def floor(name):
    """On which floor a module is."""
    room = name.partition(".")[0]
    return -1 if name == "config" else ROOMS.get(room, ABOVE)


def imports(name):
    """(modules of this package, top-level names of others) that a module imports anywhere."""
    own, others = set(), set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for full in names:
            first, _, rest = full.partition(".")
            if first != "minisub":
                others.add(first)
                continue
            while rest not in MODULES:  # a name in a module
                rest = rest.rpartition(".")[0]
            own.add(rest)
    return own, others


def test_there_are_eight_rooms_of_at_most_ten_modules():
    rooms = {path.name for path in lines.PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms == set(ROOMS)
    for room in rooms:
        inside = [name for name in MODULES if name.rpartition(".")[0] == room]
        assert len(inside) <= 10, f"{room} has {len(inside)} modules: {', '.join(inside)}"


def test_what_only_a_rich_world_has_is_one_folder_of_the_token_world():
    """There is no other folder in a room. Both ways are allowed between it and the plain files, if
    not in a circle: these take its `vocabulary`, its carriers, its `cases` and its `practice`, and
    are read without it, while its `practice` and its `config` build on the plain files."""
    folders = {name.rpartition(".")[0] for name in MODULES if name.count(".") > 1}
    assert folders == {"tokens.behaviors"}
    asked = {f"tokens.behaviors.{x}" for x in ("vocabulary", "code", "sums", "cases", "practice")}
    plain = [name for name in MODULES if name.rpartition(".")[0] == "tokens"]
    used = set().union(*(imports(name)[0] for name in plain))
    assert {name for name in used if name.startswith("tokens.behaviors")} == asked


@EVERY
def test_imports_go_one_way_and_libraries_have_few_doors(name):
    own, others = imports(name)
    room = name.partition(".")[0]
    for other in own - {""}:
        beside = other.partition(".")[0] == room and room in ROOMS
        both_above = floor(name) == floor(other) == ABOVE
        assert floor(other) < floor(name) or beside or both_above, f"{name} imports {other}"
    for library, doors in DOORS.items():
        assert library not in others or {name, room} & doors, f"{name} imports {library}"


def test_no_modules_import_each_other_in_a_circle():
    """Not even two of one room, nor within a function."""
    graph = {name: imports(name)[0] - {"", name} for name in MODULES if name}
    graphlib.TopologicalSorter(graph).prepare()


def test_only_the_command_line_prints():
    """And `minisub.main`, if the command line cannot be imported."""
    printing = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    }
    assert printing <= {"cli", ""}


@EVERY
def test_files_are_short_and_public_names_are_documented(name):
    assert len(MODULES[name].read_text().splitlines()) <= 300
    if name.rpartition(".")[2] and name not in ROOMS:
        documented = public(TREES[name], name)
        assert [what for what, node in documented if not ast.get_docstring(node)] == []


def public(node, name):
    """(dotted name, node) of a module and of its public classes, functions and methods."""
    yield name, node
    for inner in node.body if isinstance(node, ast.Module | ast.ClassDef) else ():
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(inner, kinds) and not inner.name.startswith("_"):
            yield from public(inner, f"{name}.{inner.name}")


def test_the_package_can_be_read_in_a_week_and_the_path_of_a_claim_in_a_day():
    counted = lines.counted()
    print(lines.said())
    assert counted.pop("package") <= lines.ALL
    assert all(path <= lines.PATH for path in counted.values()), lines.said()


def test_top_level_holds_nothing_unexpected():
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("not a checkout")
    allowed = {"pyproject.toml", "README.md", "minisub", "configs", "train.py", "tests", "runs"}
    allowed |= {"LICENSE", "CHANGELOG.md", "CITATION.cff", "build", "dist", "minisub.egg-info"}
    assert {p.name for p in ROOT.iterdir() if not p.name.startswith((".", "__"))} <= allowed
