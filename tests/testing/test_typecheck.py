"""The checker of the tests' own types: what is wrong is told, in files that the hook has read."""

import importlib
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest
import typecheck

import nelbo

SOURCE = '''"""A module."""
import dataclasses
import equinox as eqx
from jaxtyping import Array, Float

def same(x: Float[Array, " n"], y: Float[Array, " n"]) -> Float[Array, " n"]:
    return x

def grown(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x.repeat(2)

class Module(eqx.Module):
    weight: Float[Array, " n"]

    def __call__(self, x: Float[Array, ""]) -> Float[Array, " m"]:
        return same(self.weight, self.weight)

    @property
    def size(self) -> int:
        return "many"

@dataclasses.dataclass(frozen=True)
class Row:
    name: str

class Own:
    def __init__(self, name: str) -> None:
        self.name = name

def outer(x):
    def inner(y: Float[Array, " n"]) -> Float[Array, " n"]:
        return y
    return inner(x)
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    package = tmp_path / "made_up_package"
    package.mkdir()
    (package / "__init__.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [typecheck.Hook("made_up_package"), *sys.meta_path])
    yield importlib.import_module("made_up_package")
    del sys.modules["made_up_package"]


def test_what_is_right_passes(module):
    ones = jnp.ones(3)
    assert module.same(ones, y=ones) is ones
    assert module.Module(ones)(jnp.ones(())).shape == (3,)
    assert (module.Row("a").name, module.Own("a").name) == ("a", "a")
    assert module.outer(ones) is ones
    # names of axes are those of one call: another one may have other sizes, also inside
    assert module.same(jnp.ones(2), jnp.ones(2)).shape == (2,)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda module: module.same(jnp.ones(2), jnp.ones(3)),
        lambda module: module.same(jnp.ones(2), [1.0, 1.0]),
        lambda module: module.grown(jnp.ones(2)),
        lambda module: module.Module(jnp.ones((2, 2))),
        lambda module: module.Module(jnp.ones(2))(jnp.ones(2)),
        lambda module: module.Module(jnp.ones(2)).size,
        lambda module: module.Row(1),
        lambda module: module.Own(1),
        lambda module: module.outer(jnp.ones((2, 2))),
    ],
)
def test_what_is_wrong_is_told(module, wrong):
    with pytest.raises(TypeError, match="violates type hint"):
        wrong(module)


def test_nelbo_is_checked():
    assert isinstance(nelbo.core.__spec__.loader, typecheck._Loader)
    assert Path(nelbo.core.__file__).name == "__init__.py"
    with pytest.raises(TypeError, match="violates type hint"):
        nelbo.core.compiled("no function")
