"""Every citation is there, and every entry can be read by BibTeX."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import nelbo.bayes
import nelbo.objectives
from nelbo.objectives import MaximumLikelihood, Objective
from nelbo.papers import BIBLIOGRAPHY, PAPERS

SRC = Path(nelbo.objectives.__file__).parents[1]
ENTRY = re.compile(r"@(?P<kind>\w+)\{(?P<key>[\w-]+),\n(?P<body>.*)\n\}", re.DOTALL)
FIELD = re.compile(r"\s*(\w+)\s*=\s*(.+)", re.DOTALL)
NEEDED = {"article": {"journal"}, "inproceedings": {"booktitle"}, "phdthesis": {"school"}, "misc": set(),
          "techreport": {"institution"}, "book": {"publisher"}, "incollection": {"booktitle"}}  # fmt: skip


def fields(body):
    """Split at commas outside of braces."""
    depth, start, parts = 0, 0, []
    for place, letter in enumerate(body):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0, "a brace closes that was not opened"
        if letter == "," and depth == 0:
            parts.append(body[start:place])
            start = place + 1
    assert depth == 0, "a brace stays open"
    pairs = [FIELD.fullmatch(part.strip()) for part in [*parts, body[start:]] if part.strip()]
    assert all(pairs)
    return {pair[1]: pair[2].strip() for pair in pairs}


@pytest.mark.parametrize("key", sorted(BIBLIOGRAPHY))
def test_an_entry_is_bibtex(key):
    found = ENTRY.fullmatch(BIBLIOGRAPHY[key].strip())
    assert found, "expected @kind{key,\\n fields \\n}"
    assert found["key"] == key
    entry = fields(found["body"])
    assert {"title", "author", "year"} | NEEDED[found["kind"]] <= set(entry)
    assert all(value.startswith("{") and value.endswith("}") for value in entry.values())
    assert re.fullmatch(r"\{(1[89]|20)\d\d\}", entry["year"])


def test_a_damaged_entry_would_be_seen():
    with pytest.raises(AssertionError, match="stays open"):
        fields("title = {A {B}, author = {C}")


def objectives(cls=Objective):
    """Every class below Objective, and in whatever module it is."""
    for child in cls.__subclasses__():
        yield child
        yield from objectives(child)


def test_every_objective_cites_known_papers():
    found = list(objectives())
    assert len(found) >= 4
    for cls in found:
        if cls.__module__.startswith("nelbo.") and not inspect.isabstract(cls):
            # maximum likelihood is no paper's
            assert bool(cls.references) == (cls is not MaximumLikelihood), cls
            assert set(cls.references) <= set(BIBLIOGRAPHY), cls


def test_every_references_line_in_the_source_is_known():
    """Also of classes that are no objectives, and of modules that nothing imports."""
    cited = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "references":
                cited |= set(ast.literal_eval(node.value)) if node.value is not None else set()
    assert "kingma2014" in cited
    assert cited <= set(BIBLIOGRAPHY)


def test_every_page_is_of_a_known_paper():
    assert {source for page in PAPERS.values() for source in page.sources or (page.key,)} <= set(BIBLIOGRAPHY)
    assert all(page.key == key for key, page in PAPERS.items())
