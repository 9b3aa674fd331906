"""The sources of settings: flags, variables and the file, each with the places of its settings.

pydantic-settings reads and merges them, but can't say where a value came from. So each source is kept as a `Layer`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic_settings import EnvSettingsSource

from reconciler.io.files import TooLargeError, read_regular
from reconciler.model import Fault, Problem, SettingPlace
from reconciler.settings.fields import FLAGS, Settings
from reconciler.settings.flags import name_variable
from reconciler.settings.values import parse_group

FILE = "reconciler.toml"
PYPROJECT = "pyproject.toml"
PATHS = ("manifests", "tokens_file", "secrets_file")
GROUPS = frozenset(path.partition(".")[0] for path in FLAGS if "." in path)
VARIABLES = {flag.variable for flag in FLAGS.values()} | set(map(name_variable, GROUPS))


class Layer(Struct, frozen=True):
    """The settings from one source, and the place of each."""

    values: dict[str, Any]
    place_of: Callable[[str], SettingPlace]

    def holds(self, path: str) -> bool:
        group, _, key = path.rpartition(".")
        table = self.values.get(group) if group else self.values
        return isinstance(table, dict) and key in table

    def without(self, paths: Iterable[str]) -> Layer:
        values = {key: dict(value) if isinstance(value, dict) else value for key, value in self.values.items()}
        for path in filter(self.holds, paths):
            group, _, key = path.rpartition(".")
            (values.get(group, {}) if group else values).pop(key, None)
        return replace(self, values=values)


# --- flags and variables


def read_flags(flags: Mapping[str, object]) -> Layer:
    """Return the layer of the flags. The flag of one setting is stronger than its group's (`--policy`)."""
    values: dict[str, Any] = {}
    for path, value in sorted(flags.items()):
        group, _, key = path.rpartition(".")
        if path in GROUPS and isinstance(value, str):
            values[path] = parse_group(value)
        elif not group:
            values[path] = value
        elif isinstance(values.setdefault(group, {}), dict):
            values[group][key] = value

    def place_of(path: str) -> SettingPlace:
        group, dot, key = path.partition(".")
        flag = FLAGS.get(path if path in flags else group)
        within = "" if path in flags else dot + key
        return SettingPlace("", flag.name + within if flag else path)

    return Layer(values, place_of)


class _Variables(EnvSettingsSource):
    """The RECONCILER_ variables of the environment that the caller gives, in upper case only."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(Settings, case_sensitive=False)
        self.env_vars = {name.lower(): value for name, value in environ.items() if name in VARIABLES}

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        """Parse a group's variable as a JSON object. A list is left to `parse_hosts`, which accepts more than JSON."""
        return parse_group(value) if field_name in GROUPS else value


def read_variables(environ: Mapping[str, str]) -> Layer:
    """Return the layer of the variables. An empty one counts as not set, as GitHub Actions passes unset ones empty."""
    environ = {name: value for name, value in environ.items() if value}

    def place_of(path: str) -> SettingPlace:
        name = name_variable(path)
        group, dot, key = path.partition(".")
        return SettingPlace("", name if name in environ else name_variable(group) + dot + key)

    return Layer(_Variables(environ)(), place_of)


# --- the file


MAX_BYTES = 1024 * 1024
# A key of a hundred parts is refused, because the parser takes quadratic time for it. Quoted texts are removed first,
# because a long list of versions in a text is not a key. Quantifiers are possessive, so that no match backtracks.
_QUOTED = re.compile(r""" "(?:[^"\\\n]|\\.)*+"? | '[^'\n]*+'? """, re.VERBOSE)
_LONG_KEY = re.compile(r"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){100}", re.ASCII)


class _Unreadable(ValueError):
    """Raised with the fault because of which a file is not parsed."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def _parse_toml(path: Path, header: tuple[str, ...]) -> object:
    """Return what the key `header` of a TOML file has; None if the file has no such key. Raises ValueError, OSError."""
    try:
        data = read_regular(path, MAX_BYTES)
    except TooLargeError:
        raise _Unreadable(Fault("is larger than 1 MiB", "settings are a few lines")) from None
    text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    if _LONG_KEY.search(_QUOTED.sub("k", text)):
        raise _Unreadable(Fault("has a key of too many parts", "no setting is nested deeper than twice"))
    table: object = tomllib.loads(text)
    for key in header:
        table = table.get(key) if isinstance(table, dict) else None
    return table


class SettingsFile(Struct, frozen=True):
    """The settings of a file, or None without one, and the folder that its relative paths begin in."""

    layer: Layer | None
    folder: Path


def find_file(folder: Path, top: Path | None, problems: list[Problem]) -> SettingsFile:
    """Read the nearest file with settings: in `folder`, then above it up to `top`; without `top`, in `folder` alone.

    A file that can't be read is added to `problems`, and ends the search.
    """
    inner = Path(os.path.realpath(folder))
    above = [] if top is None or top == inner else [one for one in inner.parents if one == top or top in one.parents]
    faults = len(problems)
    for candidate in (folder, *above):
        prefix = "" if candidate is folder else os.path.relpath(candidate, inner)
        layers = _read_files(candidate, prefix, problems)
        if layers or len(problems) > faults:
            return SettingsFile(layers[0] if layers else None, candidate)
    return SettingsFile(None, folder)


def _read_files(folder: Path, prefix: str, problems: list[Problem]) -> list[Layer]:
    """Return the layer of reconciler.toml, or of [tool.reconciler] in pyproject.toml: at most one.

    `prefix` is the path from the working directory to the folder. Paths in problems and settings begin with it.
    """
    layers: list[Layer] = []
    for name, header in ((FILE, ()), (PYPROJECT, ("tool", "reconciler"))):
        shown = os.path.join(prefix, name)  # noqa: PTH118 - a text to be shown
        table = _read_toml(folder / name, shown, header, problems)
        if table is None:
            continue
        values = table if isinstance(table, dict) else {}
        layer = Layer(_with_prefix(values, prefix), _toml_places(shown, header))
        if layers:
            fault = Fault(f"settings are here and in {FILE} too", "keep one of them")
            problems.append(layer.place_of("").problem(fault))
        elif not isinstance(table, dict):
            problems.append(layer.place_of("").problem(Fault("is not a table", "write [tool.reconciler]")))
        layers.append(layer)
    return layers[:1]


def _with_prefix(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the settings with paths that are relative to the working directory.

    The default folder of manifests is beside the file too. `state` is not changed, because it may not be a path: its
    store is opened from the file's folder.
    """
    if not prefix:
        return values
    values = {"manifests": Settings.model_fields["manifests"].default, **values}

    def move(value: object) -> object:
        if not isinstance(value, str) or not value.strip() or value.startswith("~"):
            return value
        return os.path.join(prefix, value)  # noqa: PTH118 - a text, which may be the whole path already

    return {key: move(value) if key in PATHS else value for key, value in values.items()}


def _toml_places(file: str, header: tuple[str, ...]) -> Callable[[str], SettingPlace]:
    return lambda path: SettingPlace(file, ".".join((*header, path) if path else header))


def _read_toml(path: Path, shown: str, header: tuple[str, ...], problems: list[Problem]) -> object:
    """Return what `_parse_toml` returns; None too for a file that can't be read, which is added to `problems`."""
    try:
        return _parse_toml(path, header)
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        fault = Fault("can't be read: it is a link to nowhere", "remove the link, or point it to a file")
    except tomllib.TOMLDecodeError as error:
        problems.append(_find_syntax_problem(shown, str(error)))
        return None
    except UnicodeDecodeError:
        fault = Fault("can't be read: it is not UTF-8", "store it as UTF-8")
    except _Unreadable as error:
        fault = error.fault
    except ValueError:  # a number with more digits than Python reads
        fault = Fault("is not valid TOML: it has a number that can't be read", "no setting takes so long a number")
    except RecursionError:
        fault = Fault("can't be read: it is nested too deeply")
    except OSError as error:
        fault = Fault(f"can't be read: {error.strerror or type(error).__name__}", "make it a readable file")
    problems.append(SettingPlace(shown, "").problem(fault))
    return None


def _find_syntax_problem(file: str, error: str) -> Problem:
    """Return the problem with the parser's line and column. Its message may quote a character, never a value."""
    what, _, where = error.partition(" (at ")
    found = re.search(r"line (\d+), column (\d+)", where)
    line, column = (int(found[1]), int(found[2])) if found else (0, 0)
    return Problem(
        file, line, column, "", f"is not valid TOML: {what}", "texts are written in quotes, tables as [name]"
    )
