"""Where settings come from: flags, variables and the file, each with the places of its settings.

pydantic-settings reads and merges them. What it can't say is where a value came from, so each source is kept as a
`Layer` that can.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from reconciler.io.files import TooLargeError, read_regular
from reconciler.model import Problem
from reconciler.settings.schema import FLAGS, PREFIX, Settings
from reconciler.settings.values import parse_group

FILE = "reconciler.toml"
PYPROJECT = "pyproject.toml"
GROUPS = frozenset(path.partition(".")[0] for path in FLAGS if "." in path)
VARIABLES = {flag.variable for flag in FLAGS.values()} | {PREFIX + group.upper() for group in GROUPS}


@dataclass(frozen=True)
class Layer:
    """What one source gives, and the place of each of its settings as a Problem still without words."""

    values: dict[str, Any]
    place_of: Callable[[str], Problem]

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
    """A group's flag (`--policy`) gives way to the flags of its settings."""
    values: dict[str, Any] = {}
    for path, value in sorted(flags.items()):
        group, _, key = path.rpartition(".")
        if path in GROUPS and isinstance(value, str):
            values[path] = parse_group(value)
        elif not group:
            values[path] = value
        elif isinstance(values.setdefault(group, {}), dict):
            values[group][key] = value

    def place_of(path: str) -> Problem:
        group, dot, key = path.partition(".")
        flag = FLAGS.get(path if path in flags else group)
        within = "" if path in flags else dot + key
        return Problem.of(flag.name + within if flag else path, "")

    return Layer(values, place_of)


class _Variables(EnvSettingsSource):
    """The RECONCILER_ variables of the environment that the caller gives, in upper case only."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings, case_sensitive=False)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if name in VARIABLES}

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        """A group's variable is a JSON object; a list is left to `parse_hosts`, which takes more than JSON."""
        return parse_group(value) if field_name in GROUPS else value


def read_variables(environ: Mapping[str, str]) -> Layer:
    def place_of(path: str) -> Problem:
        name = PREFIX + path.replace(".", "__").upper()
        group, dot, key = path.partition(".")
        return Problem.of(name if name in environ else PREFIX + group.upper() + dot + key, "")

    return Layer(_Variables(environ)(), place_of)


# --- the file


MAX_BYTES = 1024 * 1024
MAX_PARTS = 100  # of a dotted key: the parser's time grows with the square of them
# closed or not: to go back over one that isn't would take hours
_QUOTED = re.compile(r""" "(?:[^"\\]|\\.)*"? | '[^']*'? """, re.VERBOSE)
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class _Unreadable(ValueError):
    """Why a file is not read at all, and what would be right."""


def _has_long_key(line: str) -> bool:
    """Whether words are strung together by dots as in no setting; a long list of versions in texts is no key."""
    if line.count(".") <= MAX_PARTS:
        return False
    parts = 0
    for part in _QUOTED.sub("k", line).split("."):
        parts = parts + 1 if _BARE.fullmatch(part.strip()) else 0
        if parts > MAX_PARTS:
            return True
    return False


class _TomlFile(TomlConfigSettingsSource):
    """The table `header` of a TOML file; `table` is None where the file has none."""

    def __init__(self, path: Path, header: tuple[str, ...]) -> None:
        try:
            data = read_regular(path, MAX_BYTES)
        except TooLargeError:
            raise _Unreadable("is larger than 1 MiB", "settings are a few lines") from None
        self.text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        if any(map(_has_long_key, self.text.split("\n"))):
            raise _Unreadable("has a key of too many parts", "no setting is nested deeper than twice")
        self.table: object = None
        self._header = header
        super().__init__(Settings, toml_file=path, toml_table_header=())

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        table: object = tomllib.loads(self.text)
        for key in self._header:
            table = table.get(key) if isinstance(table, dict) else None
        self.table = table
        return table if isinstance(table, dict) else {}


def read_files(folder: Path, problems: list[Problem]) -> list[Layer]:
    """reconciler.toml, or [tool.reconciler] of pyproject.toml: one layer at the most."""
    layers: list[Layer] = []
    for name, header in ((FILE, ()), (PYPROJECT, ("tool", "reconciler"))):
        source = _read_toml(folder / name, header, problems)
        if source is None or source.table is None:
            continue
        layer = Layer(source(), _toml_places(name, source.text, header))
        if layers:
            place = layer.place_of("")
            problems.append(replace(place, message=f"settings stand here and in {FILE} too", hint="keep one of them"))
        elif not isinstance(source.table, dict):
            problems.append(replace(layer.place_of(""), message="is no table", hint="write [tool.reconciler]"))
        layers.append(layer)
    return layers[:1]


def _read_toml(path: Path, header: tuple[str, ...], problems: list[Problem]) -> _TomlFile | None:
    line, column = 1, 1
    try:
        return _TomlFile(path, header)
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        message, hint = "can't be read: it is a link to nowhere", "remove the link, or point it to a file"
    except tomllib.TOMLDecodeError as error:
        # the parser's message may quote a character, never a value
        what, _, where = str(error).partition(" (at ")
        found = re.search(r"line (\d+), column (\d+)", where)
        line, column = (int(found[1]), int(found[2])) if found else (1, 1)
        message, hint = f"is no TOML: {what}", "texts are written in quotes, tables as [name]"
    except UnicodeDecodeError:
        message, hint = "can't be read: it is not UTF-8", "store it as UTF-8"
    except _Unreadable as error:
        message, hint = error.args
    except ValueError:  # of a number with more digits than Python reads
        message, hint = "is no TOML: it holds a number that can't be read", "no setting takes so long a number"
    except RecursionError:
        message, hint = "can't be read: it is nested too deeply", ""
    except OSError as error:
        message, hint = f"can't be read: {error.strerror or type(error).__name__}", "make it a readable file"
    problems.append(Problem(path.name, line, column, "", message, hint))
    return None


def _toml_places(file: str, text: str, header: tuple[str, ...]) -> Callable[[str], Problem]:
    keys = _find_keys(text)

    def place_of(path: str) -> Problem:
        parts = (*header, *(path.split(".") if path else ()))
        line, column = _find_place(keys, parts)
        return Problem(file, line, column, ".".join(parts), "")

    return place_of


# One pass over each line, whatever it holds: nested repetitions would take hours for a line of blanks.
_KEY = re.compile(r"""[A-Za-z0-9_.\s"'-]+""")


@dataclass(frozen=True, slots=True)
class _Key:
    """A line that begins a table or gives a key. `path` is the whole one; `start` and `end` are offsets in `line`."""

    path: tuple[str, ...]
    number: int
    line: str
    start: int
    end: int


def _find_keys(text: str) -> list[_Key]:
    table: tuple[str, ...] = ()
    keys: list[_Key] = []
    for number, line in enumerate(text.split("\n"), 1):
        begun = line.lstrip()
        if begun.startswith("["):
            name, bracket, _ = begun[1:].partition("]")
            if not bracket or "[" in name or not name.strip():
                continue
            table = path = _split_key(name)
            end = len(line) - len(begun) + len(name) + 2
            start = end - 1 - len(name.lstrip())
        else:
            name, equals, _ = line.partition("=")
            if not equals or not name.strip() or not _KEY.fullmatch(name):
                continue
            path = (*table, *_split_key(name))
            start, end = len(name) - len(name.lstrip()), len(name) + 1
        keys.append(_Key(path, number, line, start, end))
    return keys


def _find_place(keys: Sequence[_Key], wanted: tuple[str, ...]) -> tuple[int, int]:
    """Line and column of a key, or of the nearest table or key that holds it; tomllib tells neither.

    A table may stand in the file by what is in it alone, as `foo` does in `[foo.bar]` and in `foo.bar = 1`.
    """
    within = next((key for key in keys if key.path[: len(wanted)] == wanted), None)
    if within is not None:
        return within.number, within.start + 1
    best, depth = (1, 1), 0
    for key in keys:
        if len(key.path) > depth and key.path == wanted[: len(key.path)]:
            best, depth = (key.number, key.start + 1), len(key.path)
            inner = re.compile(rf"[{{,]\s*[\"']?({re.escape(wanted[-1])})[\"']?\s*=").search(key.line, key.end)
            if inner and depth == len(wanted) - 1:
                best, depth = (key.number, inner.start(1) + 1), len(wanted)
    return best


def _split_key(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
