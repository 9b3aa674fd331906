"""What the layer check of pyproject.toml doesn't see: the standard library in the pure layers, names, and sizes."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "reconciler"
PURE = ("core", "text", "model", "errors.py")

# All that `core`, `text`, `model` and errors.py may import beside the package's own layers. None of these reads a
# clock, a file, a socket, a process or chance. A test holds the list down to what is used.
STANDARD = frozenset(
    {
        "__future__", "base64", "binascii", "collections", "collections.abc", "datetime",
        "difflib", "enum", "fnmatch", "functools", "hashlib", "html", "ipaddress", "itertools", "json", "msgspec",
        "msgspec.json", "msgspec.structs", "re", "typing", "unicodedata",
    }
)  # fmt: skip
THIRD_PARTY = {"core/changes.py": "deepdiff"}  # It compares values alone.

WORLDLY_BUILTINS = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
# These lead to the same functions, and no pure module needs them.
WAYS_AROUND = frozenset({"breakpoint", "compile", "globals", "__builtins__", "__loader__", "__spec__"})
CLOCKS = frozenset({"now", "utcnow", "today"})

LONGEST_FUNCTION = 50


def modules_of(*parts: str) -> Iterator[tuple[str, str]]:
    """Yield the path below the package and the text of each module of these folders and files."""
    for part in parts:
        for path in [PACKAGE / part] if part.endswith(".py") else sorted((PACKAGE / part).rglob("*.py")):
            yield path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")


@cache
def parse(text: str) -> ast.Module:
    return ast.parse(text)


# --- the pure layers -------------------------------------------------------------------------------


def find_impurities(text: str, allowed: frozenset[str] = STANDARD) -> list[str]:
    """Return what a pure module's text must not do. An import within a function counts too."""
    tree = parse(text)
    modules: dict[str, str] = {}  # By the name that the text gives it.
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name not in allowed:
                    found.append(f"import {alias.name}")
                modules[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            found += _find_imported(node, allowed)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in WORLDLY_BUILTINS | WAYS_AROUND:
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in WORLDLY_BUILTINS:
            found.append(f".{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            found.append(f".{node.func.attr}()")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module in allowed and _is_other_module(module, node.attr):
                found.append(f"{module}.{node.attr}")
    return found


def _find_imported(node: ast.ImportFrom, allowed: frozenset[str]) -> list[str]:
    module = "." * node.level + (node.module or "")
    if module.partition(".")[0] == "reconciler":
        return []  # The contract of import-linter says which of our own modules.
    if module not in allowed:
        return [f"from {module} import"]
    return [f"from {module} import {one.name}" for one in node.names if _is_other_module(module, one.name)]


def _is_other_module(module: str | None, name: str) -> bool:
    """Return whether a name of an allowed module is a module that isn't, such as `json.codecs`, which opens files."""
    assert module is not None
    if f"{module}.{name}" in STANDARD or module in THIRD_PARTY.values():
        return False
    return name == "*" or inspect.ismodule(getattr(importlib.import_module(module), name, None))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('data = open("/etc/hostname").read()', "open"),
        ("read = open", "open"),
        ('import builtins\nbuiltins.open("/etc/hostname")', ".open"),
        ("from builtins import open as read", "from builtins import"),
        ("print(1)", "print"),
        ("answer = input()", "input"),
        ('eval("1")', "eval"),
        ('exec("1")', "exec"),
        ('__import__("os")', "__import__"),
        ('__builtins__["open"]', "__builtins__"),
        ("import ssl", "import ssl"),
        ("import ssl as re", "import ssl"),
        ("import tempfile", "import tempfile"),
        ("import re, os.path", "import os.path"),
        ("from urllib import request", "from urllib import"),
        ("from pathlib import Path", "from pathlib import"),
        ('import importlib\nimportlib.import_module("os")', "import importlib"),
        ("def late():\n    import socket", "import socket"),
        ("def late():\n    from time import monotonic", "from time import"),
        ("if TYPE_CHECKING:\n    import pydantic", "import pydantic"),
        ("class Holder:\n    import random", "import random"),
        ("import deepdiff", "import deepdiff"),
        ("from . import world", "from . import"),
        ("from json import codecs", "from json import codecs"),
        ("from re import *", "from re import *"),
        ("import json\njson.codecs", "json.codecs"),
        ("import enum as e\ne.sys.stdout", "enum.sys"),
        ("at = datetime.now(UTC)", ".now()"),
        ("at = date.today()", ".today()"),
    ],
)
def test_what_reaches_the_world_is_found(text: str, found: str) -> None:
    """A check of imports alone would not notice `open()`, or a module that an allowed one offers."""
    assert found in find_impurities(text)


@pytest.mark.parametrize(
    "text",
    [
        "import re\nre.compile('a')",
        "import collections.abc\ncollections.abc.Mapping",
        "from collections import abc",
        "from reconciler.model import Plan",
        "def age(now): return now - given.now",
        '"""Call open() and print()."""',
    ],
)
def test_what_reaches_nothing_is_left_alone(text: str) -> None:
    assert find_impurities(text) == []


def test_the_pure_layers_reach_nothing_of_the_world() -> None:
    found = {
        path: impurities
        for path, text in modules_of(*PURE)
        if (impurities := find_impurities(text, STANDARD | {THIRD_PARTY.get(path, "re")}))
    }
    assert found == {}, "move it to run/, io/ or an adapter, and pass its result to the pure layer"


def test_nothing_is_allowed_that_the_pure_layers_do_not_use() -> None:
    """Otherwise the list would allow modules that no review has considered."""
    found = {one for _, text in modules_of(*PURE) for one in find_impurities(text, frozenset(THIRD_PARTY.values()))}
    unused = {one for one in STANDARD if not {f"import {one}", f"from {one} import"} & found}
    assert unused == set(), "remove it from STANDARD"


# --- names and sizes -------------------------------------------------------------------------------


def test_no_module_name_is_in_three_folders() -> None:
    """A file is found by its name alone."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, _ in modules_of("."):
        places[path.rpartition("/")[2]].append(path)
    del places["__init__.py"]
    repeated = {name: paths for name, paths in places.items() if len(paths) > 2}
    assert repeated == {}, "rename one of these modules"


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, text in modules_of("."):
        for node in ast.walk(parse(text)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)
    repeated = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert repeated == {}, "rename one of these classes"


def test_a_function_fits_a_screen() -> None:
    """Count from `def` to the last line, with the docstring and without decorators."""
    longer = {
        f"{path}: {node.name}"
        for path, text in modules_of(".")
        for node in ast.walk(parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert longer == set(), f"split it: {LONGEST_FUNCTION} lines are the limit"
