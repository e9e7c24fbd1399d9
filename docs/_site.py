"""What the site has beside the pages of `docs`; run by mkdocs.

That is the README as its first page, a page of the API for each room, and the list of the paper pages.
"""

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# a link out of `docs`, to a file of the repository
OUTSIDE = re.compile(r"\]\((?:\.\./)+((?:benchmarks|examples)/[^)#]+)\)")
# what stands beside the README, by the name it has within the site
BESIDE = {"CHANGELOG.md": "CHANGELOG.md", "LICENSE": "LICENSE.txt", "CITATION.cff": "CITATION.cff"}
IN_DOCS = re.compile(r"\]\(docs/([^)]+)\)")


def _rooms() -> dict[str, str]:
    """The first line of what each room says of itself."""
    rooms = {}
    for path in sorted((ROOT / "src" / "nelbo").glob("*/__init__.py")):
        first = path.read_text(encoding="utf-8").lstrip().removeprefix('"""').split("\n")[0]
        rooms[path.parent.name] = first.split('"""')[0]
    return rooms


def _lazy_names(room: str) -> list[str]:
    """The public names of a room that imports them when they are used: where type checkers find them."""
    tree = ast.parse((ROOT / "src" / "nelbo" / room / "__init__.py").read_text(encoding="utf-8"))
    guards = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for guard in guards for node in guard.body if isinstance(node, ast.ImportFrom)]
    return sorted(alias.asname for node in imports for alias in node.names if alias.asname)


def _api_page(room: str) -> str:
    names = "".join(f"\n        - {name}" for name in _lazy_names(room))
    members = f"    options:\n      members:{names}\n" if names else ""
    return f"# nelbo.{room}\n\n::: nelbo.{room}\n{members}"


def _titles(folder: Path) -> str:
    lines = []
    for path in sorted(folder.glob("*.md")):
        title = path.read_text(encoding="utf-8").split("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of papers and of rooms in the navigation."""
    folders = {
        "Papers": ["papers/index.md", *(f"papers/{path.name}" for path in sorted((ROOT / "docs/papers").glob("*.md")))],
        "Reference": ["reference/index.md", *(f"reference/{room}.md" for room in _rooms())],
    }
    config.nav = [*(config.nav or []), *({title: pages} for title, pages in folders.items())]
    return config


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the pages that are made here."""
    readme = IN_DOCS.sub(r"](\1)", (ROOT / "README.md").read_text(encoding="utf-8"))
    for name, there in BESIDE.items():
        readme = readme.replace(f"]({name})", f"]({there})")
        text = IN_DOCS.sub(r"](\1)", (ROOT / name).read_text(encoding="utf-8"))
        files.append(File.generated(config, there, content=text))
    rooms = _rooms()
    index = "\n".join(f"- [`nelbo.{room}`]({room}.md): {text}" for room, text in rooms.items())
    made = {
        "index.md": readme,
        "reference/index.md": f"# Reference\n\n{index}\n",
        "papers/index.md": f"# Papers\n\n{_titles(ROOT / 'docs' / 'papers')}\n",
        **{f"reference/{room}.md": _api_page(room) for room in rooms},
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        files.append(File.generated(config, f"benchmarks/results/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Point links to measurements at their copies within the site."""
    up = "../" * page.file.src_uri.count("/")
    return OUTSIDE.sub(rf"]({up}\1)", markdown)
