"""Versions, hardware and commit, for records."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from nelbo._version import __version__


def environment() -> dict[str, Any]:
    """Versions, hardware and commit, for records."""
    import jax

    packages = ("jax", "jaxlib", "equinox", "optax", "numpyro", "numpy")
    devices = jax.devices()
    return {
        "versions": {"nelbo": __version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in packages},
        "hardware": {"machine": platform.machine(), "system": platform.system(), "device": devices[0].device_kind,
                     "devices": len(devices), "cores": len(_cores())},
        "commit": _commit(),
    }  # fmt: skip


def _cores() -> set[int]:
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # not on macOS
        return set(range(os.cpu_count() or 1))


def _commit() -> str | None:
    """The commit of nelbo's own checkout, if it runs from one."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
