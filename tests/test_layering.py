"""Imports go one way, each outside library has one door, and files stay short."""

import ast
from pathlib import Path

import pytest

import minisub

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(minisub.__file__).parent
# A module imports only modules of earlier layers.
LAYERS = (
    {"config"},
    {"detection_config"},
    {"image_config", "token_config", "phases", "losses", "timing", "tokens", "models"},
    {"datasets", "image_models", "presets", "code", "sums"},
    {"documents"},
    {"images"},
    {"carriers", "starts", "measures", "similarity"},
    {"optimizers", "theory", "lora"},
    {"behaviors", "detectors"},
    {"reading"},
    {"fit"},
    {"channels", "checks", "entanglement", "transforms"},
    {"watching"},
    {"comparisons"},
    {"imitation", "distillation", "audit"},
    {"token_costs", "auditing", "detection"},
    {"detection_checks"},
    {"token_tasks", "image_tasks", "claims"},
    {"token_checks"},
    {"detection_chain"},
    {"image_chain", "token_chain"},
    {"tasks"},
    {"experiment"},
    {"programs"},
    {"views"},
    {"store", "report", "runner", "arguments"},
    {"checkpointing"},
    {"plots"},
    {"detection_figures"},
    {"prediction", "matrices", "audit_files", "lanes", "progress", "joining"},
    {"audit_answers", "calibration"},
    {"audit_report"},
    {"figures", "bench"},
    {"audit_figures"},
    {"cli"},
)
DOORS = {
    "flax": {"models", "image_models"},
    "orbax": {"checkpointing"},
    "matplotlib": {"figures", "audit_figures", "detection_figures"},
    "tyro": {"arguments"},
    "tensorflow_datasets": {"datasets"},
    "sklearn": {"images", "detectors"},
    "optax": {"optimizers", "fit"},
}
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(path):
    """(modules of this package, top-level names of others) that a file imports anywhere."""
    own, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".")
            if parts[0] != "minisub":
                others.add(parts[0])
            elif len(parts) > 1:
                own.add(parts[1])
            else:
                own |= {alias.name for alias in node.names}
    return own, others


def test_every_module_has_a_layer():
    assert {path.stem for path in MODULES} == set().union(*LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_go_one_way_and_libraries_have_one_door(path):
    depth = next(i for i, layer in enumerate(LAYERS) if path.stem in layer)
    own, others = imports(path)
    assert own <= set().union(*LAYERS[:depth])
    for library, doors in DOORS.items():
        assert library not in others or path.stem in doors


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_only_the_command_line_prints(path):
    calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    prints = any(isinstance(f, ast.Name) and f.id == "print" for f in calls)
    assert not prints or path.stem == "cli"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_files_are_short_and_public_names_are_documented(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 310
    named = public(ast.parse(text), path.stem)
    assert [name for name, node in named if not ast.get_docstring(node)] == []


def public(node, name):
    """(dotted name, node) of a module and of its public classes, functions and methods."""
    yield name, node
    for inner in node.body if isinstance(node, ast.Module | ast.ClassDef) else ():
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(inner, kinds) and not inner.name.startswith("_"):
            yield from public(inner, f"{name}.{inner.name}")


def test_top_level_holds_nothing_unexpected():
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("not a checkout")
    allowed = {"pyproject.toml", "README.md", "minisub", "configs", "train.py", "tests", "runs"}
    allowed |= {"LICENSE", "CHANGELOG.md", "CITATION.cff"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith((".", "__"))}
    assert found - {"build", "dist", "minisub.egg-info"} <= allowed
