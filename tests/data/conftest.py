"""Data tests run without a network, without a cache of the user's, and with JAX at its strictest."""

import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import jax
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def strict_jax():
    with jax.debug_key_reuse(True), jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NELBO_CACHE", str(cache))
    monkeypatch.delenv("NELBO_DATA", raising=False)
    monkeypatch.delenv("NELBO_OFFLINE", raising=False)
    return cache


@pytest.fixture
def dead_network(monkeypatch):
    """A machine without a network: every connection and every pip fails; the calls are recorded."""
    calls = []

    def no_url(url, **_):
        calls.append(url)
        raise urllib.error.URLError("no route")

    def no_pip(command, **_):
        calls.append(command[-1])
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: No matching distribution\n")

    monkeypatch.setattr(urllib.request, "urlopen", no_url)
    monkeypatch.setattr(subprocess, "run", no_pip)
    return calls


@pytest.fixture(scope="session")
def shared_images():
    folder = SHARED / "images"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return folder
