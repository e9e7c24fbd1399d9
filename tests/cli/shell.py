"""`nelbo` as a person runs it: a process of its own, or a call in this one."""

import os
import subprocess
import sys
from pathlib import Path

import nelbo

SOURCES = str(Path(nelbo.__file__).parents[1])
# every warning is shown, but for those that pyproject.toml ignores in the tests
IGNORED = (
    "jax.interpreters.batching.NotMapped is deprecated.:DeprecationWarning",
    "Error reading persistent compilation cache entry:UserWarning",
)
WARNINGS = ",".join(["default", *(f"ignore:{warning}" for warning in IGNORED)])
# small enough to train in seconds, with enough evaluations for many checkpoints
TINY = ("vae", "--data", "digits", "--hidden", "8", "--latents", "2")


def start(*arguments: object, cwd: Path | None = None, encoding: str = "utf-8") -> subprocess.Popen:
    """Begin a command in a process of its own, whose console has an encoding."""
    path = os.pathsep.join(filter(None, [SOURCES, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": WARNINGS, "PYTHONIOENCODING": encoding}
    return subprocess.Popen(
        [sys.executable, "-m", "nelbo", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment,
    )


def finish(process: subprocess.Popen, timeout: float = 300.0) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
