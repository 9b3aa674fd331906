"""Tests reach the product by what it offers: none names a private part of it, nor replaces one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
# documented parts of libraries, in spite of their names
OFFERED = {"os._exit", "_replace", "_asdict", "_fields"}
# What is left, each with its reason. A file that needs no entry any more fails the second test.
LEFT = {
    "unit/cli/test_render.py": "the views that each result has are looked at where they come together",
    "unit/manifests/test_resolve.py": "the way without a short cut is compared with the one that has it",
    "unit/sandbox/test_server.py": "the server's own start is made to fail",
}


def find_private(tree: ast.AST) -> Iterator[str]:
    """Attributes, imports and dotted names with an underscore before them, but for those of `self` and `cls`."""
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
    """What each file of the tests names, where it names anything."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("*.py"))}
    # a parse takes long: what is private follows a point, a quote or a blank
    looked_at = {path: text for path, text in texts.items() if re.search(r"[.'\" ]_[a-z]", text, re.IGNORECASE)}
    found = {path: list(find_private(ast.parse(text))) for path, text in looked_at.items()}
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
    """Our own parts, and what a library documents."""
    assert not list(find_private(ast.parse(line)))
