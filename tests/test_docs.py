"""What the documentation says runs: Python blocks are executed, shell blocks are read by the real parser."""

import contextlib
import re
import shlex
from pathlib import Path

import jax
import pytest

from nelbo.cli import main
from nelbo.cli.commands import COMMANDS
from nelbo.cli.parser import parse
from nelbo.models import MODELS
from nelbo.papers import BIBLIOGRAPHY, PAPERS
from nelbo.runs import OBJECTIVES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")


def blocks(page, language):
    """Those that stand on the page; what it includes from a file, in a block `{ .python }`, has tests of its own."""
    return [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


def name_of(page):
    return str(page.relative_to(ROOT))


def shell_commands():
    """Every line of a ```sh block that calls nelbo, also behind a prompt."""
    for page in PAGES:
        for text in blocks(page, "sh"):
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                if words[:1] == ["nelbo"]:
                    yield pytest.param(words[1:], id=f"{page.name}: {line[:60]}")


COMMAND_LINES = list(shell_commands())


# the pages that a newcomer reads; what the others run is long, and each has tests of its parts
FIRST = {"README.md", "guide.md"}
RUN = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=() if name_of(p) in FIRST else pytest.mark.slow) for p in RUN], ids=name_of
)
def test_python_on_the_page_runs(page, tmp_path):
    code = "\n".join(blocks(page, "python"))
    # optax's Adam mixes types, which the strict setting of the tests refuses; users have the standard one
    with contextlib.chdir(tmp_path), jax.numpy_dtype_promotion("standard"):
        exec(compile(code, str(page), "exec"), {"__name__": "page"})


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_a_command_on_the_page_is_understood(words):
    if words in (["--help"], ["--version"]):
        return
    options = parse(words)
    given = {name: value for name, value in vars(options).items() if value is not None}
    names = {"model": MODELS, "objective": OBJECTIVES, "paper": PAPERS if options.command == "reproduce" else BIBLIOGRAPHY}  # fmt: skip  # noqa: E501
    unknown = {name: given[name] for name in names.keys() & given if given[name] not in names[name]}
    # one page shows what a misspelled name gives
    assert unknown == ({"model": "vea"} if "vea" in words else {})
    if options.command == "fit" and not options.resume:
        assert "model" in given


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_includes_is_there(page):
    for name, section in re.findall(r'^--8<-- "([^":]+):?(\w*)"$', page.read_text(encoding="utf-8"), re.MULTILINE):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not section or f"[start:{section}]" in text


def test_the_parser_refuses_what_is_wrong(capsys):
    with pytest.raises(SystemExit):
        parse(["fit", "vae", "--latent-size", "3"])
    assert "--latent-size" in capsys.readouterr().err


def test_the_refusal_on_the_page_is_the_one_that_comes(capsys):
    page = (ROOT / "docs" / "commands.md").read_text()
    assert main(["fit", "vea", "--data", "digits"]) == 2
    assert capsys.readouterr().err in page


def test_every_command_has_an_example():
    assert {words.values[0][0] for words in COMMAND_LINES} >= set(COMMANDS)
    page = (ROOT / "docs" / "commands.md").read_text()
    headings = re.findall(r"^## ([a-z, ]+)$", page, re.MULTILINE)
    assert {name for heading in headings for name in heading.split(", ")} == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_are_there(page):
    for target in LINK.findall(re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))):
        if not target.startswith(("https://", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target


def test_every_room_is_on_the_plan():
    rooms = {path.name for path in (ROOT / "src" / "nelbo").iterdir() if (path / "__init__.py").is_file()}
    described = set(re.findall(r"^\| \d+ \| `(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE))
    assert described == rooms


def test_pictures_of_the_documentation_are_small():
    assert sum(path.stat().st_size for path in (ROOT / "docs").rglob("*.png")) < 2**20
