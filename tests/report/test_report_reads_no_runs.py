"""The room draws: what a run folder holds comes to it from `nelbo.runs`."""

import ast
from pathlib import Path

import pytest

import nelbo.report

FILES = sorted(Path(nelbo.report.__file__).parent.glob("*.py"))
READS = {"open", "read_text", "read_bytes", "read_json", "read_arrays", "load", "loads"}


def names(path):
    """Every name that a file uses or imports."""
    tree = ast.parse(path.read_text())
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return found | {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_file_is_read_and_nothing_is_probed(path):
    used = names(path)
    assert not used & READS
    assert not used & {"getattr", "hasattr"}
    assert path.stem == "folders" or "read_run_record" not in used
