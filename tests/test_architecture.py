"""The house holds: imports point down, files and functions stay small, everything public is documented."""

import ast
import functools
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "nelbo"
RANKS = (
    ("core",),
    ("data", "distributions", "nets", "samplers"),
    ("priors",),
    ("models",),
    ("objectives",),
    ("bayes", "training"),
    ("evaluation",),
    ("tasks", "codecs"),
    ("runs",),
    ("papers", "estimators", "report", "testing"),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
# classes that a room may be asked about by name: contracts and errors, no families
CONTRACTS = {"BinaryUnits", "Example", "InputError", "Loss", "Marginalizable", "Network", "Registry"}
MAX_PARAMETERS = 8
FILES = sorted(SRC.glob("*/**/*.py"))
MAX_LINES, MAX_FUNCTION_LINES = 400, 60


@functools.cache
def tree_of(path):
    """The source of a file, parsed once for all tests."""
    return ast.parse(path.read_text())


def relative(path: Path) -> str:
    return str(path.relative_to(SRC))


def imported(path: Path) -> set[str]:
    """Every module of nelbo that a file imports, lazily or not."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nelbo":
            found.add(node.module)
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.split(".")[0] == "nelbo"}
    return found


def test_every_room_has_a_rank():
    rooms = {path.name for path in SRC.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= set(RANK)
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_point_down_and_go_through_the_door(path):
    room = path.relative_to(SRC).parts[0]
    for module in imported(path):
        parts = module.split(".")
        if len(parts) == 1 or parts[1] in {"_lazy", "_version", room}:
            continue
        assert RANK[parts[1]] < RANK[room], f"{room} must not import {module}"
        assert len(parts) == 2, f"{room} must import {parts[1]} through its __init__, not {module}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= MAX_LINES or "longer than" in text[:1500], f"{lines} lines"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            length = (node.end_lineno or 0) - node.lineno + 1 - (docstring.count("\n") + 1 if docstring else 0)
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("room", sorted({path.relative_to(SRC).parts[0] for path in FILES}))
def test_every_public_name_is_documented(room):
    import importlib
    import inspect

    pytest.importorskip("jax")  # the other tests of this file read sources alone
    module = importlib.import_module(f"nelbo.{room}")
    assert module.__doc__
    for name in getattr(module, "__all__", []):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"nelbo.{room}.{name} has no docstring"


def origins(tree: ast.Module) -> dict[str, str]:
    """From each name that a file imports of nelbo to the room it comes from."""
    return {
        alias.asname or alias.name: node.module.split(".")[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nelbo.")
        for alias in node.names
    }


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_nothing_is_probed(path):
    """No attribute is asked for that may not be there, and no signature is rewritten."""
    tree = tree_of(path)
    probes = [ast.unparse(call) for call in calls(tree, "hasattr")]
    probes += [ast.unparse(call) for call in calls(tree, "getattr") if len(call.args) == 3]
    allowed = {"hasattr(jax, 'enable_x64')", "hasattr(os, 'sched_getaffinity')"}  # other people's versions
    assert set(probes) <= allowed
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "__signature__" not in path.read_text()
    assert "signature" not in read or path.relative_to(SRC).parts[0] == "core"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_function_tells_another_rooms_families_apart(path):
    """One question about a class of another room is a check; two in one function are a ladder."""
    tree = tree_of(path)
    room, origin = path.relative_to(SRC).parts[0], origins(tree)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        asked = {
            name.id
            for call in calls(function, "isinstance")
            for name in ast.walk(call.args[1])
            if isinstance(name, ast.Name) and origin.get(name.id, room) != room
        }
        assert len(asked - CONTRACTS) <= 1, f"{function.name} asks for {sorted(asked)}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_functions_take_few_parameters_or_say_why(path):
    """Beyond eight, the docstring says why, or every one is an option that it documents."""
    for function in ast.walk(tree_of(path)):
        if not isinstance(function, ast.FunctionDef):
            continue
        every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        names = [argument.arg for argument in every if argument.arg not in {"self", "cls"}]
        if len(names) > MAX_PARAMETERS:
            docstring = ast.get_docstring(function) or ""
            documented = all(f"{name}:" in docstring for name in names)
            assert documented or "parameters" in docstring, f"{function.name} takes {len(names)} parameters"
