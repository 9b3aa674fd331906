"""The functions that render a result, found by their names, so that no test of views can miss a new one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

from reconciler import formats, views


def find_renderers() -> set[Callable[..., Any]]:
    """Return every `render_…` of the modules of `views/`, except the HTML page, which is a package.

    One that returns a list of lines renders a part of a document, which is tested as a whole.
    """
    return {render for render in _find_functions(views, "render_") if render.__annotations__["return"] == "str"}


def find_encoders() -> set[Callable[..., Any]]:
    """Return every `encode_…` of `formats/` that makes the JSON of a result."""
    return {
        encode
        for encode in _find_functions(formats, "encode_")
        if not encode.__module__.endswith((".runner", ".where_part"))  # lines for GitHub's runner; a part of a result
    }


def _find_functions(package: ModuleType, prefix: str) -> set[Callable[..., Any]]:
    modules = [
        importlib.import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)
    ]
    return {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith(prefix) and function.__module__ == module.__name__
    }
