"""One small finished run, and a way to run commands."""

from pathlib import Path

import pytest
from shell import TINY

from nelbo.cli import main


class Outcome:
    """What a command gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def is_refusal(self, *words: str, code: int = 2) -> bool:
        """One sentence on standard error that holds the words, nothing on standard output."""
        lines = self.err.strip().splitlines()
        return self.code == code and not self.out and len(lines) == 1 and all(word in lines[0] for word in words)


@pytest.fixture
def nelbo(capsys):
    """Run a command in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A run that must not be changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert main(["fit", *TINY, "--epochs", "2", "--out", str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of that run."""
    import shutil

    return Path(shutil.copytree(finished, tmp_path / "run"))
