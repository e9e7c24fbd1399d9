"""The parts of a page in several processes; `python -m nelbo.cli.page_jobs` is one of them."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nelbo.cli.output import note
from nelbo.core import InputError, NotFiniteError
from nelbo.papers import PAPERS, Page, Part, chosen_parts, finished_part
from nelbo.runs import RECORD


def run_in_processes(page: Page, folder: Path, options: argparse.Namespace) -> None:
    """Run the parts that are missing, `options.jobs` at a time; the page itself is put together afterwards.

    Parts that share the trial of their learning rate stay in one process, one after the other.

    Raises:
        InputError: a process failed; what the others finished is kept.
    """
    parts = chosen_parts(page.plan(options.budget, options.seed, options.data_dir), folder, options.only, redraw=False)
    groups = grouped([part for part in parts if not (part.place(folder) / RECORD).exists()])
    order = {"page": page.key, "folder": str(folder), "budget": options.budget, "seed": options.seed}
    order |= {"data_dir": options.data_dir}

    def carry_out(number: int) -> int:
        names = groups[number]
        note(options, f"process {number + 1}/{len(groups)}: {', '.join(names)}")
        text = json.dumps(order | {"parts": names})
        # this very program, on settings that were checked
        return subprocess.run([sys.executable, "-m", "nelbo.cli.page_jobs", text], check=False).returncode  # noqa: S603

    with ThreadPoolExecutor(options.jobs) as pool:
        codes = list(pool.map(carry_out, range(len(groups))))
    failed = [", ".join(groups[i]) for i, code in enumerate(codes) if code]
    if failed:
        raise InputError(f"These parts failed, for the reasons above: {'; '.join(failed)}. The same command goes on.")


def grouped(parts: Sequence[Part]) -> list[list[str]]:
    """Names of parts, those together that one process must run."""
    found: dict[str, list[str]] = {}
    for part in parts:
        found.setdefault(part.name if part.trial is None else f"trial {part.trial.name}", []).append(part.name)
    return list(found.values())


def main(text: str) -> int:
    """Run the parts of an order, without a word but where one fails.

    Args:
        text: JSON: page, folder, budget, seed, data_dir, parts.

    Returns:
        The exit code.
    """
    order = json.loads(text)
    page, folder, rates = PAPERS[order["page"]], Path(order["folder"]), {}
    settings = {"seed": order["seed"], "data_dir": order["data_dir"]}
    for part in page.plan(order["budget"], order["seed"], order["data_dir"]).parts:
        if part.name in order["parts"]:
            try:
                finished_part(part, folder, rates, say=lambda _: None, **settings)
            except (InputError, NotFiniteError) as error:
                print(f"nelbo: {part.name}: {error}", file=sys.stderr)
                return 2 if isinstance(error, InputError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
