"""Types are checked while the tests run: beartype on the functions and dataclasses of nelbo, by an import hook.

Jaxtyping has such a hook too. It binds every call to a signature in Python and decorates functions inside functions
again at every call of the outer one: more than half of the time of many tests. Here a call costs microseconds, and of
an inner function only the first that is made is checked.
"""

import ast
import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType
from typing import Any

from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

SETTINGS = BeartypeConf(violation_type=TypeError)  # what jaxtyping raises is one too
SCOPE = jaxtyped("context")  # in which an axis of a name has one size
SEEN: set[tuple[str, int]] = set()  # files and lines of inner functions


def checked(given: Any) -> Any:
    """A function whose arguments and result are of their types, and names of axes of one size; a class likewise."""
    if inspect.isclass(given):
        if dataclasses.is_dataclass(given) and not hasattr(given.__init__, "__wrapped__"):
            given.__init__ = _checked(given.__init__)
        return given
    if "<locals>" in given.__qualname__:
        place = (given.__code__.co_filename, given.__code__.co_firstlineno)
        if place in SEEN:
            return given
        SEEN.add(place)
    return _checked(given)


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    strict = beartype(function, conf=SETTINGS)
    if strict is function:  # without annotations
        return function

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with SCOPE:
            return strict(*args, **kwargs)

    return inside


class _Decorated(ast.NodeTransformer):
    """`@typecheck.checked` nearest to each function, and farthest from each class, to come after its dataclass."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list.append(self._decorator(node))
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list.insert(0, self._decorator(node))
        return self.generic_visit(node)

    @staticmethod
    def _decorator(node: ast.AST) -> ast.expr:
        return ast.copy_location(ast.parse(f"{__name__}.checked", mode="eval").body, node)


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = _Decorated().visit(ast.parse(self.get_data(path), path))
        has_text = tree.body and isinstance(tree.body[0], ast.Expr)
        tree.body.insert(int(bool(has_text)), ast.Import([ast.alias(__name__)]))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class Hook(MetaPathFinder):
    """Checks the modules of one package that are imported from now on."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install(package: str) -> None:
    """Check a package that nothing has imported yet."""
    assert package not in sys.modules
    sys.meta_path.insert(0, Hook(package))
