"""The functions that render a result, found by their names, so that no test of views can miss a new one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

from reconciler import formats, views


def find_renderers(*kinds: str) -> set[Callable[..., Any]]:
    """Return every `render_…` of the modules of `views/` whose names begin with one of `kinds`, such as `text`.

    One that returns a list of lines renders a part of a document, which is tested as a whole.
    """
    found = _find_functions(views, kinds, "render_")
    return {render for render in found if render.__annotations__["return"] == "str"}


def find_encoders() -> set[Callable[..., Any]]:
    """Return every `encode_…` of `formats/` that makes the JSON of a result."""
    return {
        encode
        for encode in _find_functions(formats, ("",), "encode_")
        if not encode.__module__.endswith((".runner", ".where_part"))  # lines for GitHub's runner; a part of a result
    }


def _find_functions(package: ModuleType, kinds: tuple[str, ...], prefix: str) -> set[Callable[..., Any]]:
    names = [one.name for one in pkgutil.iter_modules(package.__path__) if one.name.startswith(kinds)]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith(prefix) and function.__module__ == module.__name__
    }
