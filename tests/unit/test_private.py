"""Tests use the public parts of the product: they don't name or replace a private one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
# Documented parts of libraries, despite their names.
OFFERED = {"os._exit", "_replace", "_asdict", "_fields"}
# The exceptions, each with its reason. A file that needs none any more fails the second test.
LEFT = {
    "unit/cli/test_render.py": "the views of each result are compared where they come together",
    "unit/manifests/test_resolve.py": "the fast path is compared with the full one",
    "unit/sandbox/test_server.py": "the server's own start is made to fail",
}


def find_private(tree: ast.AST) -> Iterator[str]:
    """Yield attributes, imports and dotted names that begin with an underscore, except those of `self` and `cls`."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute() if is_private(node.attr) and OFFERED.isdisjoint({node.attr, ast.unparse(node)}):
                yield f"line {node.lineno}: {ast.unparse(node)}"
            case ast.ImportFrom() if (node.module or "").startswith("reconciler"):
                for part in [*(node.module or "").split("."), *(alias.name for alias in node.names)]:
                    if is_private(part):
                        yield f"line {node.lineno}: {ast.unparse(node)}"
            case (
                ast.Call(func=ast.Name(id="getattr" | "setattr" | "delattr"))
                | ast.Call(func=ast.Attribute(attr="setattr" | "delattr"))
            ):
                texts = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
                if any(is_private(part) for text in texts for part in str(text).split(".")):
                    yield f"line {node.lineno}: {ast.unparse(node)}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def find_all() -> dict[str, list[str]]:
    """Return the private names in each file of the tests that has any."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("*.py"))}
    # To parse a file takes long. A private name follows a point, a quote or a blank.
    candidates = {path: text for path, text in texts.items() if re.search(r"[.'\" ]_[a-z]", text, re.IGNORECASE)}
    found = {path: list(find_private(ast.parse(text))) for path, text in candidates.items()}
    return {str(path.relative_to(TESTS)): lines for path, lines in found.items() if lines}


def test_no_test_names_a_private_part() -> None:
    """A part that others depend on can't be changed by its owner: give it a public seam, or inject a real fault."""
    assert {name: found for name, found in find_all().items() if name not in LEFT} == {}


def test_what_is_left_is_still_there() -> None:
    """The list only gets shorter."""
    assert sorted(LEFT.keys() - find_all().keys()) == []


@pytest.mark.parametrize(
    "line",
    [
        "store._git.run()",
        "monkeypatch.setattr(store, '_git', None)",
        "patch.setattr('reconciler.state.git._run', None)",
        "from reconciler.cli.demo import _Story",
        "getattr(store, '_git')",
        "a.b()._c = 1",
    ],
)
def test_a_private_part_is_found(line: str) -> None:
    """A check that can't fail proves nothing."""
    assert list(find_private(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ["self._a = cls._b", "os._exit(0)", "x._replace(a=1)", "x.__dict__", "from a import _b"]
)
def test_what_is_offered_is_not(line: str) -> None:
    """These are a class's own parts, or documented by a library."""
    assert not list(find_private(ast.parse(line)))
