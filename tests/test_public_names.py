"""`import nelbo` costs nothing, and its names are those of the rooms."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import nelbo

SOURCE = Path(nelbo.__file__)


def test_import_brings_nothing_heavy():
    code = "import sys, nelbo; print(sorted({'jax', 'numpy', 'equinox', 'nelbo.core'} & set(sys.modules)))"
    environment = {"PYTHONPATH": str(SOURCE.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"


def test_a_command_without_pictures_does_not_load_what_draws():
    code = "import sys, nelbo.cli.fit; print('matplotlib' in sys.modules)"
    environment = {"PYTHONPATH": str(SOURCE.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", sorted(nelbo._ROOM_OF))
def test_a_public_name_is_its_rooms(name):
    room = importlib.import_module(f"nelbo.{nelbo._ROOM_OF[name]}")
    assert getattr(nelbo, name) is getattr(room, name)
    assert name in room.__all__
    assert name in nelbo.__all__
    assert name in dir(nelbo)


@pytest.mark.parametrize(("package", "homes"), [(nelbo, nelbo._ROOM_OF), (nelbo.report, nelbo.report._HOMES)])
def test_type_checkers_see_the_same_names(package, homes):
    seen = {
        alias.asname: node.module.removeprefix(f"{package.__name__}.")
        for node in ast.walk(ast.parse(Path(package.__file__).read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module != "nelbo._version"
        for alias in node.names
        if alias.asname
    }
    assert seen == homes
    assert set(homes) <= set(package.__all__)
    assert all(getattr(package, name) is not None for name in homes)


def test_rooms_and_unknown_names():
    assert nelbo.data.load is nelbo.load
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        getattr(nelbo, "fitt")  # noqa: B009
